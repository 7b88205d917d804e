//! Whether the real parts are asked for, and where the binaries are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The collector with what dagtel's configurations use.
pub(crate) const COLLECTOR: Binary = Binary { name: "otelcol-dagtel", variable: "DAGTEL_OTELCOL" };
/// Jaeger, all in one.
pub(crate) const JAEGER: Binary = Binary { name: "jaeger", variable: "DAGTEL_JAEGER" };
/// The Prometheus server.
pub(crate) const PROMETHEUS: Binary = Binary { name: "prometheus", variable: "DAGTEL_PROMETHEUS" };
/// Prometheus's checker of configurations and metrics.
pub(crate) const PROMTOOL: Binary = Binary { name: "promtool", variable: "DAGTEL_PROMTOOL" };

/// Runs a class of Kafka.
pub(crate) const KAFKA: Binary = Binary { name: "kafka-java", variable: "DAGTEL_KAFKA" };

/// A program of the real parts and the variable that may name it.
pub(crate) struct Binary {
    pub(crate) name: &'static str,
    pub(crate) variable: &'static str,
}

/// `cargo xtask test` asks for the real parts by setting `DAGTEL_REAL_PARTS=1`.
pub fn requested() -> bool {
    env::var_os("DAGTEL_REAL_PARTS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// Finds a binary: as its variable says, else on the PATH, else where `cargo xtask setup` left it.
pub(crate) fn find(binary: &Binary) -> PathBuf {
    if let Some(named) = variable(binary.variable) {
        assert!(
            named.is_file(),
            "{} names {}, which does not exist; correct it or unset it.",
            binary.variable,
            named.display()
        );
        return named;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(cache().map(|cache| cache.join("bin")));
    places.map(|directory| directory.join(binary.name)).find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{} is neither on the PATH nor in the cache; run `cargo xtask test`, which gets it, or name it in {}.",
            binary.name, binary.variable
        )
    })
}

/// A binary of this workspace that the build left beside the running test, such as `dagtel`.
///
/// # Panics
/// When it has not been built.
pub fn built(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running test has a path");
    // target/<profile>/deps/<test> → target/<profile>/<name>
    let directory = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let binary = directory.join(name);
    assert!(
        binary.is_file(),
        "{} is not there; run `cargo build --workspace` (`cargo xtask test` does).",
        binary.display()
    );
    binary
}

/// The programs of the real parts, by the names that documentation calls them.
///
/// # Panics
/// When one cannot be found.
pub fn programs() -> Vec<(&'static str, PathBuf)> {
    let all = [COLLECTOR, JAEGER, PROMETHEUS, PROMTOOL];
    all.iter().map(|binary| (binary.name, find(binary))).collect()
}

/// A script that runs the class of Kafka that is its first argument.
///
/// # Panics
/// When it cannot be found.
pub fn kafka() -> PathBuf {
    find(&KAFKA)
}

/// A Python that has OpenTelemetry's SDK: Airflow's.
///
/// # Panics
/// When it cannot be found.
pub fn opentelemetry_python() -> PathBuf {
    find(&crate::airflow::PYTHON)
}

/// A configuration that dagtel ships, in the checkout whose tests are running.
pub(crate) fn shipped(name: &str) -> PathBuf {
    let tests = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).join("../otel-collector").join(name)
}

fn cache() -> Option<PathBuf> {
    variable("DAGTEL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("dagtel")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/dagtel")))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
