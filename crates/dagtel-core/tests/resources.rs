//! What tries used, and under which span they ran, as spans and metrics tell it.

use std::sync::Arc;

use dagtel_core::catalog::metric::Metric;
use dagtel_core::event::{
    Event, Exception, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::id::{RunIds, task_span_id, traceparent};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::metrics::Point;
use dagtel_core::signal::{Span, spans};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, Value};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

struct Story {
    fold: Fold,
    run: Arc<RunKey>,
}

impl Story {
    fn new() -> Self {
        let mut story =
            Self { fold: Fold::new(at(0), Timing::default()), run: Arc::new(RunKey::new("dag", "run")) };
        story.run(0, RunChange::Started);
        story
    }

    fn run(&mut self, when: u64, change: RunChange) {
        self.tell(when, Fact::Run { change, details: RunDetails::default() });
    }

    fn task(&mut self, when: u64, task: &TryKey, change: TaskChange, details: TaskDetails) {
        self.tell(when, Fact::Task { key: task.clone(), change, details });
    }

    fn tell(&mut self, when: u64, fact: Fact) {
        let event = Event { run: self.run.clone(), at: at(when), truth: Truth::Reported, fact };
        self.fold.apply(admit(event).0);
    }

    fn usage(&mut self) -> Option<i64> {
        self.fold.update_gauges();
        match self.fold.metrics().get(Metric::TaskMemoryUsage, &["dag", "map", "sampled_rss"]) {
            Some(Point::Gauge(bytes)) => Some(*bytes),
            _ => None,
        }
    }

    fn finish(&mut self) -> Vec<Span> {
        self.run(9_000, RunChange::Finished(RunState::Success));
        spans(self.fold.finish()).collect()
    }
}

fn attributes(attributes: impl IntoIterator<Item = (&'static str, Value)>) -> TaskDetails {
    let attributes = attributes.into_iter().map(|(key, value)| (key.into(), value)).collect();
    TaskDetails { attributes, ..TaskDetails::default() }
}

fn uses(usage: i64, peak: i64) -> TaskDetails {
    attributes([
        ("memory_usage_bytes", usage.into()),
        ("memory_usage_method", "sampled_rss".into()),
        ("memory_peak_bytes", peak.into()),
        ("memory_peak_method", "vmhwm".into()),
        ("cpu_time_s", 1.5.into()),
    ])
}

fn mapped(index: i32) -> TryKey {
    TryKey { map_index: index, ..TryKey::new("map") }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find_map(|(name, value): &Attribute| (name == key).then_some(value))
}

#[test]
fn the_gauge_of_usage_sums_what_runs_and_ends_with_it() {
    let mut story = Story::new();
    for index in 0..2 {
        story.task(1, &mapped(index), TaskChange::Started, TaskDetails::default());
        story.task(2, &mapped(index), TaskChange::Updated, uses(100, 150));
    }
    story.task(3, &mapped(0), TaskChange::Updated, uses(70, 150));
    assert_eq!(story.usage(), Some(170));
    story.task(4, &mapped(0), TaskChange::Finished(TaskState::Success), TaskDetails::default());
    assert_eq!(story.usage(), Some(100));
    story.task(5, &mapped(1), TaskChange::Finished(TaskState::Success), TaskDetails::default());
    assert_eq!(story.usage(), Some(0), "told once, or a receiver would show the last value for ever");
    assert_eq!(story.usage(), None);
}

#[test]
fn a_try_that_was_killed_keeps_what_was_last_known_of_it() {
    let mut story = Story::new();
    let task = TryKey::new("load");
    story.task(1, &task, TaskChange::Started, TaskDetails::default());
    for sample in 0..1000 {
        let peak = 1_000 + i64::try_from(sample).unwrap();
        story.task(2 + sample, &task, TaskChange::Updated, uses(5, peak));
    }
    let spans = story.finish();
    let span = spans.iter().find(|span| span.name == "task_run.load").unwrap();
    assert_eq!(attribute(span, "memory_peak_bytes"), Some(&Value::Int(1999)));
    assert_eq!(attribute(span, "memory_peak_method"), Some(&Value::from("vmhwm")));
    assert_eq!(attribute(span, "cpu_time_s"), Some(&Value::Float(1.5)));
    assert_eq!(attribute(span, "memory_usage_bytes"), None);
    let metrics = story.fold.metrics();
    let peak = metrics.get(Metric::TaskMemoryPeak, &["dag", "load", "vmhwm"]);
    assert!(matches!(peak, Some(Point::Last(_, 1999))), "{peak:?}");
}

#[test]
fn the_gauge_of_peaks_tells_the_try_that_ended_last() {
    let mut story = Story::new();
    for (end, peak) in [(30, 300), (20, 900)] {
        let task = mapped(end);
        let end = u64::try_from(end).unwrap();
        story.task(1, &task, TaskChange::Started, TaskDetails::default());
        story.task(end, &task, TaskChange::Finished(TaskState::Success), uses(0, peak));
    }
    story.finish();
    let peak = story.fold.metrics().get(Metric::TaskMemoryPeak, &["dag", "map", "vmhwm"]);
    assert_eq!(peak, Some(&Point::Last(at(30), 300)));
}

#[test]
fn an_oom_kill_is_counted() {
    let mut story = Story::new();
    for (task, kind) in [("a", "oom_killed"), ("b", "signal:SIGKILL")] {
        let task = TryKey::new(task);
        story.task(1, &task, TaskChange::Started, TaskDetails::default());
        let exception = Some(Box::new(Exception::new(kind, "")));
        let details = TaskDetails { exception, ..TaskDetails::default() };
        story.task(2, &task, TaskChange::Finished(TaskState::Failed), details);
    }
    story.finish();
    let kills = |task| story.fold.metrics().get(Metric::TaskOomKills, &["dag", task]);
    assert_eq!((kills("a"), kills("b")), (Some(&Point::Counter(1)), None));
}

#[test]
fn a_try_that_was_started_within_another_is_its_child() {
    let mut story = Story::new();
    let (outer, inner, foreign) = (TryKey::new("outer"), TryKey::new("inner"), TryKey::new("foreign"));
    let ids = RunIds::of(&story.run);
    let outer_id = task_span_id(&story.run, &outer);
    let within = |text: String| attributes([("traceparent", text.into())]);
    story.task(1, &outer, TaskChange::Started, TaskDetails::default());
    story.task(2, &inner, TaskChange::Started, within(traceparent(ids.trace_id, outer_id)));
    let other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    story.task(3, &foreign, TaskChange::Started, within(other.to_owned()));
    for task in [&outer, &inner, &foreign] {
        story.task(4, task, TaskChange::Finished(TaskState::Success), TaskDetails::default());
    }
    let spans = story.finish();
    let span = |name: &str| spans.iter().find(|span| span.name == name).expect("a span of each task");
    assert_eq!(span("task_run.outer").parent, Some(ids.span_id));
    assert_eq!(span("task_run.inner").parent, Some(outer_id));
    assert!(span("task_run.inner").links.is_empty());
    assert_eq!(span("task_run.foreign").parent, Some(ids.span_id));
    assert_eq!(span("task_run.foreign").links[0].trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert!(spans.iter().all(|span| attribute(span, "traceparent").is_none()));
}
