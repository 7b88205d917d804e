//! One run whose facts come from several hosts, in no order in time, and more than once.

use std::sync::Arc;
use std::time::Duration;

use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Anomaly, Change, ClosedRun, ClosedTry, Fold, LinkKind, Timing};
use dagtel_core::guard::admit;
use dagtel_core::id::{RunIds, task_span_id};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::signal::{Span, spans};
use dagtel_core::time::Timestamp;
use proptest::prelude::*;

const GRACE: u64 = 5;
const PATIENCE: u64 = 120;

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + seconds * 1000)
}

fn fold() -> Fold {
    let timing = Timing::new(Duration::from_secs(GRACE), Duration::from_secs(2));
    Fold::new(seconds(0), timing.across_hosts(Duration::from_secs(PATIENCE)))
}

fn run() -> Arc<RunKey> {
    Arc::new(RunKey::new("sales", "run"))
}

fn run_event(at: u64, truth: Truth, change: RunChange) -> Event {
    let fact = Fact::Run { change, details: RunDetails::default() };
    Event { run: run(), at: seconds(at), truth, fact }
}

fn task_event(at: u64, task: &str, try_number: u32, upstream: &[&str], change: TaskChange) -> Event {
    let key = TryKey { try_number, ..TryKey::new(task) };
    let upstream = (!upstream.is_empty()).then(|| upstream.iter().map(|task| (*task).into()).collect());
    let fact = Fact::Task { key, change, details: TaskDetails { upstream, ..TaskDetails::default() } };
    Event { run: run(), at: seconds(at), truth: Truth::Reported, fact }
}

fn whole_try(task: &str, try_number: u32, upstream: &[&str], state: TaskState) -> Vec<Event> {
    let start = 10 * u64::from(try_number);
    vec![
        task_event(start, task, try_number, upstream, TaskChange::Started),
        task_event(start + 5, task, try_number, upstream, TaskChange::Finished(state)),
    ]
}

fn of_run(state: RunState) -> Vec<Event> {
    vec![
        run_event(0, Truth::Reported, RunChange::Started),
        run_event(60, Truth::Reported, RunChange::Finished(state)),
    ]
}

fn apply(fold: &mut Fold, events: &[Event]) {
    events.iter().for_each(|event| fold.apply(admit(event.clone()).0));
}

/// What came to its end by a time.
fn closed(fold: &mut Fold, at: u64) -> impl Iterator<Item = Change> + use<> {
    fold.due(seconds(at)).into_iter().filter(|change| !matches!(change, Change::Started(_)))
}

/// What came out when the fold was looked at every second, until then.
fn look(fold: &mut Fold, from: u64, until: u64) -> Vec<Change> {
    (from..until).flat_map(|second| closed(fold, second)).collect()
}

/// A fold that was told all at the same time, and what came out of it.
fn told_at_once(all: &[Event]) -> (Fold, Vec<Change>) {
    let mut fold = fold();
    apply(&mut fold, all);
    let changes = look(&mut fold, 100, 100 + PATIENCE);
    (fold, changes)
}

fn tries(changes: &[Change]) -> Vec<&ClosedTry> {
    changes
        .iter()
        .filter_map(|change| if let Change::Try(closed) = change { Some(&**closed) } else { None })
        .collect()
}

fn the_run(changes: &[Change]) -> Option<&ClosedRun> {
    changes.iter().find_map(|change| if let Change::Run(closed) = change { Some(&**closed) } else { None })
}

fn links(closed: &ClosedTry, kind: LinkKind) -> Vec<String> {
    let of_kind = closed.links.links.iter().filter(|link| link.kind == kind);
    of_kind.map(|link| link.span_id.to_string()).collect()
}

fn span_id(task: &str, try_number: u32) -> String {
    task_span_id(&run(), &TryKey { try_number, ..TryKey::new(task) }).to_string()
}

/// The scheduler's host and that of the downstream task are heard at once, that of the retried upstream a minute later.
#[test]
fn a_host_that_lags_is_waited_for_and_every_link_is_there() {
    let mut fold = fold();
    apply(&mut fold, &of_run(RunState::Success));
    apply(&mut fold, &whole_try("load", 1, &["extract"], TaskState::Success));
    assert_eq!(look(&mut fold, 100, 130), []);
    apply(&mut fold, &whole_try("extract", 1, &[], TaskState::Failed));
    assert_eq!(look(&mut fold, 130, 160), [], "the upstream failed, so there must be another try of it");
    apply(&mut fold, &whole_try("extract", 2, &[], TaskState::Success));
    let changes = look(&mut fold, 160, 160 + GRACE + 1);
    let closed = tries(&changes);
    assert_eq!((closed.len(), the_run(&changes).map(|run| run.state)), (3, Some(RunState::Success)));
    let load = closed.iter().find(|closed| closed.key.task_id == "load").unwrap();
    assert_eq!(links(load, LinkKind::Dependency), [span_id("extract", 2)]);
    let retry = closed.iter().find(|closed| closed.key.try_number == 2).unwrap();
    assert_eq!(links(retry, LinkKind::RetryOf), [span_id("extract", 1)]);
    assert_eq!(fold.anomalies().seen().collect::<Vec<_>>(), []);
}

/// Nothing waits longer than `grace` in a run in which nothing is missing, also when it failed half-way.
#[test]
fn a_whole_run_is_closed_soon() {
    for (state, task) in [(RunState::Success, TaskState::Success), (RunState::Failed, TaskState::Failed)] {
        let mut fold = fold();
        apply(&mut fold, &whole_try("extract", 1, &[], task));
        apply(&mut fold, &of_run(state));
        assert_eq!(look(&mut fold, 500, 500 + GRACE), []);
        assert_eq!(look(&mut fold, 500 + GRACE, 501 + GRACE).len(), 2, "{state}");
    }
}

/// Found by the system test of sampling on a busy machine: a run was told without its only task.
#[test]
fn a_run_without_tasks_waits_for_them() {
    let mut fold = fold();
    apply(&mut fold, &of_run(RunState::Success));
    assert_eq!(look(&mut fold, 100, 160), []);
    apply(&mut fold, &whole_try("load", 1, &[], TaskState::Success));
    assert_eq!(look(&mut fold, 160, 161 + GRACE).len(), 2);
}

/// Nothing depends on it and nobody else speaks of it, so its run was closed without it.
#[test]
fn a_task_of_which_only_its_own_host_speaks_comes_out_after_its_run() {
    let (known, straggler) = (
        whole_try("extract", 1, &[], TaskState::Success),
        whole_try("clean", 1, &["extract"], TaskState::Failed),
    );
    let mut fold = fold();
    apply(&mut fold, &known);
    apply(&mut fold, &of_run(RunState::Success));
    assert_eq!(look(&mut fold, 100, 101 + GRACE).len(), 2);
    // Redelivery of what came out, before it, with it and after it.
    apply(&mut fold, &known);
    apply(&mut fold, &straggler);
    apply(&mut fold, &of_run(RunState::Success));
    assert_eq!(look(&mut fold, 200, 200 + GRACE), []);
    apply(&mut fold, &straggler);
    let changes = look(&mut fold, 200 + GRACE, 202 + GRACE);
    let closed = tries(&changes);
    let [clean] = closed[..] else { panic!("{changes:?}") };
    assert_eq!((clean.span_id.to_string(), clean.state), (span_id("clean", 1), TaskState::Failed));
    assert!(clean.links.unresolved.contains(&"extract".into()), "whose tries are not known any more");
    let spans: Vec<_> = spans(changes).collect();
    assert_eq!((spans.len(), spans[0].parent), (1, Some(RunIds::of(&run()).span_id)));
    assert_eq!(fold.open_runs(), 0);
    apply(&mut fold, &straggler);
    assert_eq!(look(&mut fold, 300, 300 + 2 * PATIENCE), []);

    let mut at_once = self::fold();
    for events in [known, straggler, of_run(RunState::Success)] {
        apply(&mut at_once, &events);
    }
    look(&mut at_once, 100, 101 + PATIENCE);
    assert_eq!(fold.metrics(), at_once.metrics());
}

/// The host of such a task sees its process die, or its end comes much later than its start.
#[test]
fn a_task_that_comes_after_its_run_waits_for_its_end() {
    for (truth, state) in [(Truth::Inferred, TaskState::Lost), (Truth::Reported, TaskState::Success)] {
        let mut fold = fold();
        apply(&mut fold, &whole_try("extract", 1, &[], TaskState::Success));
        apply(&mut fold, &of_run(RunState::Success));
        assert_eq!(look(&mut fold, 100, 101 + GRACE).len(), 2);
        apply(&mut fold, &[task_event(70, "clean", 1, &[], TaskChange::Started)]);
        assert_eq!(look(&mut fold, 200, 1000), []);
        let end = task_event(80, "clean", 1, &[], TaskChange::Finished(state));
        apply(&mut fold, &[Event { truth, ..end }]);
        let changes = look(&mut fold, 1000, 1001 + GRACE);
        assert_eq!(tries(&changes).iter().map(|closed| closed.state).collect::<Vec<_>>(), [state]);
        let odd = fold.anomalies().seen().collect::<Vec<_>>();
        assert!(fold.open_runs() == 0 && odd.is_empty(), "{odd:?}");
    }
}

/// What never comes is waited for once, and no longer.
#[test]
fn a_try_whose_end_never_comes_is_lost_when_patience_ends() {
    let mut fold = fold();
    apply(&mut fold, &[task_event(10, "extract", 1, &[], TaskChange::Started)]);
    apply(&mut fold, &of_run(RunState::Failed));
    assert_eq!(look(&mut fold, 100, 100 + PATIENCE), []);
    let changes = look(&mut fold, 100 + PATIENCE, 101 + PATIENCE);
    assert_eq!(tries(&changes).iter().map(|closed| closed.state).collect::<Vec<_>>(), [TaskState::Lost]);
}

/// Tries of a run of which nobody tells the end come out when nothing more is to be expected of them.
#[test]
fn tries_without_a_run_come_out() {
    let mut fold = fold();
    apply(&mut fold, &whole_try("extract", 1, &[], TaskState::Success));
    assert_eq!(look(&mut fold, 100, 100 + PATIENCE), []);
    assert_eq!(look(&mut fold, 100 + PATIENCE, 101 + PATIENCE).len(), 1);
}

/// A collector that was killed sends again what it had sent; that is no second span, no second count.
#[test]
fn what_is_delivered_again_changes_nothing() {
    let mut all = of_run(RunState::Success);
    all.extend(whole_try("extract", 1, &[], TaskState::Failed));
    all.extend(whole_try("extract", 2, &[], TaskState::Success));
    all.extend(whole_try("load", 1, &["extract"], TaskState::Success));
    let mut once = fold();
    apply(&mut once, &all);
    let expected = look(&mut once, 100, 200);
    let mut again = fold();
    let mut changes = Vec::new();
    for second in 100..200 {
        // Before it is closed and after it.
        apply(&mut again, &all);
        changes.extend(closed(&mut again, second));
    }
    assert_eq!(changes, expected);
    assert_eq!(again.metrics(), once.metrics());
    let odd: Vec<_> = again.anomalies().seen().map(|(anomaly, _)| anomaly).collect();
    assert_eq!(odd, [Anomaly::Duplicate, Anomaly::Late]);
}

/// The agent of one host finds its engine dead, while the run was taken up on another host.
#[test]
fn a_run_that_was_taken_up_elsewhere_is_not_lost() {
    let mut fold = fold();
    apply(&mut fold, &[run_event(0, Truth::Reported, RunChange::Started)]);
    apply(&mut fold, &[run_event(30, Truth::Reported, RunChange::Started)]);
    apply(&mut fold, &[run_event(20, Truth::Inferred, RunChange::Finished(RunState::Lost))]);
    assert_eq!(look(&mut fold, 100, 1000), []);
    apply(&mut fold, &[run_event(990, Truth::Reported, RunChange::Finished(RunState::Success))]);
    let changes = look(&mut fold, 1000, 1001 + PATIENCE);
    assert_eq!(the_run(&changes).map(|run| run.state), Some(RunState::Success));
}

/// And when the second engine dies too, it is lost after all.
#[test]
fn a_run_that_was_taken_up_and_lost_again_is_lost() {
    let mut fold = fold();
    apply(&mut fold, &[run_event(40, Truth::Inferred, RunChange::Finished(RunState::Lost))]);
    apply(&mut fold, &[run_event(30, Truth::Reported, RunChange::Started)]);
    apply(&mut fold, &[run_event(20, Truth::Inferred, RunChange::Finished(RunState::Lost))]);
    let changes = look(&mut fold, 100, 101 + PATIENCE);
    assert_eq!(the_run(&changes).map(|run| (run.state, run.ended)), Some((RunState::Lost, seconds(40))));
}

/// The host of the scheduler is gone, disk and all: nobody will ever end the run.
#[test]
fn a_run_of_which_nothing_is_heard_for_a_week_is_lost() {
    let mut fold = fold();
    apply(&mut fold, &[run_event(0, Truth::Reported, RunChange::Started)]);
    let hourly = |fold: &mut Fold, hours: std::ops::Range<u64>| -> Vec<Change> {
        hours.flat_map(|hour| closed(fold, 100 + hour * 3600)).collect()
    };
    assert_eq!(hourly(&mut fold, 0..7 * 24), []);
    let changes = hourly(&mut fold, 7 * 24..8 * 24);
    assert_eq!(the_run(&changes).map(|run| run.state), Some(RunState::Lost));
    assert_eq!(fold.open_runs(), 0);
}

/// A run of two hosts: on one the scheduler and some tasks, on the other the rest.
fn facts(retried: usize, tasks: usize) -> Vec<Event> {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut all = of_run(RunState::Success);
    for task in 0..tasks {
        let upstream: Vec<_> = names[..task].iter().rev().take(2).copied().collect();
        let last = if task % 3 == retried { 2 } else { 1 };
        if last == 2 {
            all.extend(whole_try(names[task], 1, &upstream, TaskState::UpForRetry));
        }
        all.extend(whole_try(names[task], last, &upstream, TaskState::Success));
    }
    all
}

fn come_out(fold: &mut Fold, changes: Vec<Change>) -> Vec<Span> {
    let mut out: Vec<_> = spans(changes).collect();
    out.extend(spans(fold.due(seconds(1_000_000))));
    out
}

fn shuffle(events: &mut [Event], order: u64) {
    events.sort_by_key(|event| {
        let text = format!("{order}{event:?}");
        text.bytes().fold(order, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However late each fact comes, as long as none is later than `grace` after the one before it.
    #[test]
    fn the_order_and_the_pace_of_arrival_do_not_matter(
        retried in 0..3usize,
        tasks in 1..6usize,
        order in any::<u64>(),
        pauses in prop::collection::vec(0..GRACE, 40),
        again in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut all = facts(retried, tasks);
        let (mut at_once, changes) = told_at_once(&all);
        let expected = come_out(&mut at_once, changes);
        prop_assert_eq!(expected[0].trace_id, RunIds::of(&run()).trace_id);

        shuffle(&mut all, order);
        let mut paced = fold();
        let (mut now, mut changes) = (100, Vec::new());
        for (place, event) in all.iter().enumerate() {
            apply(&mut paced, std::slice::from_ref(event));
            if again[place] {
                apply(&mut paced, &all[..place]);
            }
            let next = now + pauses[place];
            changes.extend(look(&mut paced, now, next + 1));
            now = next;
        }
        changes.extend(look(&mut paced, now, now + PATIENCE));
        prop_assert_eq!(come_out(&mut paced, changes), expected);
        prop_assert_eq!(paced.metrics(), at_once.metrics());
    }

    /// However late, up to `patience`: what is told may have fewer links, but nothing is lost and nothing comes twice.
    #[test]
    fn every_try_and_the_run_come_out_once_however_late_each_fact_comes(
        retried in 0..3usize,
        tasks in 1..6usize,
        order in any::<u64>(),
        pauses in prop::collection::vec(0..PATIENCE, 40),
        again in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut all = facts(retried, tasks);
        let (_, changes) = told_at_once(&all);
        let mut expected: Vec<_> = spans(changes).map(|span| span.span_id.to_bytes()).collect();
        shuffle(&mut all, order);
        let mut paced = fold();
        let (mut now, mut changes) = (100, Vec::new());
        for (place, event) in all.iter().enumerate() {
            apply(&mut paced, std::slice::from_ref(event));
            if again[place] {
                apply(&mut paced, &all[..place]);
            }
            let next = now + pauses[place];
            changes.extend(look(&mut paced, now, next + 1));
            now = next;
        }
        changes.extend(look(&mut paced, now, now + 2 * PATIENCE));
        let mut out: Vec<_> = spans(changes).map(|span| span.span_id.to_bytes()).collect();
        out.sort();
        expected.sort();
        prop_assert_eq!(out, expected);
    }
}
