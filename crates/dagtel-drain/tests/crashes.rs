//! A drainer that dies, or whose disk fails, at each point of a step: every line that a task logged is told once.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use dagtel_core::event::{Event, Fact, LogLine, TaskChange, TaskDetails, TaskState, Truth};
use dagtel_core::guard::Guard;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use dagtel_drain::{Drainer, DrainerOptions, Durability, Journal, Layout};
use dagtel_otlp::{Identity, Signal, record};
use dagtel_spool::{Class, Options, Position, Spool};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

/// Lines of a step: more than one frame has room for.
const LINES: usize = 1500;

fn layout(dir: &tempfile::TempDir) -> Layout {
    Layout::new(dir.path())
}

fn drainer(layout: &Layout, events: bool) -> Drainer {
    let mut options = DrainerOptions::new(Identity::new("test", "instance"));
    (options.events, options.logs, options.metrics) = (events, !events, false);
    let drainer = Drainer::open(layout.clone(), options, SystemTime::now()).expect("a directory of our own");
    drainer.expect("nobody else drains it")
}

fn step(drainer: &mut Drainer) {
    drainer.step(SystemTime::now()).expect("it can be drained");
}

fn write(layout: &Layout, facts: impl IntoIterator<Item = Fact>) {
    let journal =
        Journal::open(layout, Durability::Process, Guard::default(), |reason, _| panic!("{reason}"));
    let journal = journal.expect("a directory of our own");
    for fact in facts {
        let run = Arc::new(RunKey::new("sales", "run"));
        let at = Timestamp::from(SystemTime::now());
        journal.append(Event { run, at, truth: Truth::Reported, fact });
    }
}

fn lines(numbers: std::ops::Range<usize>) -> impl Iterator<Item = Fact> {
    numbers.map(|number| {
        let line = LogLine { body: format!("line {number}").into(), ..LogLine::default() };
        Fact::Log { key: TryKey::new("load"), line }
    })
}

/// The frames of a signal in the outbox, in their order.
fn frames(layout: &Layout, signal: Signal) -> Vec<Vec<u8>> {
    let mut reader = Spool::open(layout.outbox(), Options::default()).expect("an outbox").reader();
    let mut found = Vec::new();
    for stream in reader.streams().expect("it can be read") {
        let batch = reader.read(stream.id, Position::default(), usize::MAX).expect("it can be read");
        let records = batch.records.iter().filter(|found| record::signal_of(found.kind) == Some(signal));
        found.extend(records.map(|found| {
            let (number, body) = record::parse(&found.payload).expect("a frame");
            (number, body.to_vec())
        }));
    }
    found.sort();
    found.into_iter().map(|(_, body)| body).collect()
}

/// The texts of the records of a signal, in their order.
fn told(layout: &Layout, signal: Signal) -> Vec<String> {
    let requests = frames(layout, signal);
    let requests = requests.iter().map(|body| ExportLogsServiceRequest::decode(&**body).expect("a request"));
    let scopes = requests.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
    let bodies = scopes.flat_map(|scope| scope.log_records).filter_map(|record| record.body?.value);
    bodies.map(|body| if let Value::StringValue(text) = body { text } else { panic!("{body:?}") }).collect()
}

fn expected(lines: usize) -> Vec<String> {
    (0..lines).map(|number| format!("line {number}")).collect()
}

/// Cuts the file in the outbox that was written last in the middle, as a crash in the middle of an append leaves it.
fn tear_outbox(layout: &Layout) {
    fn files(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(dir).expect("it is there").flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files(&entry.path(), found),
                _ => found.push(entry.path()),
            }
        }
    }
    let mut found = Vec::new();
    files(&layout.outbox(), &mut found);
    let details = format!(".{}.", Class::Detail.name());
    found.retain(|path| path.to_string_lossy().contains(&details));
    let [file] = &found[..] else { panic!("one segment of log frames: {found:?}") };
    let file = fs::OpenOptions::new().write(true).open(file).expect("it can be written");
    file.set_len(file.metadata().expect("it is there").len() / 2).expect("it can be cut");
}

#[test]
fn lines_are_told_once_when_the_drainer_dies_behind_the_outbox() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    write(&layout, lines(0..LINES));
    step(&mut drainer(&layout, false));
    // Its last step is the one in the state.
    step(&mut drainer(&layout, false));
    assert_eq!(told(&layout, Signal::Logs), expected(LINES));
}

#[test]
fn lines_are_told_once_when_the_drainer_dies_before_the_outbox() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    write(&layout, lines(0..LINES));
    step(&mut drainer(&layout, false));
    fs::remove_dir_all(layout.outbox()).expect("it is there");
    write(&layout, lines(LINES..LINES + 1));
    step(&mut drainer(&layout, false));
    assert_eq!(told(&layout, Signal::Logs), expected(LINES + 1));
}

#[test]
fn lines_are_told_once_when_the_drainer_dies_in_the_middle_of_the_outbox() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    write(&layout, lines(0..LINES));
    step(&mut drainer(&layout, false));
    assert!(frames(&layout, Signal::Logs).len() >= 3, "there is a middle");
    tear_outbox(&layout);
    let left = told(&layout, Signal::Logs).len();
    assert!(0 < left && left < LINES, "{left}");
    step(&mut drainer(&layout, false));
    assert_eq!(told(&layout, Signal::Logs), expected(LINES));
}

#[test]
fn lines_are_told_once_when_the_drainer_dies_before_its_state_is_saved() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    write(&layout, lines(0..LINES));
    let mut first = drainer(&layout, false);
    let obstacle = refuse_state(&layout);
    first.step(SystemTime::now()).expect_err("the state cannot be saved");
    drop(first);
    fs::remove_dir(obstacle).expect("it is there");
    assert_eq!(told(&layout, Signal::Logs).len(), 0);
    step(&mut drainer(&layout, false));
    assert_eq!(told(&layout, Signal::Logs), expected(LINES));
}

/// What is forwarded has its id before a crash and after it.
#[test]
fn forwarded_lines_keep_their_ids_when_the_drainer_dies() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    write(&layout, lines(0..LINES));
    step(&mut drainer(&layout, true));
    let before = told(&layout, Signal::Events);
    fs::remove_dir_all(layout.outbox()).expect("it is there");
    step(&mut drainer(&layout, true));
    assert_eq!(told(&layout, Signal::Events), before);
    assert_eq!(before.len(), LINES);
}

/// Makes saving the state fail, as a full disk does. Returns what is in its way.
fn refuse_state(layout: &Layout) -> std::path::PathBuf {
    let mut new = layout.state().into_os_string();
    new.push(".new");
    fs::create_dir(&new).expect("no state is being written");
    new.into()
}

#[test]
fn frames_of_a_step_whose_state_could_not_be_saved_come_with_the_next() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let layout = layout(&dir);
    let task = |change| Fact::Task { key: TryKey::new("load"), change, details: TaskDetails::default() };
    let mut drainer = drainer(&layout, false);
    write(&layout, [task(TaskChange::Started)].into_iter().chain(lines(0..LINES)));
    let obstacle = refuse_state(&layout);
    drainer.step(SystemTime::now()).expect_err("the state cannot be saved");
    // So it goes on, whatever more comes.
    write(&layout, lines(LINES..LINES + 1).chain([task(TaskChange::Finished(TaskState::Success))]));
    drainer.finish(SystemTime::now()).expect_err("the state cannot be saved");
    fs::remove_dir(obstacle).expect("it is there");
    write(&layout, lines(LINES + 1..LINES + 2));
    step(&mut drainer);
    assert_eq!(told(&layout, Signal::Logs), expected(LINES + 2));
    let spans = frames(&layout, Signal::Traces);
    let spans = spans.iter().map(|body| ExportTraceServiceRequest::decode(&**body).expect("a request"));
    let spans = spans.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
    assert_eq!(spans.map(|scope| scope.spans.len()).sum::<usize>(), 1);
}
