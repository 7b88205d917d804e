//! Recorded Airflow runs, through the real collector into Jaeger and Prometheus.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use dagtel_system_tests::Stack;
use dagtel_system_tests::command::{fixture, run};
use dagtel_system_tests::jaeger::{Span, Trace};
use dagtel_system_tests::recorded::{Recorded, TryId};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn shop_dbt_is_whole_in_jaeger_and_in_prometheus_and_stays_so_when_it_is_replayed() {
    let Some(stack) = Stack::start("replay_shop_dbt") else { return };
    let shown = Shown::replay(&stack, "shop_dbt", "f92f4f599f9fd9b9478441b02d4aae45");
    shown.agrees();
    let root = shown.trace.span("dag_run.shop_dbt");
    assert_eq!((root.service.as_str(), tag(root, "otel.status_code")), ("shop_dbt", "ERROR".into()));
    for task in ["raw_payments_seed", "raw_orders_seed"] {
        shown.links(&(task.into(), -1, 2), &(task.into(), -1, 1));
    }
    let culprit = ("raw_payments_seed".into(), -1, 2);
    for task in ["stg_payments_run", "orders.run", "orders.test", "customers.run", "customers.test"] {
        shown.links(&(task.into(), -1, 0), &culprit);
    }
    counts_once(&stack, "raw_orders_seed", "success");
    durations_agree(&stack, &shown.recorded, "shop_dbt");

    Shown::replay(&stack, "shop_dbt", &shown.trace.id);
    // Jaeger has both copies when the collector says that it has handed over both.
    let both = 2 * shown.trace.spans.len();
    let handed_over = format!(r#"sum(otelcol_exporter_sent_spans_total{{exporter=~"otlp.*"}}) >= {both}"#);
    stack.series().wait_for(&handed_over, |samples| !samples.is_empty(), SOON);
    let again = Shown::ask(&stack, "shop_dbt", &shown.trace.id);
    again.agrees();
    println!("shop_dbt: handed over {both} spans in two replays, shown {}", again.trace.spans.len());
    counts_once(&stack, "raw_orders_seed", "success");
    durations_agree(&stack, &shown.recorded, "shop_dbt");
}

#[test]
fn mixed_etl_shows_mapped_tasks_and_skips_without_errors() {
    let Some(stack) = Stack::start("replay_mixed_etl") else { return };
    let shown = Shown::replay(&stack, "mixed_etl", "7a2b459346b3eca5da1679b6f16c49c0");
    shown.agrees();
    for index in 0..4 {
        let span = shown.trace.span(&format!("task_run.transform[{index}]"));
        assert_eq!(tag(span, "state"), "success");
    }
    for task in ["skipme", "after_skip"] {
        let span = shown.trace.span(&format!("task_run.{task}"));
        assert_eq!((tag(span, "state"), span.tags.get("error")), ("skipped".into(), None));
    }
    shown.links(&("after_skip".into(), -1, 0), &("skipme".into(), -1, 1));
    shown.links(&("flaky".into(), -1, 2), &("flaky".into(), -1, 1));
    durations_agree(&stack, &shown.recorded, "mixed_etl");
}

/// A replayed recording beside what Jaeger shows of it.
struct Shown {
    recorded: Recorded,
    trace: Trace,
    by_try: BTreeMap<TryId, Span>,
}

impl Shown {
    fn replay(stack: &Stack, name: &str, trace_id: &str) -> Self {
        run(&["replay", &fixture(&format!("{name}.jsonl")), "--endpoint", &stack.otlp_grpc()]);
        Self::ask(stack, name, trace_id)
    }

    fn ask(stack: &Stack, name: &str, trace_id: &str) -> Self {
        let file = fixture(&format!("{name}.jsonl"));
        let recorded = Recorded::read(&std::fs::read_to_string(&file).expect("the fixture is there"));
        let began = Instant::now();
        let expected = recorded.tries.len() + 1;
        let trace = stack.traces().wait_for_trace(trace_id, |trace| trace.spans.len() >= expected, SOON);
        let by_try = trace.spans.iter().filter(|span| span.parent().is_some());
        let by_try: BTreeMap<_, _> = by_try.map(|span| (try_of(span), span.clone())).collect();
        let links: usize = trace.spans.iter().map(|span| span.links().count()).sum();
        println!(
            "{name}: produced {expected} spans, shown {}, links {links}, {:.2} s from replay to Jaeger",
            trace.spans.len(),
            began.elapsed().as_secs_f64()
        );
        Self { recorded, trace, by_try }
    }

    /// Every recorded try is one span with the recorded state and times, every dependency a link, no warning anywhere.
    fn agrees(&self) {
        assert_eq!(self.trace.spans.len(), self.recorded.tries.len() + 1);
        for span in &self.trace.spans {
            assert_eq!(span.warnings, [""; 0], "{}", span.operation);
        }
        let root = self.trace.spans.iter().find(|span| span.parent().is_none()).expect("a root");
        for (id, recorded) in &self.recorded.tries {
            let span = self.by_try.get(id).unwrap_or_else(|| panic!("no span for {id:?}"));
            assert_eq!(span.parent(), Some(root.id.as_str()));
            assert_eq!(tag(span, "state"), recorded.state, "{id:?}");
            let failed = matches!(recorded.state.as_str(), "failed" | "up_for_retry");
            assert_eq!(span.tags.contains_key("error"), failed, "{id:?} in state {}", recorded.state);
            assert_eq!(span.start_us / 1000, recorded.start_us / 1000, "{id:?} starts as recorded");
            let length = (recorded.end_us - recorded.start_us).max(1);
            assert!(span.duration_us.abs_diff(length) <= 1, "{id:?} lasts as recorded");
            if let Some(message) = &recorded.error {
                let told = span.logs.iter().any(|log| {
                    log.fields["event"] == "exception" && log.fields["exception.message"] == message.as_str()
                });
                assert!(told, "{id:?} has its exception");
            }
        }
        for (upstream, downstream) in &self.recorded.edges {
            for from in self.recorded.tries.keys().filter(|id| id.0 == *downstream) {
                for to in self.recorded.last_tries(upstream) {
                    self.links(from, to);
                }
            }
        }
    }

    #[track_caller]
    fn links(&self, from: &TryId, to: &TryId) {
        let (from_span, to_span) = (&self.by_try[from], &self.by_try[to]);
        assert!(from_span.links().any(|link| link.span_id == to_span.id), "{from:?} is linked to {to:?}");
    }
}

fn try_of(span: &Span) -> TryId {
    let number = |key: &str| span.tags[key].as_i64().expect("a number");
    (tag(span, "task_id"), number("map_index"), number("try_number"))
}

fn tag(span: &Span, key: &str) -> String {
    span.tags.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// Prometheus counts the end of the task once, by a scrape that was made after this call.
fn counts_once(stack: &Stack, task_id: &str, state: &str) {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970").as_secs_f64();
    let series =
        format!(r#"airflow_ti_finish_total{{dag_id="shop_dbt",task_id="{task_id}",state="{state}"}}"#);
    let fresh = format!("timestamp({series}) > {now}");
    stack.series().wait_for(&fresh, |samples| !samples.is_empty(), SOON);
    let samples = stack.series().query(&series).expect("Prometheus answers");
    let values: Vec<_> = samples.iter().map(|sample| sample.value).collect();
    println!("{series} = {values:?}");
    assert_eq!(values, [1.0]);
}

fn durations_agree(stack: &Stack, recorded: &Recorded, dag_id: &str) {
    let query = format!(r#"sum by (task_id) (airflow_task_duration_seconds_sum{{dag_id="{dag_id}"}})"#);
    let samples = stack.series().wait_for(&query, |samples| !samples.is_empty(), SOON);
    assert!(samples.len() >= 5);
    for sample in samples {
        let (task_id, expected) = (sample.label("task_id"), recorded.seconds(sample.label("task_id")));
        println!("{dag_id} {task_id}: {:.6} s counted, {expected:.6} s recorded", sample.value);
        assert!((sample.value - expected).abs() < 0.001, "{task_id}");
    }
}
