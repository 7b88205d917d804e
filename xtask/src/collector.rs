//! The OpenTelemetry Collector, made by its own builder from `otel-collector/builder.yaml`.

use crate::{
    cache::{self, Recipe},
    command::Job,
    failure::{Failure, Result, at},
    jaeger::go,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const NAME: &str = "otelcol-dagtel";
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder";

pub(crate) fn build() -> Result<PathBuf> {
    let manifest = crate::source_root().join("otel-collector/builder.yaml");
    let text = fs::read_to_string(&manifest).map_err(at("Reading", &manifest))?;
    let version = version(&text, &manifest)?;
    let recipe = Recipe { name: NAME, inputs: &[BUILDER, version, &text], products: &[NAME] };
    cache::get_or_build(&recipe, |place| {
        let what = format!("building the OpenTelemetry Collector {version}");
        let job = Job::start(NAME, &what, "2 to 7 minutes")?;
        let install = format!("{BUILDER}@v{version}");
        job.run(
            "building its builder",
            go(&place.scratch)?.args(["install", &install]).env("GOBIN", &place.scratch),
        )?;
        job.run(
            "compiling the collector",
            Command::new(place.scratch.join("builder"))
                .arg("--config")
                .arg(&manifest)
                .arg("--output-path")
                .arg(place.scratch.join("source"))
                .current_dir(&place.scratch),
        )?;
        let binary = place.scratch.join("source").join(NAME);
        fs::rename(&binary, place.output.join(NAME)).map_err(at("Taking the built", &binary))?;
        job.done();
        Ok(())
    })
}

/// Builder and collector are of one release, which the manifest states as the version of the distribution.
fn version<'a>(manifest: &'a str, path: &Path) -> Result<&'a str> {
    manifest.lines().find_map(|line| line.trim().strip_prefix("version:")).map(str::trim).ok_or_else(|| {
        Failure(format!(
            "{} states no version; add `version: <release of the collector>` under `dist:`.",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_distribution_is_the_release() {
        let manifest = "dist:\n  name: x\n  version: 0.145.0\n";
        assert_eq!(version(manifest, Path::new("builder.yaml")).unwrap(), "0.145.0");
        assert!(version("dist: {}\n", Path::new("builder.yaml")).is_err());
    }
}
