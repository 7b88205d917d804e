//! The dashboards are those that the catalogue makes, and Grafana can tell them and their panels apart.
//!
//! `DAGTEL_WRITE_DOCS=1 cargo test -p dagtel-system-tests --test dashboards` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use dagtel_system_tests::monitoring::dashboards;
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../otel-collector/grafana/dashboards")
}

#[test]
fn the_dashboards_are_up_to_date() {
    let mut names = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        let path = folder().join(&name);
        let expected = serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
        if std::env::var_os("DAGTEL_WRITE_DOCS").is_some() {
            fs::write(&path, &expected).unwrap();
        }
        assert!(
            fs::read_to_string(&path).unwrap_or_default() == expected,
            "{} is not what tests/src/monitoring makes of the catalogue: write it anew with `DAGTEL_WRITE_DOCS=1 cargo \
             test -p dagtel-system-tests --test dashboards`",
            path.display()
        );
        names.insert(name);
    }
    let there =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), names, "nothing else lies there");
}

#[test]
fn panels_do_not_overlap_and_have_ids_of_their_own() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        assert!(uids.insert(dashboard["uid"].to_string()), "{name}");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}");
        let mut taken = BTreeSet::new();
        for panel in panels {
            let number = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let (x, y) = (number("x"), number("y"));
            for x in x..x + number("w") {
                assert!(x < 24, "{name}: {} is too wide", panel["title"]);
                for y in y..y + number("h") {
                    assert!(taken.insert((x, y)), "{name}: {} lies on another", panel["title"]);
                }
            }
        }
    }
}

/// Variables stand in queries and links as they are called at the head.
#[test]
fn every_variable_that_is_used_is_there() {
    const GRAFANA: [&str; 8] = [
        "__range",
        "__rate_interval",
        "__interval",
        "__from",
        "__to",
        "__url_time_range",
        "__data",
        "__value",
    ];
    for (name, dashboard) in dashboards() {
        let listed = dashboard["templating"]["list"].as_array().unwrap();
        let known: BTreeSet<_> = listed.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        let mut used = BTreeSet::new();
        collect(&dashboard, &mut used);
        for variable in used {
            let word = variable.split([':', '.']).next().unwrap();
            assert!(known.contains(word) || GRAFANA.contains(&word), "{name} uses ${variable}");
        }
    }
}

/// The variables of all texts.
fn collect(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for part in text.split('$').skip(1) {
                let braced = part.strip_prefix('{').and_then(|rest| rest.split('}').next());
                let plain =
                    || part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next();
                used.extend(braced.or_else(plain).filter(|word| *word != "__all").map(str::to_owned));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, used)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, used)),
        _ => {}
    }
}
