//! The same runs under Airflow's own OpenTelemetry, for comparison: nothing is asserted of it but that it was on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dagtel_system_tests::jaeger::Span;
use dagtel_system_tests::wait;
use dagtel_testkit::Collector;

use crate::deployment::{Deployment, SOON};
use crate::shown::{Shown, row};
use crate::{RUN, RUNS_END, own_metrics, slow};

const SERVICE: &str = "airflow-own";

#[test]
fn beside_airflows_own_opentelemetry() {
    if !slow("beside_airflows_own_opentelemetry") {
        return;
    }
    // Its metrics go elsewhere: most have the names of dagtel's, and would be the same families on one page.
    let metrics = Collector::start();
    let deployment = Deployment::start("airflow_own", |stack| {
        let mut variables = vec![
            ("AIRFLOW__TRACES__OTEL_ON", "True".into()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", stack.otlp_grpc()),
            ("OTEL_SERVICE_NAME", SERVICE.into()),
            ("OTEL_BSP_SCHEDULE_DELAY", "1000".into()),
        ];
        variables.extend(own_metrics::variables(&metrics.endpoint()));
        variables
    });
    let Some(deployment) = deployment else { return };
    for dag_id in ["fails", "kinds"] {
        deployment.airflow.trigger(dag_id, RUN);
    }
    let rows = deployment.airflow.wait_for_runs(&[("fails", RUN, 0), ("kinds", RUN, 0)], RUNS_END);
    let shown = [
        deployment.check(&rows, row(&rows, "fails", RUN), &[]),
        deployment.check(&rows, row(&rows, "kinds", RUN), &["task_run.inner", "by_hand"]),
    ];
    let theirs = settled_spans(&deployment);
    let ours: Vec<Span> = shown.iter().flat_map(|shown| shown.trace.spans.clone()).collect();
    table(&shown, &ours, &theirs);
    own_metrics::table(&deployment.stack, &metrics.taken());
}

/// Airflow's own spans, once none has come for a while: it sends when its processes feel like it.
fn settled_spans(deployment: &Deployment) -> Vec<Span> {
    const QUIET: Duration = Duration::from_secs(15);
    let mut last = (Instant::now(), 0);
    wait::until("Airflow's own spans", 2 * SOON, || {
        let traces = deployment.stack.traces().traces_of(SERVICE, 100)?;
        let spans = traces.into_iter().flat_map(|trace| trace.spans);
        let spans: Vec<Span> = spans.filter(|span| span.service == SERVICE).collect();
        if spans.len() != last.1 {
            last = (Instant::now(), spans.len());
        }
        let runs = spans.iter().filter(|span| span.operation.starts_with("dag_run.")).count();
        if runs == 2 && last.0.elapsed() > QUIET {
            Ok(spans)
        } else {
            Err(format!("{runs} runs, {} spans", last.1))
        }
    })
}

fn table(shown: &[Shown], ours: &[Span], theirs: &[Span]) {
    let expected: usize = shown.iter().map(|shown| shown.attempt.tries.len()).sum();
    println!("{:44} {:>8} {:>8}", format!("{expected} tries in the database"), "dagtel", "Airflow");
    let line = |what: &str, count: fn(&[Span]) -> usize| {
        println!("{what:44} {:>8} {:>8}", count(ours), count(theirs));
    };
    line("spans", |spans| spans.len());
    line("spans of tries (task_run.*)", |spans| tries(spans).count());
    line("duplicate ids among all spans", |spans| {
        spans.len() - spans.iter().map(|span| span.id.as_str()).collect::<BTreeSet<_>>().len()
    });
    let lacking = |spans, names: &[&str]| missing(shown, spans, names);
    let (our_missing, their_missing) = (lacking(ours, &["task_run"]), lacking(theirs, &["task_run"]));
    println!("{:44} {:>8} {:>8}", "tries without such a span", our_missing.len(), their_missing.len());
    // What ran tells of itself as well.
    let at_all = lacking(theirs, &["task_run", "worker"]);
    println!("{:44} {:>8} {:>8}", "tries without any span", our_missing.len(), at_all.len());
    line("links", |spans| spans.iter().map(|span| span.links().count()).sum());
    line("skipped tries marked as errors", |spans| {
        tries(spans).filter(|span| is_skipped(span) && span.tags.contains_key("error")).count()
    });
    line("Jaeger warnings", |spans| spans.iter().map(|span| span.warnings.len()).sum());
    println!("Airflow has no task_run span for: {}", their_missing.join(", "));
    println!("and no span at all for: {}", at_all.join(", "));
    let mut names = BTreeMap::<&str, usize>::new();
    theirs.iter().for_each(|span| *names.entry(&span.operation).or_default() += 1);
    println!("Airflow's spans: {names:?}");
    assert!(our_missing.is_empty());
}

/// The tasks of the tries of which there is no span by any of these names, each as often as spans are too few.
fn missing(shown: &[Shown], spans: &[Span], names: &[&str]) -> Vec<String> {
    let mut tries = BTreeMap::<String, usize>::new();
    for key in shown.iter().flat_map(|shown| shown.attempt.tries.keys()) {
        let index = if key.map_index < 0 { String::new() } else { format!("[{}]", key.map_index) };
        *tries.entry(format!("{}{index}", key.task_id)).or_default() += 1;
    }
    let told = |task: &str| {
        let by = |name| spans.iter().filter(|span| span.operation == format!("{name}.{task}")).count();
        names.iter().map(by).max().unwrap_or(0)
    };
    let lacking = tries.into_iter().map(|(task, tries)| (tries.saturating_sub(told(&task)), task));
    lacking.flat_map(|(count, task)| std::iter::repeat_n(task, count)).collect()
}

fn tries(spans: &[Span]) -> impl Iterator<Item = &Span> {
    let inner = |span: &&Span| span.operation == "task_run.inner";
    spans.iter().filter(|span| span.operation.starts_with("task_run.")).filter(move |span| !inner(span))
}

fn is_skipped(span: &Span) -> bool {
    let state = |key: &str| span.tags.get(key).and_then(|state| state.as_str()) == Some("skipped");
    state("state") || state("airflow.task_instance.state")
}
