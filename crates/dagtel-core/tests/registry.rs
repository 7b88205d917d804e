//! The registry against Airflow 3.3's own, whose 128 metrics stand in `airflow/metrics-3.3.csv`: type, name, tags, legacy
//! name. There `{job_name}` is `job`, which is all that Airflow ever puts in, and the one name with a file in it,
//! `dag_processing.last_num_of_db_queries.{dag_file}`, is a tag and a legacy name.

use std::collections::{BTreeMap, BTreeSet};

use dagtel_core::catalog::attribute;
use dagtel_core::catalog::metric::{Kind, Metric};
use dagtel_core::catalog::registry::{self, Entry, Offered, Source};

type Row = (String, BTreeSet<String>, Option<String>);

fn airflows() -> BTreeMap<String, Row> {
    let lines = include_str!("airflow/metrics-3.3.csv").lines();
    let row = |line: &str| {
        let [kind, name, tags, legacy] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let tags = tags.split_whitespace().map(str::to_owned).collect();
        (name.to_owned(), (kind.to_owned(), tags, (legacy != "-").then(|| legacy.to_owned())))
    };
    lines.map(row).collect()
}

fn row(entry: &Entry) -> Option<Row> {
    let airflow = entry.airflow?;
    let tags = airflow.tags.iter().map(|tag| (*tag).to_owned()).collect();
    // The fold's metrics have Airflow's other word for it, and their patterns are filled in with that.
    let word = if matches!(entry.source, Source::Fold(_)) { "{operator}" } else { "" };
    let legacy = airflow.legacy.map(|legacy| match word {
        "" => legacy.to_owned(),
        word => legacy.replace(word, "{operator_name}"),
    });
    Some((entry.definition.kind.in_airflow().to_owned(), tags, legacy))
}

#[test]
fn every_metric_of_airflow_is_there_as_airflow_has_it() {
    let airflows = airflows();
    let ours: BTreeMap<_, _> = registry::entries()
        .filter_map(|entry| Some((entry.definition.name.to_owned(), row(&entry)?)))
        .collect();
    assert_eq!(ours.keys().collect::<Vec<_>>(), airflows.keys().collect::<Vec<_>>());
    for (name, row) in &airflows {
        assert_eq!(&ours[name], row, "{name}");
    }
    let of = |kind| airflows.values().filter(|(is, ..)| is == kind).count();
    assert_eq!((airflows.len(), of("counter"), of("gauge"), of("timer")), (128, 62, 37, 29));
}

#[test]
fn each_is_defined_once_and_dagtels_own_are_there() {
    let names: Vec<_> = registry::entries().map(|entry| entry.definition.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(names.len(), Metric::ALL.len() + Offered::ALL.len() + registry::own::ALL.len());
    for (index, offered) in Offered::ALL.iter().enumerate() {
        assert_eq!(*offered as usize, index);
    }
}

#[test]
fn units_and_methods_follow_from_the_names() {
    for entry in registry::entries() {
        let definition = entry.definition;
        let name = definition.name;
        assert_eq!(
            definition.kind == Kind::Histogram,
            definition.unit == "s" && !name.contains("_ago") && !name.ends_with("total_parse_time"),
            "{name}"
        );
        assert!(!definition.unit.is_empty() && !definition.description.ends_with('.'), "{name}");
        if let Source::Engine(offered) = entry.source {
            assert_eq!(offered.method(), name.replace(['.', '-'], "_"));
        }
    }
}

#[test]
fn every_tag_is_explained_and_every_placeholder_is_a_tag() {
    let explained: BTreeSet<&str> =
        attribute::DESCRIBED.iter().chain(registry::TAGS).map(|(tag, _)| *tag).collect();
    assert_eq!(explained.len(), attribute::DESCRIBED.len() + registry::TAGS.len());
    for entry in registry::entries() {
        let definition = entry.definition;
        for tag in definition.tags.iter().chain(entry.airflow.iter().flat_map(|airflow| airflow.tags)) {
            assert!(explained.contains(tag), "{tag}");
        }
        let legacy = entry.airflow.and_then(|airflow| airflow.legacy).unwrap_or_default();
        for placeholder in legacy.split('{').skip(1).filter_map(|part| part.split_once('}')) {
            assert!(definition.tags.contains(&placeholder.0), "{legacy}");
        }
    }
}
