//! Real DAGs through the real agent, collector, Prometheus and Jaeger: then every query of every dashboard, every rule and
//! every alert has data. What only a fault makes is made by that fault.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../../crates/dagtel/examples/engine_loop.rs"]
mod engine_loop;
#[path = "monitoring_has_data/work.rs"]
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dagtel_system_tests::Stack;
use dagtel_system_tests::monitoring::files::questions;
use dagtel_system_tests::monitoring::promql::names;
use dagtel_system_tests::prometheus::{Client, Rule, Sample};
use work::{DAG, TASK, Work};

/// Until everything was asked, sent, scraped, and all rules were evaluated.
const LONG: Duration = Duration::from_secs(180);
/// What the reader of a dashboard would choose.
const CHOSEN: [(&str, &str); 8] = [
    ("$__rate_interval", "1m"),
    ("$__range", "15m"),
    ("$window", "15m"),
    ("$deployment", ".*"),
    ("$execution_mode", ".*"),
    ("$dag_id", DAG),
    ("$task_id", TASK),
    ("$datasource", "Prometheus"),
];

/// Something that must have data.
struct Wanted {
    place: String,
    expression: String,
    labels: Vec<String>,
}

#[test]
fn every_query_of_every_dashboard_and_every_rule_has_data() {
    let Some(stack) = Stack::start("monitoring_has_data") else { return };
    let work = Work::start(&stack);
    let dashboards: Vec<_> = questions()
        .into_iter()
        .map(|question| Wanted {
            place: question.place,
            expression: fill_in(&question.expression, stack.agent_port()),
            labels: question.labels,
        })
        .collect();
    // Gauges that StatsD's dashboards know by the same names and other labels.
    let relabelled = [("airflow_pool_open_slots", "pool"), ("airflow_executor_open_slots", "executor")].map(
        |(name, label)| Wanted {
            place: "prometheus.yaml".to_owned(),
            expression: name.to_owned(),
            labels: vec![label.to_owned()],
        },
    );
    let loaded = stack.series().rules().unwrap();
    let rules: Vec<_> = loaded.iter().flat_map(of_rule).chain(relabelled).collect();
    assert!(
        dashboards.len() > 150 && loaded.len() > 200,
        "{} queries, {} rules",
        dashboards.len(),
        loaded.len()
    );

    let without = wait_for_data(&stack.series(), dashboards.iter().chain(&rules).collect());
    let count = |all: &[Wanted]| {
        all.iter().filter(|wanted| without.iter().any(|left| std::ptr::eq(left.0, *wanted))).count()
    };
    println!(
        "{} queries of dashboards, {} without data; {} rules ({} questions), {} without data",
        dashboards.len(),
        count(&dashboards),
        loaded.len(),
        rules.len(),
        count(&rules)
    );
    let told =
        without.iter().map(|(wanted, why)| format!("{}: {why}\n    {}", wanted.place, wanted.expression));
    let told: Vec<_> = told.collect();
    assert!(told.is_empty(), "{} without data:\n{}", told.len(), told.join("\n"));

    alerts_say_what_happened(&stack.series());
    the_links_lead_to_traces(&stack);
    drop(work);
}

/// The expression with the variables of its dashboard filled in.
fn fill_in(expression: &str, agent: u16) -> String {
    let agent = expression.replace("$agent", &format!("127.0.0.1:{agent}"));
    let filled = CHOSEN.iter().fold(agent, |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "{filled} has a variable that nobody chose");
    filled
}

/// What must have data for a rule to say something: what it records; of an alert, which has data only while it fires, each
/// metric that it asks for, and its expression with conditions that are told as 0 or 1.
fn of_rule(rule: &Rule) -> Vec<Wanted> {
    let place = format!("{} {}", rule.kind, rule.name);
    let wanted = |expression: String| Wanted { place: place.clone(), expression, labels: Vec::new() };
    if rule.kind == "recording" {
        let labels: Vec<_> = rule.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        return vec![wanted(format!("{}{{{}}}", rule.name, labels.join(","))), wanted(rule.query.clone())];
    }
    let conditions = [" > ", " >= ", " < ", " <= ", " == ", " != "];
    let told = conditions
        .iter()
        .fold(rule.query.clone(), |text, condition| text.replace(condition, &format!("{condition}bool ")));
    names(&rule.query).into_iter().chain([told]).map(wanted).collect()
}

/// Asks for everything again and again until it was there once; returns what was not, and the last answer.
fn wait_for_data<'a>(series: &Client, mut left: Vec<&'a Wanted>) -> Vec<(&'a Wanted, String)> {
    let began = Instant::now();
    loop {
        let answers = left.iter().map(|wanted| (*wanted, has_data(series, wanted)));
        let without: Vec<_> = answers.filter_map(|(wanted, answer)| Some((wanted, answer.err()?))).collect();
        if without.is_empty() || began.elapsed() > LONG {
            println!("all was asked for {:?}", began.elapsed());
            return without;
        }
        left = without.into_iter().map(|(wanted, _)| wanted).collect();
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn has_data(series: &Client, wanted: &Wanted) -> Result<(), String> {
    let samples = series.query(&wanted.expression)?;
    // A mean or a quantile of nothing is not a number, which a panel shows as nothing.
    if samples.iter().all(|sample| sample.value.is_nan()) {
        return Err(format!("no data in {} series", samples.len()));
    }
    let shows = |label: &&String| samples.iter().any(|sample: &Sample| !sample.label(label).is_empty());
    match wanted.labels.iter().find(|label| !shows(label)) {
        Some(label) => Err(format!("no series has the label {label}")),
        None => Ok(()),
    }
}

/// Every rule was evaluated, and what alerts say of what really happened is filled in.
fn alerts_say_what_happened(series: &Client) {
    let rules = series.rules().unwrap();
    for rule in &rules {
        assert_eq!((rule.health.as_str(), rule.last_error.as_str()), ("ok", ""), "{}", rule.name);
    }
    let mut firing: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in &rules {
        for alert in rule.alerts.iter().filter(|alert| alert.state == "firing") {
            *firing.entry(&rule.name).or_default() += 1;
            for (key, text) in &alert.annotations {
                let empty = text.is_empty() || text.contains("<error") || text.contains("<no value>");
                assert!(!empty, "{} says as its {key}: {text}", rule.name);
            }
        }
    }
    println!("alerts that fire for what really happened: {firing:?}");
    for expected in ["DagRunFailed", "TaskOutOfMemory", "TelemetryDropped", "CardinalityFolded"] {
        assert!(firing.contains_key(expected), "{expected} does not fire: {firing:?}");
    }
    // The DAG processor says that it is not well, for less than a minute.
    let down = rules.iter().find(|rule| rule.name == "AgentComponentDown").unwrap();
    let components: Vec<_> = down.alerts.iter().map(|alert| alert.labels["component"].as_str()).collect();
    assert_eq!(components, ["dag_processor"]);
    let fine = ["AgentAway", "CollectorAway", "CollectorRefusing", "SpoolFilling"];
    let wrong: BTreeSet<_> = fine.into_iter().filter(|name| firing.contains_key(name)).collect();
    assert!(wrong.is_empty(), "these fire although nothing of the kind happened: {wrong:?}");
}

/// What the links of the dashboards ask Jaeger for is there.
fn the_links_lead_to_traces(stack: &Stack) {
    let traces = stack.traces().traces_of(DAG, 50).unwrap();
    let spans = || traces.iter().flat_map(|trace| &trace.spans);
    assert!(spans().any(|span| span.operation == format!("dag_run.{DAG}")));
    assert!(spans().any(|span| span.tags.get("task_id").is_some_and(|task| task == TASK)));
}
