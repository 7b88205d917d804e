//! The fold does not depend on the order in which facts are read, nor on how often.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use dagtel_core::event::{Event, Exception, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails};
use dagtel_core::event::{TaskState, Truth};
use dagtel_core::fold::{Anomaly, Fold, Timing};
use dagtel_core::guard::admit;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::metrics::{Metrics, Point};
use dagtel_core::signal::{Span, spans};
use dagtel_core::time::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

const TASKS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

/// What one try goes through, as its own process and the scheduler tell it.
#[derive(Clone, Debug)]
struct Story {
    task: &'static str,
    map_index: i32,
    try_number: u32,
    start: u64,
    length: u64,
    end: Option<TaskState>,
    roster: Option<TaskState>,
    queued: bool,
    attributes: u64,
    samples: u64,
}

fn story() -> impl Strategy<Value = Story> {
    let state = select(TaskState::ALL);
    (
        select(&TASKS[..]),
        -1..3i32,
        1..3u32,
        0..500u64,
        0..500u64,
        prop::option::weighted(0.8, state.clone()),
        prop::option::of(state),
        any::<bool>(),
        0..4u64,
        0..3u64,
    )
        .prop_map(
            |(task, map_index, try_number, start, length, end, roster, queued, attributes, samples)| Story {
                task,
                map_index,
                try_number,
                start,
                length,
                end,
                roster,
                queued,
                attributes,
                samples,
            },
        )
}

fn task_event(run: &Arc<RunKey>, story: &Story, when: u64, truth: Truth, change: TaskChange) -> Event {
    let key = TryKey { task_id: story.task.into(), map_index: story.map_index, try_number: story.try_number };
    let mut details = TaskDetails::default();
    if !matches!(change, TaskChange::Queued | TaskChange::Scheduled) {
        let attribute = |n| (format!("key{n}").into(), format!("{change:?}{n}").into());
        details.attributes = (0..story.attributes).map(attribute).collect();
        details.attributes.push(("execution_mode".into(), "local".into()));
    }
    if matches!(change, TaskChange::Finished(state) if state.is_error()) && truth == Truth::Reported {
        details.exception = Some(Box::new(Exception::new("E", "broken")));
    }
    Event { run: run.clone(), at: at(when), truth, fact: Fact::Task { key, change, details } }
}

/// What a try says of its memory while it runs.
fn sampled(run: &Arc<RunKey>, story: &Story, sample: u64) -> Event {
    let when = story.start + 3 + sample;
    let mut event = task_event(run, story, when, Truth::Reported, TaskChange::Updated);
    if let Fact::Task { details, .. } = &mut event.fact {
        let peak = 1000 - i64::try_from(sample).unwrap_or_default();
        details.attributes =
            vec![("memory_peak_bytes".into(), peak.into()), ("cpu_time_s".into(), 1i64.into())];
    }
    event
}

fn is_sample(event: &Event) -> bool {
    matches!(event.fact, Fact::Task { change: TaskChange::Updated, .. })
}

/// The events of a run: some tries, some told of twice by different parties.
fn events(dag: &str, stories: &[Story], roster: bool, ends: bool) -> Vec<Event> {
    let run = Arc::new(RunKey::new(dag, "run"));
    let run_event = |when, change, details| Event {
        run: run.clone(),
        at: at(when),
        truth: Truth::Reported,
        fact: Fact::Run { change, details },
    };
    let edges = TASKS.windows(2).map(|pair| (pair[0].into(), pair[1].into())).collect();
    let details = RunDetails { edges, roster, ..RunDetails::default() };
    let mut events = vec![
        run_event(0, RunChange::Queued, RunDetails::default()),
        run_event(1, RunChange::Started, details),
    ];
    for story in stories {
        let mut tell = |when, truth, change| events.push(task_event(&run, story, when, truth, change));
        if story.queued {
            tell(story.start, Truth::Reported, TaskChange::Scheduled);
            tell(story.start + 1, Truth::Reported, TaskChange::Queued);
        }
        tell(story.start + 2, Truth::Reported, TaskChange::Started);
        for sample in 0..story.samples {
            events.push(sampled(&run, story, sample));
        }
        let mut tell = |when, truth, change| events.push(task_event(&run, story, when, truth, change));
        if let Some(state) = story.end {
            tell(story.start + 2 + story.length, Truth::Reported, TaskChange::Finished(state));
        }
        if let Some(state) = story.roster {
            tell(story.start + 1, Truth::Roster, TaskChange::Started);
            tell(story.start + 9 + story.length, Truth::Roster, TaskChange::Finished(state));
        }
    }
    if ends {
        events.push(run_event(2000, RunChange::Finished(RunState::Success), RunDetails::default()));
    }
    events
}

/// Whether the roster says the same thing of the same try, which counts instead.
fn is_overruled(event: &Event, all: &[Event]) -> bool {
    let Fact::Task { key, change, .. } = &event.fact else { return false };
    let about = |other: &Event| match &other.fact {
        Fact::Task { key: same, change: too, .. } => {
            other.run == event.run && same == key && discriminant(too) == discriminant(change)
        }
        _ => false,
    };
    event.truth == Truth::Reported && all.iter().any(|other| other.truth == Truth::Roster && about(other))
}

/// Stories of distinct tries: two processes that tell different things of one try are another test's matter.
fn distinct(mut stories: Vec<Story>) -> Vec<Story> {
    stories.sort_by_key(|s| (s.task, s.map_index, s.try_number));
    stories.dedup_by_key(|s| (s.task, s.map_index, s.try_number));
    stories
}

fn folded(events: impl IntoIterator<Item = Event>) -> (Vec<Span>, Metrics, u64) {
    let mut fold = Fold::new(at(0), Timing::new(Duration::from_secs(1), Duration::from_secs(2)));
    events.into_iter().for_each(|event| fold.apply(admit(event).0));
    let spans = spans(fold.finish()).collect();
    (spans, fold.metrics().clone(), fold.anomalies().count(Anomaly::Duplicate))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_order_and_any_repetition_give_the_same_signals(
        one in prop::collection::vec(story(), 0..8).prop_map(distinct),
        two in prop::collection::vec(story(), 0..4).prop_map(distinct),
        roster in any::<bool>(),
        ends in any::<bool>(),
        seed in any::<u64>(),
        repeat in 0..4usize,
    ) {
        let mut all = events("one", &one, roster, ends);
        all.extend(events("two", &two, !roster, true));
        let (expected, metrics, duplicates) = folded(all.clone());
        prop_assert_eq!(duplicates, 0);

        // A repeated fact that a stronger or a later one has overruled is no duplicate but overruled again.
        let counting = all.iter().filter(|event| !is_overruled(event, &all) && !is_sample(event));
        let extra: Vec<_> = counting.step_by(5 - repeat).take(repeat * 3).cloned().collect();
        let mut shuffled = all;
        let repeated = extra.len() as u64;
        shuffled.extend(extra);
        shuffle(&mut shuffled, seed);
        let (spans, shuffled_metrics, duplicates) = folded(shuffled);
        prop_assert_eq!(spans, expected);
        prop_assert_eq!(shuffled_metrics, metrics);
        prop_assert_eq!(duplicates, repeated);
    }

    #[test]
    fn every_try_and_every_run_ends_in_exactly_one_span(
        stories in prop::collection::vec(story(), 0..10).prop_map(distinct),
        roster in any::<bool>(),
        ends in any::<bool>(),
        steps in prop::collection::vec(0..6000u64, 0..6),
        seed in any::<u64>(),
    ) {
        // Looked at again and again while the facts come in, at whatever time.
        let mut all = events("dag", &stories, roster, ends);
        shuffle(&mut all, seed);
        let mut fold = Fold::new(at(0), Timing::default());
        let mut out = Vec::new();
        let chunk = all.len().div_ceil(steps.len() + 1);
        let mut watermark = 0;
        for (index, part) in all.chunks(chunk).enumerate() {
            part.iter().for_each(|event| fold.apply(admit(event.clone()).0));
            watermark = watermark.max(steps.get(index).copied().unwrap_or_default());
            out.extend(spans(fold.due(at(watermark))));
        }
        out.extend(spans(fold.finish()));
        let mut ids: Vec<_> = out.iter().map(|span| span.span_id).collect();
        let produced = ids.len();
        ids.sort_by_key(|id| id.to_bytes());
        ids.dedup();
        prop_assert_eq!(ids.len(), produced, "a span came out twice");
        let late = fold.anomalies().count(Anomaly::Late);
        if late == 0 {
            prop_assert_eq!(produced, stories.len() + 1);
        }
        let starts: u64 = fold.metrics().series().filter_map(|series| match series.point {
            Point::Counter(count) if series.metric.definition().name == "ti.finish" => Some(*count),
            _ => None,
        }).sum();
        prop_assert_eq!(starts as usize, produced - 1, "each ended try is counted once");
    }

    #[test]
    fn a_fold_that_is_saved_and_restored_goes_on_as_if_nothing_had_been(
        stories in prop::collection::vec(story(), 0..8).prop_map(distinct),
        roster in any::<bool>(),
        cut in 0.0..1.0f64,
    ) {
        let all = events("dag", &stories, roster, true);
        let (expected, metrics, _) = folded(all.clone());
        let cut = (all.len() as f64 * cut) as usize;
        let mut fold = Fold::new(at(0), Timing::new(Duration::from_secs(1), Duration::from_secs(2)));
        all[..cut].iter().for_each(|event| fold.apply(admit(event.clone()).0));
        let saved = serde_json::to_vec(&fold).unwrap();
        let mut fold: Fold = serde_json::from_slice(&saved).unwrap();
        all[cut..].iter().for_each(|event| fold.apply(admit(event.clone()).0));
        prop_assert_eq!(spans(fold.finish()).collect::<Vec<_>>(), expected);
        prop_assert_eq!(fold.metrics(), &metrics);
    }
}

/// A small generator (SplitMix64), so that a failing order is found again from its seed.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for place in (1..items.len()).rev() {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        items.swap(place, ((z ^ (z >> 31)) % (place as u64 + 1)) as usize);
    }
}
