//! Jaeger, built with the Go tool chain from its published module.

use crate::{
    cache::{self, Recipe},
    command::{self, Job, on_path},
    failure::{Failure, Result, at},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const NAME: &str = "jaeger";
const MODULE: &str = "github.com/jaegertracing/jaeger";
const PACKAGE: &str = "github.com/jaegertracing/jaeger/cmd/jaeger";
const VERSION: &str = "v1.76.0";

/// `go install` refuses a module that replaces others, so Jaeger becomes the tool of a small module of its own.
const TOOL_MODULE: &str = "module dagtel.invalid/jaeger-tool\n\ngo 1.25\n";

pub(crate) fn build() -> Result<PathBuf> {
    let recipe = Recipe { name: NAME, inputs: &[PACKAGE, VERSION, TOOL_MODULE], products: &[NAME] };
    cache::get_or_build(&recipe, |place| {
        let job = Job::start(NAME, &format!("building Jaeger {VERSION}"), "4 to 5 minutes")?;
        let module = place.scratch.join("go.mod");
        fs::write(&module, TOOL_MODULE).map_err(at("Writing", &module))?;
        let version = format!("{MODULE}@{VERSION}");
        job.run("downloading its source", go(&place.scratch)?.args(["mod", "download", &version]))?;
        adopt_checksums(&place.scratch, &version)?;
        let package = format!("{PACKAGE}@{VERSION}");
        job.run("downloading what it needs", go(&place.scratch)?.args(["get", "-tool", &package]))?;
        job.run(
            "compiling",
            go(&place.scratch)?
                .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
                .arg(place.output.join(NAME))
                .arg(PACKAGE),
        )?;
        job.done();
        Ok(())
    })
}

/// Starts from the checksums that Jaeger's authors recorded: not every one of them can be looked up again.
fn adopt_checksums(scratch: &Path, version: &str) -> Result<()> {
    let source = command::output(go(scratch)?.args(["list", "-mod=mod", "-m", "-f", "{{.Dir}}", version]))?;
    let (from, to) = (Path::new(source.trim()).join("go.sum"), scratch.join("go.sum"));
    let sums = fs::read(&from).map_err(at("Reading Jaeger's checksums in", &from))?;
    fs::write(&to, sums).map_err(at("Writing", &to))
}

/// The Go command, working in `directory`.
pub(crate) fn go(directory: &Path) -> Result<Command> {
    let program = on_path("go").ok_or_else(|| {
        Failure(
            "Go is not on the PATH, and the collector and Jaeger are built with it. Install Go 1.25 or newer \
             from https://go.dev/dl/, or name finished binaries in DAGTEL_OTELCOL and DAGTEL_JAEGER."
                .into(),
        )
    })?;
    let mut go = Command::new(program);
    go.current_dir(directory);
    Ok(go)
}
