//! What is tested: configurations of collector and Jaeger with the defaults of their variables, and versions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A directory of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn otel_collector() -> PathBuf {
    root().join("otel-collector")
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

/// The documents of a YAML file.
pub(crate) fn documents(path: &Path) -> Vec<Value> {
    let all = serde_saphyr::from_multiple(&read(path));
    all.unwrap_or_else(|error| panic!("{} is no YAML: {error}", path.display()))
}

/// The only document of a YAML file.
pub(crate) fn document(path: &Path) -> Value {
    let mut all = documents(path);
    assert_eq!(all.len(), 1, "{} has {} documents", path.display(), all.len());
    all.remove(0)
}

/// A configuration that the tests run.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) name: String,
    /// The variables in it, with their defaults.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Tested {
    pub(crate) fn new(name: &str) -> Self {
        let text = read(&otel_collector().join(name));
        // It must be good YAML, of course.
        document(&otel_collector().join(name));
        let mut variables = BTreeMap::new();
        for part in text.split("${env:").skip(1) {
            let (inside, _) = part.split_once('}').expect("a variable ends");
            let (variable, default) = inside.split_once(":-").expect("every variable has a default");
            let before = variables.insert(variable.to_owned(), default.to_owned());
            assert!(before.is_none_or(|before| before == default), "{name}: {variable} has two defaults");
        }
        Self { name: name.to_owned(), variables }
    }

    pub(crate) fn port(&self, variable: &str) -> u64 {
        let default = self.variables.get(variable);
        let default = default.unwrap_or_else(|| panic!("{} has no {variable}", self.name));
        default.parse().unwrap_or_else(|_| panic!("{}: {variable} is no port: {default}", self.name))
    }

    /// All ports that it may listen on or send to by default.
    pub(crate) fn ports(&self) -> BTreeSet<u64> {
        let ports = self.variables.iter().filter(|(name, _)| name.ends_with("_PORT"));
        ports.filter_map(|(_, default)| default.parse().ok()).collect()
    }

    /// That a manifest sets only variables that are there.
    pub(crate) fn has_variables<'a>(&self, set: impl IntoIterator<Item = &'a str>) {
        for name in set {
            assert!(self.variables.contains_key(name), "{} has no variable {name}", self.name);
        }
    }
}

/// The image of the collector that the tests build.
pub(crate) fn collector_image() -> String {
    let version = document(&otel_collector().join("builder.yaml"));
    let version = version["dist"]["version"].as_str().expect("the manifest states its version").to_owned();
    format!("otel/opentelemetry-collector-contrib:{version}")
}

/// The image of the Jaeger that the tests build. Its releases have two numbers, and images of the v2 binary the second.
pub(crate) fn jaeger_image() -> String {
    let source = read(&root().join("xtask/src/jaeger.rs"));
    assert!(source.contains("VERSION: &str = \"v1.76.0\""), "name the image of the new release here");
    "jaegertracing/jaeger:2.13.0".to_owned()
}

/// A text of a manifest.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text was expected: {value}"))
}

/// The values of a list, of which there may be none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Environment variables of a container, as Kubernetes and Helm write them.
pub(crate) fn variables(list_of: &Value) -> BTreeMap<&str, &str> {
    list(list_of).iter().map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect()
}

/// The annotations by which Prometheus finds a page, as the port and the path that they name.
#[track_caller]
pub(crate) fn scraped(annotations: &Value) -> (u64, &str) {
    assert_eq!(annotations["prometheus.io/scrape"], "true");
    assert_eq!(annotations["prometheus.io/scheme"], "http");
    let port = text(&annotations["prometheus.io/port"]).parse().expect("the port is a number in quotes");
    (port, text(&annotations["prometheus.io/path"]))
}

#[test]
fn the_shipped_configurations_are_yaml_and_their_variables_have_one_default_each() {
    let mut seen = 0;
    for entry in std::fs::read_dir(otel_collector()).expect("the directory is there") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("it is text");
        if name.ends_with(".yaml") && !["builder.yaml", "docker-compose.yaml"].contains(&&*name) {
            Tested::new(&name);
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}
