//! What the guard costs that masks secrets, beside the append to disk that it is a part of at level `process`, and beside
//! the limits alone. (At the batched level a thread does it.)
//!
//! The event is that of a task's start. Nothing is found in the first: so it is with nearly every event. The second has a
//! URL with a password, a token and a flag in its attributes.

use std::sync::Arc;
use std::time::Instant;

use dagtel::Durability;
use dagtel::core::event::{Event, Fact, TaskChange, TaskDetails, Truth};
use dagtel::core::guard::{self, Admitted, Found, Guard};
use dagtel::core::key::{RunKey, TryKey};
use dagtel::core::time::Timestamp;
use dagtel::core::value::{Attribute, SmolStr};
use dagtel_drain::{Journal, Layout};

use crate::ratio::{Table, Target};
use crate::sample;

const EVENTS: usize = 2000;

fn events(secrets: bool) -> Vec<Event> {
    let run = Arc::new(RunKey::new(sample::DAG, "scheduled__2026-11-20T00:00:00+00:00"));
    let event = |n: usize| {
        let mut attributes = sample::attributes(n);
        if secrets {
            attributes.extend(hidden());
        }
        let details = TaskDetails { attributes, ..TaskDetails::default() };
        let fact = Fact::Task { key: TryKey::new(sample::task_id(n)), change: TaskChange::Started, details };
        Event { run: run.clone(), at: Timestamp::from_millis(n as u64), truth: Truth::Reported, fact }
    };
    (0..EVENTS).map(event).collect()
}

fn hidden() -> [Attribute; 3] {
    [
        ("db", "postgres://me:hunter2@db:5432/orders"),
        ("api_token", "x1y2z3"),
        ("command", "load --password hunter2"),
    ]
    .map(|(key, value)| (SmolStr::new_static(key), value.into()))
}

pub(crate) fn table(table: &mut Table) {
    for (name, secrets) in [("nothing to mask", false), ("three secrets", true)] {
        let (_spool, journal) = journal();
        table.compare(
            &format!("guard: {name} / append"),
            if secrets { Target::None } else { Target::Times(0.2) },
            || alone(events(secrets), guard::admit),
            || append(&journal, events(secrets)),
            || "the peer is the append that it is a part of".to_owned(),
        );
        table.compare(
            &format!("guard: {name} / limits"),
            Target::None,
            || alone(events(secrets), guard::admit),
            || alone(events(secrets), guard::readmit),
            || "the peer only holds it to the limits".to_owned(),
        );
    }
}

fn journal() -> (tempfile::TempDir, Journal) {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let journal = Journal::open(&Layout::new(spool.path()), Durability::Process, Guard::default(), |_, _| {});
    (spool, journal.expect("a temporary directory can be a spool"))
}

/// Nanoseconds of an event that is not appended.
fn alone(events: Vec<Event>, admit: fn(Event) -> (Admitted, Found)) -> f64 {
    let start = Instant::now();
    for event in events {
        let _ = std::hint::black_box(admit(std::hint::black_box(event)));
    }
    start.elapsed().as_nanos() as f64 / EVENTS as f64
}

/// Nanoseconds of an event.
fn append(journal: &Journal, events: Vec<Event>) -> f64 {
    let start = Instant::now();
    events.into_iter().for_each(|event| journal.append(event));
    start.elapsed().as_nanos() as f64 / EVENTS as f64
}
