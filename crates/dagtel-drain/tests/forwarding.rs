//! Two hosts that forward their events, and one that folds them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dagtel_core::event::{
    Event, Fact, LogLine, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::fold::{Anomaly, Timing};
use dagtel_core::guard::Guard;
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use dagtel_drain::{Drainer, DrainerOptions, Durability, Intake, IntakeError, Journal, Layout};
use dagtel_otlp::{Identity, Signal, event_of, record};
use dagtel_spool::{Options, Position, Spool};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tempfile::TempDir;

const SECOND: Duration = Duration::from_secs(1);

struct Host {
    _dir: TempDir,
    layout: Layout,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { layout: Layout::new(dir.path()), _dir: dir }
    }

    fn journal(&self) -> Journal {
        Journal::open(&self.layout, Durability::Process, Guard::default(), |reason, _| panic!("{reason}"))
            .expect("a new directory")
    }

    fn drainer(&self, events: bool) -> Drainer {
        let mut options = DrainerOptions::new(Identity::new("test", "instance"));
        (options.events, options.traces, options.metrics) = (events, !events, !events);
        options.adoption = SECOND;
        if !events {
            options.timing = Timing::new(SECOND, SECOND).across_hosts(10 * SECOND);
        }
        let drainer = Drainer::open(self.layout.clone(), options, now()).expect("a directory of our own");
        drainer.expect("nobody else drains it")
    }

    /// The requests of a signal in the outbox.
    fn sent(&self, signal: Signal) -> Vec<Vec<u8>> {
        let mut reader = Spool::open(self.layout.outbox(), Options::default()).expect("an outbox").reader();
        let mut sent = Vec::new();
        for stream in reader.streams().expect("it can be read") {
            let batch = reader.read(stream.id, Position::default(), usize::MAX).expect("it can be read");
            let of_signal =
                batch.records.iter().filter(|found| record::signal_of(found.kind) == Some(signal));
            sent.extend(of_signal.map(|found| record::parse(&found.payload).expect("a frame").1.to_vec()));
        }
        sent
    }

    fn forwarded(&self) -> Vec<Event> {
        let requests = self.sent(Signal::Events);
        let requests =
            requests.iter().map(|body| ExportLogsServiceRequest::decode(&**body).expect("a request"));
        let scopes =
            requests.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
        let records = scopes.flat_map(|scope| scope.log_records);
        records.map(|record| event_of(&record).expect("an event")).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.sent(Signal::Traces);
        let requests =
            requests.iter().map(|body| ExportTraceServiceRequest::decode(&**body).expect("a request"));
        let scopes =
            requests.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn run_event(change: RunChange) -> Event {
    event(Fact::Run { change, details: RunDetails::default() })
}

fn task_event(task: &str, upstream: &[&str], change: TaskChange) -> Event {
    let upstream = (!upstream.is_empty()).then(|| upstream.iter().map(|task| (*task).into()).collect());
    let details = TaskDetails { upstream, ..TaskDetails::default() };
    event(Fact::Task { key: TryKey::new(task), change, details })
}

fn event(fact: Fact) -> Event {
    let run = Arc::new(RunKey::new("sales", "run"));
    Event { run, at: Timestamp::from(now()), truth: Truth::Reported, fact }
}

fn receive(intake: &Intake, events: &[Event]) {
    intake.take(events.to_vec()).expect("there is room");
}

#[test]
fn what_two_hosts_forward_is_one_trace_however_often_it_comes() {
    let (first, second, folding) = (Host::new(), Host::new(), Host::new());
    let (scheduler, worker) = (first.journal(), second.journal());
    scheduler.append(run_event(RunChange::Started));
    scheduler.append(task_event("extract", &[], TaskChange::Started));
    scheduler.append(task_event("extract", &[], TaskChange::Finished(TaskState::Success)));
    worker.append(task_event("load", &["extract"], TaskChange::Started));
    worker.append(task_event("load", &["extract"], TaskChange::Finished(TaskState::Success)));
    scheduler.append(run_event(RunChange::Finished(RunState::Success)));
    for host in [&first, &second] {
        let mut drainer = host.drainer(true);
        drainer.step(now()).expect("it can be drained");
        assert_eq!(drainer.counts().forwarded, drainer.counts().events);
        // Everything was forwarded; nothing is sent besides, now or when the run is final here.
        drainer.step_with_metrics(now() + 60 * SECOND).expect("it can be drained");
        assert_eq!((host.spans().len(), host.sent(Signal::Metrics).len()), (0, 0));
    }

    let intake = Intake::open(&folding.layout, Guard::default()).expect("a new directory");
    let mut drainer = folding.drainer(false);
    let began = now();
    receive(&intake, &second.forwarded());
    receive(&intake, &second.forwarded());
    drainer.step(began).expect("it can be drained");
    receive(&intake, &first.forwarded());
    drainer.step(began).expect("it can be drained");
    drainer.step(began + 2 * SECOND).expect("it can be drained");
    receive(&intake, &first.forwarded());
    drainer.step(began + 60 * SECOND).expect("it can be drained");
    let spans = folding.spans();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans.iter().map(|span| span.links.len()).sum::<usize>(), 1);
    let count = |anomaly| drainer.fold().anomalies().count(anomaly);
    assert_eq!((count(Anomaly::Duplicate), count(Anomaly::Late)), (2, 4));
}

/// A request in flight when an agent is killed comes again.
#[test]
fn a_forwarded_line_that_comes_twice_is_told_once() {
    let (host, folding) = (Host::new(), Host::new());
    let journal = host.journal();
    journal.append(task_event("load", &[], TaskChange::Started));
    // Two lines that are alike to the nanosecond are two lines all the same.
    let line = LogLine { body: "still waiting".into(), ..LogLine::default() };
    let line = event(Fact::Log { key: TryKey::new("load"), line });
    (0..2).for_each(|_| journal.append(line.clone()));
    host.drainer(true).step(now()).expect("it can be drained");

    let events = host.forwarded();
    assert_eq!(events.len(), 3);
    for _ in 0..2 {
        let intake = Intake::open(&folding.layout, Guard::default()).expect("a directory of our own");
        receive(&intake, &events);
        receive(&intake, &events[2..]);
        folding.drainer(false).step(now()).expect("it can be drained");
    }
    let mut drainer = folding.drainer(false);
    drainer.finish(now()).expect("it can be drained");
    let records = folding.sent(Signal::Logs);
    let records = records.iter().map(|body| ExportLogsServiceRequest::decode(&**body).expect("a request"));
    let records = records.flat_map(|request| request.resource_logs).flat_map(|resource| resource.scope_logs);
    let records: Vec<_> = records.flat_map(|scope| scope.log_records).collect();
    let uids = records.iter().flat_map(|record| &record.attributes);
    let uids: BTreeSet<_> = uids
        .filter(|attribute| attribute.key == "log.record.uid")
        .map(|uid| format!("{:?}", uid.value))
        .collect();
    assert_eq!((records.len(), uids.len()), (2, 2));
    assert_eq!(drainer.fold().anomalies().count(Anomaly::Duplicate), 1 + 4, "a start and four lines");
}

/// The lock of a writer tells of its death only on its own host.
#[test]
fn the_death_of_a_process_is_forwarded() {
    let host = Host::new();
    let (engine, worker) = (host.journal(), host.journal());
    engine.append(run_event(RunChange::Started));
    worker.append(task_event("load", &[], TaskChange::Started));
    let mut drainer = host.drainer(true);
    drainer.step(now()).expect("it can be drained");
    drop(worker);
    drainer.step(now()).expect("it can be drained");
    drop(engine);
    drainer.step(now()).expect("it can be drained");
    drainer.step(now() + 2 * SECOND).expect("it can be drained");
    let inferred: Vec<_> =
        host.forwarded().into_iter().filter(|event| event.truth == Truth::Inferred).collect();
    let facts = inferred.iter().map(|event| match &event.fact {
        Fact::Task { change, .. } => format!("{change:?}"),
        Fact::Run { change, .. } => format!("{change:?}"),
        _ => String::new(),
    });
    let facts: Vec<_> = facts.collect();
    assert_eq!(facts, ["Finished(Lost)", "Finished(Lost)"]);
}

/// Who received a start does not own what was started: it may be killed, and the task goes on elsewhere.
#[test]
fn the_death_of_the_folding_agent_means_nothing_to_what_it_received() {
    let folding = Host::new();
    let told = |change| vec![task_event("load", &[], change)];
    let intake = Intake::open(&folding.layout, Guard::default()).expect("a new directory");
    receive(&intake, &[run_event(RunChange::Started)]);
    receive(&intake, &told(TaskChange::Started));
    folding.drainer(false).step(now()).expect("it can be drained");
    drop(intake);
    let intake = Intake::open(&folding.layout, Guard::default()).expect("it is still there");
    let mut drainer = folding.drainer(false);
    let began = now();
    drainer.step(began).expect("it can be drained");
    drainer.step(began + 60 * SECOND).expect("it can be drained");
    receive(&intake, &told(TaskChange::Finished(TaskState::Success)));
    receive(&intake, &[run_event(RunChange::Finished(RunState::Success))]);
    drainer.step(began + 61 * SECOND).expect("it can be drained");
    drainer.step(began + 90 * SECOND).expect("it can be drained");
    let status: Vec<_> =
        folding.spans().into_iter().map(|span| span.status.map(|status| status.code)).collect();
    assert!(status.len() == 2 && status.iter().all(|code| *code != Some(2)), "{status:?}");
}

/// A full journal would give up its oldest events, which were acknowledged.
#[test]
fn a_journal_that_is_half_full_takes_no_more() {
    let host = Host::new();
    let intake = Intake::open(&host.layout, Guard::default()).expect("a new directory");
    let filler = Spool::open(host.layout.journal(), Options::default()).expect("it can be opened").writer();
    let block = vec![0; 4 * 1024 * 1024];
    while intake.take(vec![run_event(RunChange::Started)]).is_ok() {
        filler.append(1, dagtel_spool::Class::Lifecycle, 1, &block).expect("there is room");
    }
    assert_eq!(intake.take(vec![run_event(RunChange::Started)]), Err(IntakeError::Behind));
}
