//! The real parts that the system tests run against, and where their binaries come from: named by an
//! environment variable, found on the PATH, or built into the cache.

use crate::{
    airflow, collector,
    command::{is_program, on_path},
    failure::{Failure, Result},
    jaeger, kafka, prometheus,
};
use std::{env, path::PathBuf};

/// One binary of a real part, and how to make the directory that has it.
struct Binary {
    name: &'static str,
    variable: &'static str,
    make: fn() -> Result<PathBuf>,
}

const BINARIES: [Binary; 6] = [
    Binary { name: collector::NAME, variable: "DAGTEL_OTELCOL", make: collector::build },
    Binary { name: jaeger::NAME, variable: "DAGTEL_JAEGER", make: jaeger::build },
    Binary { name: prometheus::NAME, variable: "DAGTEL_PROMETHEUS", make: prometheus::unpack },
    Binary { name: prometheus::TOOL, variable: "DAGTEL_PROMTOOL", make: prometheus::unpack },
    Binary { name: airflow::NAME, variable: "DAGTEL_AIRFLOW_PYTHON", make: airflow::build },
    Binary { name: kafka::NAME, variable: "DAGTEL_KAFKA", make: kafka::fetch },
];

/// The path of every binary, in the order of `BINARIES`.
pub(crate) struct Parts(Vec<PathBuf>);

/// Finds or builds everything.
pub(crate) fn set_up() -> Result<Parts> {
    // What is given is looked at first, so that a mistyped name is told before a build of minutes.
    let given = BINARIES.iter().map(given).collect::<Result<Vec<_>>>()?;
    let place = |(binary, given): (&Binary, Option<PathBuf>)| match given {
        Some(path) => Ok(path),
        None => Ok((binary.make)()?.join(binary.name)),
    };
    BINARIES.iter().zip(given).map(place).collect::<Result<_>>().map(Parts)
}

impl Parts {
    /// The variables by which the test harness learns of the binaries.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        BINARIES.iter().map(|binary| binary.variable).zip(&self.0)
    }

    pub(crate) fn print(&self) {
        for (binary, path) in BINARIES.iter().zip(&self.0) {
            println!("{:15} {}", binary.name, path.display());
        }
    }
}

/// A binary that the person named or has on the PATH is used as it is.
fn given(binary: &Binary) -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os(binary.variable).filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(on_path(binary.name));
    };
    if !is_program(&path) {
        return Err(Failure(format!(
            "{} names {}, which is not an executable file; correct it, or unset it to have {} built.",
            binary.variable,
            path.display(),
            binary.name
        )));
    }
    // The tests start it from other directories.
    std::path::absolute(&path).map(Some).map_err(crate::failure::at("Finding", &path))
}
