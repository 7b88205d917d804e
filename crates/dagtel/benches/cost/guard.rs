//! What the guard costs that masks secrets, beside the same append without its rules.
//!
//! Both sides hold the event of a task's start to the limits and append it to the journal on disk, as an engine's thread
//! does at level `process`; one looks for secrets in it as well. Nothing is found in the first: so it is with nearly every
//! event. The second has a URL with a password, a token and a flag in its attributes.

use std::sync::Arc;
use std::time::Instant;

use dagtel::Durability;
use dagtel::core::event::{Event, Fact, TaskChange, TaskDetails, Truth};
use dagtel::core::guard::{self, Admitted, Found};
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
        let (_masked, masking) = journal();
        let (_plain, plain) = journal();
        table.compare(
            &format!("guard: append, {name}"),
            if secrets { Target::None } else { Target::Times(1.15) },
            || append(&masking, events(secrets), guard::admit),
            || append(&plain, events(secrets), guard::readmit),
            || "the peer is the same append without rules".to_owned(),
        );
        table.compare(
            &format!("guard: alone, {name}"),
            Target::None,
            || alone(events(secrets), guard::admit),
            || alone(events(secrets), guard::readmit),
            || "the peer only holds it to the limits; against an append see above".to_owned(),
        );
    }
}

fn journal() -> (tempfile::TempDir, Journal) {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let journal = Journal::open(&Layout::new(spool.path()), Durability::Process, |_, _| {});
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
fn append(journal: &Journal, events: Vec<Event>, admit: fn(Event) -> (Admitted, Found)) -> f64 {
    let start = Instant::now();
    for event in events {
        let (event, found) = admit(event);
        journal.append(event, found);
    }
    start.elapsed().as_nanos() as f64 / EVENTS as f64
}
