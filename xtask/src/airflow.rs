//! Airflow with Cosmos and dbt, in a virtual environment of its own, and the command that runs its tests.

use crate::{
    cache::{self, Recipe, Workplace},
    command::{Job, on_path, output},
    failure::{Failure, Result, at},
    test,
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

/// Runs the environment's Python, from wherever it is called.
pub(crate) const NAME: &str = "airflow-python";

const REQUIREMENTS: &str = "tests/airflow/requirements.txt";
const PYTHONS: [&str; 2] = ["python3", "python3.11"];

/// Sets everything up and runs the tests with Airflow; what it says is shown.
pub(crate) fn run() -> Result<()> {
    test::run(&["-p", "dagtel-system-tests", "--test", "airflow", "--", "--nocapture"].map(str::to_owned))
}

pub(crate) fn build() -> Result<PathBuf> {
    let file = crate::source_root().join(REQUIREMENTS);
    let requirements = fs::read_to_string(&file).map_err(at("Reading", &file))?;
    let python = python()?;
    let version = output(Command::new(&python).arg("--version"))?;
    let recipe = Recipe { name: NAME, inputs: &[&requirements, version.trim()], products: &[NAME] };
    cache::get_or_build(&recipe, |place| {
        let job = Job::start(NAME, "installing Airflow, Cosmos and dbt from PyPI", "1 to 3 minutes")?;
        job.run(
            "making the virtual environment",
            Command::new(&python).args(["-m", "venv"]).arg(&place.output),
        )?;
        let mut pip = Command::new(place.output.join("bin/python"));
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--prefer-binary", "--requirement"]);
        job.run("installing", pip.arg(&file))?;
        settle(place)?;
        job.done();
        Ok(())
    })
}

fn python() -> Result<PathBuf> {
    PYTHONS.into_iter().find_map(on_path).ok_or_else(|| {
        Failure(
            "There is no python3 on the PATH to make Airflow's virtual environment with. Install Python 3.11, or \
             name the python of an environment that has tests/airflow/requirements.txt in DAGTEL_AIRFLOW_PYTHON."
                .into(),
        )
    })
}

/// Scripts of a virtual environment name its place in their first line: the place where it will be.
fn settle(place: &Workplace) -> Result<()> {
    let bin = place.output.join("bin");
    let (from, to) = (place.output.display().to_string(), place.home.display().to_string());
    for entry in fs::read_dir(&bin).map_err(at("Listing", &bin))?.flatten() {
        let path = entry.path();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        // What is no text is no script.
        let Some(text) = is_file.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
        fs::write(&path, text.replace(&from, &to)).map_err(at("Writing", &path))?;
    }
    let wrapper = place.output.join(NAME);
    fs::write(&wrapper, format!("#!/bin/sh\nexec '{to}/bin/python' \"$@\"\n"))
        .map_err(at("Writing", &wrapper))?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
        .map_err(at("Making executable", &wrapper))
}
