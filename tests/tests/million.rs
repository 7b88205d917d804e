//! R9: eight processes write as fast as they can while an agent drains, and every span arrives, by its id.
//!
//! 20,000 spans by default; 1,000,000 with `RUN_SLOW_TESTS=1`, which is meant for `--release`. Figures are printed, not
//! asserted: they are of this machine and of its load.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dagtel::core::id::{RunIds, task_span_id};
use dagtel::core::key::{RunKey, TryKey};
use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use dagtel_spool::Options;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::wait::until;

/// Says to this test binary that it is a writer, and which.
const WRITER: &str = "DAGTEL_TEST_WRITER";

const WRITERS: usize = 8;
/// Tries of a run, which has a span of its own besides.
const TRIES: i32 = 499;
const SPANS_A_RUN: usize = TRIES as usize + 1;
/// What the spools may have on disk over their budgets: a segment for each writer.
const OVER: u64 = 32 * 1024 * 1024;
/// After this long a test that waits has hung.
const HUNG: Duration = Duration::from_secs(600);

/// Runs of each writer.
fn runs() -> usize {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    if slow { 250 } else { 5 }
}

/// The ids of a span: its trace, and itself.
type Ids = ([u8; 16], [u8; 8]);

/// A collector that notes ids alone: a million whole spans would take gigabytes.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<Ids>,
    spans: usize,
}

fn note(seen: &Mutex<Seen>, request: Received) -> Answer {
    let Received::Traces(request) = request else { return Answer::Accept };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    for span in scopes.flat_map(|scope| scope.spans) {
        let (Ok(trace), Ok(span)) = (span.trace_id.try_into(), span.span_id.try_into()) else {
            return Answer::Refuse { message: "ids of a wrong length".into() };
        };
        seen.spans += 1;
        seen.ids.insert((trace, span));
    }
    Answer::Accept
}

fn run_id(writer: usize, run: usize) -> String {
    format!("{writer}/{run}")
}

/// The ids of all spans, derived from the keys as published.
fn expected(runs: usize) -> HashSet<Ids> {
    let mut ids = HashSet::with_capacity(WRITERS * runs * SPANS_A_RUN);
    for (writer, run) in (0..WRITERS).flat_map(|writer| (0..runs).map(move |run| (writer, run))) {
        let key = RunKey::new("many", run_id(writer, run));
        let RunIds { trace_id, span_id } = RunIds::of(&key);
        ids.insert((trace_id.to_bytes(), span_id.to_bytes()));
        for map_index in 0..TRIES {
            let task = TryKey { map_index, ..TryKey::new("task") };
            ids.insert((trace_id.to_bytes(), task_span_id(&key, &task).to_bytes()));
        }
    }
    ids
}

/// The most bytes that the journal and the outbox were seen to have, each for itself.
#[derive(Clone, Copy, Debug, Default)]
struct Peaks {
    journal: u64,
    outbox: u64,
}

fn sample(spool: &Path, done: &AtomicBool) -> Peaks {
    let mut peaks = Peaks::default();
    while !done.load(Ordering::Relaxed) {
        peaks.journal = peaks.journal.max(bytes(&spool.join("journal")));
        peaks.outbox = peaks.outbox.max(bytes(&spool.join("outbox")));
        std::thread::sleep(Duration::from_millis(20));
    }
    peaks
}

/// Bytes of the files below a directory. What goes away meanwhile does not count.
fn bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn start_writer(spool: &Path, writer: usize) -> Child {
    Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", "as_a_writer"])
        .env(WRITER, writer.to_string())
        .env("DAGTEL_SPOOL_DIR", spool)
        .stdout(Stdio::null())
        .spawn()
        .expect("a test can start itself")
}

/// Not a test of its own: a process that writes.
#[test]
fn as_a_writer() {
    let Ok(writer) = std::env::var(WRITER) else { return };
    let writer = writer.parse().unwrap();
    let dagtel = Dagtel::builder("writer").reporter().unwrap();
    for number in 0..runs() {
        let run = dagtel.start(DagRun::new("many", run_id(writer, number)));
        for index in 0..TRIES {
            run.start(TaskInstance::new("task").map_index(index)).success();
        }
        run.success();
    }
}

#[test]
fn eight_writers_as_fast_as_they_can_lose_nothing() {
    let (spool, runs) = (tempfile::tempdir().unwrap(), runs());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let sink = seen.clone();
    let receiver =
        ReceiverThread::start(ReceiverOptions::any_port(), move |request| note(&sink, request)).unwrap();
    let agent = Agent::start(spool.path(), &format!("http://{}", receiver.grpc_addr().unwrap()));
    let expected = expected(runs);
    let (done, began) = (AtomicBool::new(false), Instant::now());
    let (peaks, on_disk, delivered) = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(spool.path(), &done));
        let writers: Vec<_> = (0..WRITERS).map(|writer| start_writer(spool.path(), writer)).collect();
        let ended: Vec<_> = writers.into_iter().map(|mut writer| writer.wait()).collect();
        let on_disk = began.elapsed();
        assert!(ended.iter().all(|end| end.as_ref().is_ok_and(std::process::ExitStatus::success)));
        until("all spans", HUNG, || {
            let there = seen.lock().unwrap_or_else(PoisonError::into_inner).ids.len();
            if there >= expected.len() { Ok(()) } else { Err(format!("{there} of {}", expected.len())) }
        });
        let delivered = began.elapsed();
        done.store(true, Ordering::Relaxed);
        (sampler.join().unwrap(), on_disk, delivered)
    });
    let resident = agent.resident_kib();
    assert_eq!(agent.stop().0, Some(0));
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let budget = Options::default().budget_bytes;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{} spans by {WRITERS} processes: {:.0} a second to disk, {:.0} a second to the collector, {} came twice; at most \
         {:.1} MiB of journal and {:.1} MiB of outbox of a budget of {:.0} MiB each; the agent has {:.1} MiB resident",
        expected.len(),
        expected.len() as f64 / on_disk.as_secs_f64(),
        expected.len() as f64 / delivered.as_secs_f64(),
        seen.spans - seen.ids.len(),
        mib(peaks.journal),
        mib(peaks.outbox),
        mib(budget),
        mib(resident * 1024)
    );
    assert_eq!(seen.ids, expected, "by id");
    assert_eq!(seen.spans, expected.len(), "nobody was killed, so nothing comes twice");
    assert!(peaks.journal <= budget + OVER && peaks.outbox <= budget + OVER);
}
