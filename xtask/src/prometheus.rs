//! Prometheus and promtool, taken out of the Debian package without installing it: that needs no root,
//! changes nothing on the machine and starts no service.

use crate::{
    cache::{self, Recipe, Workplace},
    command::{Job, on_path},
    failure::{Failure, Result, at},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const NAME: &str = "prometheus";
pub(crate) const TOOL: &str = "promtool";

pub(crate) fn unpack() -> Result<PathBuf> {
    // Which version it is depends on the Debian release; any of them will do.
    let recipe = Recipe { name: NAME, inputs: &["debian package"], products: &[NAME, TOOL] };
    cache::get_or_build(&recipe, |place| {
        if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
            return Err(Failure(
                "Prometheus is not on the PATH, and there is no apt-get to fetch its Debian package with. Put \
                 `prometheus` and `promtool` (2.42 or newer, https://prometheus.io/download/) on the PATH, or \
                 name them in DAGTEL_PROMETHEUS and DAGTEL_PROMTOOL."
                    .into(),
            ));
        }
        let job = Job::start(NAME, "fetching the Debian package of Prometheus", "10 seconds")?;
        fetch(&job, place)?;
        job.done();
        Ok(())
    })
}

fn fetch(job: &Job, place: &Workplace) -> Result<()> {
    let scratch = &place.scratch;
    let lists = scratch.join("lists/partial");
    fs::create_dir_all(&lists).map_err(at("Making the directory", &lists))?;
    job.run("reading the package lists", apt(scratch).arg("update"))?;
    job.run("downloading", apt(scratch).args(["download", NAME]))?;
    let package = downloaded(scratch)?;
    job.run(
        "unpacking",
        Command::new("dpkg-deb").arg("--extract").arg(package).arg(scratch.join("unpacked")),
    )?;
    for name in [NAME, TOOL] {
        let binary = scratch.join("unpacked/usr/bin").join(name);
        fs::rename(&binary, place.output.join(name)).map_err(at("Taking the unpacked", &binary))?;
    }
    Ok(())
}

/// apt with package lists of its own, so that it neither needs nor touches those of the system.
fn apt(scratch: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    apt.current_dir(scratch);
    for option in ["Dir::State::Lists=lists", "Dir::Cache=cache", "Dir::Cache::archives=archives"] {
        let (name, directory) = option.split_once('=').expect("each option has a value");
        apt.arg("-o").arg(format!("{name}={}", scratch.join(directory).display()));
    }
    // The lists are private, so nobody else needs the lock; and the user apt drops to cannot write here.
    apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]);
    apt
}

fn downloaded(scratch: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(scratch).map_err(at("Listing", scratch))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| Failure(format!("apt-get left no package in {}.", scratch.display())))
}
