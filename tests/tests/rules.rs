//! Prometheus's rules and alerts: the files are what the catalogue makes of them, promtool accepts them, every alert fires
//! and clears, and says what to do.
//!
//! `DAGTEL_WRITE_DOCS=1 cargo test -p dagtel-system-tests --test rules` writes anew what is made of the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dagtel_core::catalog::agent;
use dagtel_core::catalog::metric::{DEFAULT_PREFIX, Kind};
use dagtel_core::catalog::naming::prometheus_name;
use dagtel_core::catalog::registry::{self, Source};
use dagtel_system_tests::monitoring::files::questions;
use dagtel_system_tests::monitoring::promql::{COLLECTOR, PROMETHEUS, names};
use dagtel_system_tests::monitoring::statsd;
use dagtel_system_tests::{parts, prometheus::promtool};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../otel-collector")
}

fn files(below: &str, ending: &str) -> Vec<String> {
    let found = fs::read_dir(folder().join(below)).expect("otel-collector/ can be listed");
    let mut found: Vec<_> = found.flatten().map(|entry| entry.path().display().to_string()).collect();
    found.retain(|path| path.ends_with(ending));
    assert!(!found.is_empty(), "{below} has no file that ends in {ending}");
    found.sort();
    found
}

#[test]
fn the_names_of_the_statsd_era_are_up_to_date() {
    let path = folder().join("prometheus/statsd-names.rules.yaml");
    let expected = statsd::rules();
    if std::env::var_os("DAGTEL_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == expected,
        "{} is not what the catalogue says: write it anew with `DAGTEL_WRITE_DOCS=1 cargo test -p dagtel-system-tests --test \
         rules`",
        path.display()
    );
}

/// An entry of a list in a file of Prometheus's, such as an alert: what stands behind its first key, and its other lines.
struct Block {
    name: String,
    lines: Vec<String>,
}

/// The blocks that begin with a line `- <key>: <name>`.
fn blocks(paths: &[String], key: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).expect("a file of the list can be read");
        for line in text.lines() {
            let begun = line.trim().trim_start_matches("- ").strip_prefix(key);
            if let Some(name) = begun.and_then(|rest| rest.strip_prefix(": ")) {
                blocks.push(Block { name: name.to_owned(), lines: Vec::new() });
            } else if let Some(block) = blocks.last_mut() {
                block.lines.push(line.trim().to_owned());
            }
        }
    }
    blocks
}

#[test]
fn every_alert_says_what_happened_and_what_to_do_and_has_tests() {
    let alerts = blocks(&files("prometheus", ".rules.yaml"), "alert");
    assert!(alerts.len() >= 16, "{} alerts", alerts.len());
    // What a test expects of an alert that fires: that there is one, or none.
    let mut tested: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for block in blocks(&files("prometheus/tests", ".test.yaml"), "expr") {
        let Some((_, rest)) = block.name.split_once("ALERTS{alertname=\"") else { continue };
        assert!(rest.contains("alertstate=\"firing\""), "{}", block.name);
        let (fires, clears) = tested.entry(rest.split('"').next().unwrap().to_owned()).or_default();
        match block.lines.get(1).map(String::as_str) {
            Some("exp_samples: []") => *clears = true,
            Some(line) if line.starts_with("exp_samples: [{") => *fires = true,
            other => panic!("{other:?} does not say what is expected of {}", block.name),
        }
    }
    for alert in &alerts {
        for key in ["severity: ", "summary: ", "description: ", "runbook: "] {
            let says = alert.lines.iter().any(|line| line.contains(key));
            assert!(says, "the alert {} has no {key}", alert.name);
        }
        let expected = tested.remove(&alert.name);
        assert_eq!(expected, Some((true, true)), "a test makes {} (fire, clear)", alert.name);
    }
    assert!(tested.is_empty(), "tests of alerts that are not there: {tested:?}");
}

/// The expression of a rule, which may go on in the lines below its key.
fn expression(lines: &[String]) -> String {
    let mut rest = lines.iter().skip_while(|line| !line.starts_with("expr:"));
    let first = rest.next().and_then(|line| line.strip_prefix("expr:")).unwrap_or_default().trim();
    if first != "|" {
        return first.to_owned();
    }
    let ends = |line: &String| line.is_empty() || line.starts_with(['-', '#']);
    rest.take_while(|line| !ends(line)).map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn rules_and_dashboards_ask_for_metrics_of_the_catalogue_only() {
    let rules = files("prometheus", ".rules.yaml");
    let (recorded, alerts) = (blocks(&rules, "record"), blocks(&rules, "alert"));
    let mut known = catalogue();
    known.extend(recorded.iter().map(|rule| rule.name.clone()));
    let of_rules = recorded.iter().chain(&alerts).map(|rule| (rule.name.clone(), expression(&rule.lines)));
    let of_dashboards = questions().into_iter().map(|question| (question.place, question.expression));
    let mut asked = 0;
    for (place, expression) in of_rules.chain(of_dashboards) {
        let names = names(&expression);
        assert!(!names.is_empty(), "{place} asks for nothing: {expression}");
        for name in names {
            asked += 1;
            assert!(known.contains(&name), "{place} asks for {name}, which is not in the catalogue");
        }
    }
    println!("{asked} names asked for, all known");
}

/// Every name that Prometheus can have of us, of the collector, and of its own.
fn catalogue() -> BTreeSet<String> {
    let mut names: BTreeSet<_> = COLLECTOR.iter().chain(&PROMETHEUS).map(|name| (*name).to_owned()).collect();
    let mut add = |name: &str, histogram: bool| {
        let parts: &[&str] = if histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        names.extend(parts.iter().map(|part| format!("{name}{part}")));
    };
    for entry in registry::entries() {
        let prefix = if entry.source == Source::Own { "" } else { DEFAULT_PREFIX };
        let definition = entry.definition;
        add(&prometheus_name(prefix, definition), definition.kind == Kind::Histogram);
    }
    for family in agent::ALL {
        add(family.name, matches!(family.kind, agent::Kind::Histogram | agent::Kind::Summary));
    }
    names
}

#[test]
fn promtool_accepts_the_rules_and_every_alert_fires_and_clears() {
    if !parts::requested() {
        return println!("skipped: promtool is one of the real parts (run `cargo xtask test`)");
    }
    let rules = files("prometheus", ".rules.yaml");
    let checked = promtool(&["check", "rules"], &rules).unwrap();
    println!("{}", checked.lines().filter(|line| line.contains("SUCCESS")).collect::<Vec<_>>().join("\n"));
    promtool(&["check", "config"], &[folder().join("prometheus.yaml").display().to_string()]).unwrap();
    promtool(&["test", "rules"], &files("prometheus/tests", ".test.yaml")).unwrap();
}
