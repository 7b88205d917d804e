//! The journal whose events are written by a thread.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dagtel_core::event::{Event, Fact, RunChange, RunDetails, Truth};
use dagtel_core::guard::Guard;
use dagtel_core::key::RunKey;
use dagtel_core::time::Timestamp;
use dagtel_drain::{Durability, Journal, Layout};

const THREADS: usize = 4;
const EVENTS: usize = 5_000;

type Drops = Arc<Mutex<Vec<(&'static str, u64)>>>;

fn event(run: usize, change: RunChange) -> Event {
    let run = Arc::new(RunKey::new("sales", run.to_string()));
    let fact = Fact::Run { change, details: RunDetails::default() };
    Event { run, at: Timestamp::from_millis(1), truth: Truth::Reported, fact }
}

fn open(layout: &Layout) -> (Journal, Drops) {
    let drops = Drops::default();
    let told = drops.clone();
    let dropped = move |reason, events| told.lock().expect("nobody panics").push((reason, events));
    (
        Journal::open(layout, Durability::Batched, Guard::default(), dropped).expect("a temporary directory"),
        drops,
    )
}

fn records(layout: &Layout) -> u64 {
    dagtel_spool::check(layout.journal()).expect("a journal").records.values().sum()
}

#[test]
fn whatever_threads_append_is_there_when_the_last_handle_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (journal, drops) = open(&layout);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let journal = journal.clone();
            scope.spawn(move || {
                for n in 0..EVENTS {
                    let change = if n % 3 == 0 { RunChange::Updated } else { RunChange::Started };
                    journal.append(event(thread * EVENTS + n, change));
                }
            });
        }
    });
    drop(journal);
    assert_eq!(records(&layout), (THREADS * EVENTS) as u64);
    assert_eq!(*drops.lock().unwrap(), []);
}

#[test]
fn an_event_is_written_without_being_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (journal, _) = open(&layout);
    for expected in 1..=3 {
        journal.append(event(1, RunChange::Started));
        let began = Instant::now();
        while records(&layout) < expected {
            assert!(began.elapsed() < Duration::from_secs(15), "event {expected} was never written");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_flush_returns_when_the_events_before_it_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (journal, _) = open(&layout);
    for n in 1..=200 {
        journal.append(event(1, RunChange::Started));
        journal.flush().unwrap();
        assert_eq!(records(&layout), n);
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (journal, drops) = open(&layout);
    fs::remove_dir_all(layout.journal()).unwrap();
    journal.append(event(1, RunChange::Started));
    journal.append(event(2, RunChange::Started));
    let _ = journal.flush();
    let told: u64 = drops
        .lock()
        .unwrap()
        .iter()
        .map(|(reason, events)| {
            assert_eq!(*reason, "disk_error");
            events
        })
        .sum();
    assert_eq!(told, 2);
}

#[test]
fn a_secret_is_masked_by_the_thread_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let (journal, _) = open(&layout);
    let mut told = event(1, RunChange::Started);
    let Fact::Run { details, .. } = &mut told.fact else { unreachable!("it is of a run") };
    details.attributes.push(("api_token".into(), "hunter2hunter2".into()));
    details.attributes.push(("owner".into(), "somebody".into()));
    journal.append(told);
    journal.flush().unwrap();
    let mut written = Vec::new();
    let mut folders = vec![layout.journal()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { written.extend(fs::read(path).unwrap()) }
        }
    }
    let has = |text: &[u8]| written.windows(text.len()).any(|part| part == text);
    assert_eq!((has(b"somebody"), has(b"hunter2")), (true, false));
    // The event, and how many secrets there were.
    assert_eq!(records(&layout), 2);
}
