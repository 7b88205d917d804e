//! What the agent shows of itself at `/metrics`: its threads write here what they do, and a scrape reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use dagtel_core::catalog::agent;
use dagtel_core::catalog::naming::LegacySeries;
use dagtel_scrape::{Family, Format, Page, Parts, Source, Traffic, Value, limits};
use dagtel_ship::Status;

use super::beats::{self, Beats, Component};
use super::families;
use super::legacy;
use super::receive::Outcome;
use super::series;
use super::told::Told;
use crate::terminal;

/// Shared by all threads of an agent.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) traffic: Arc<Traffic>,
    beats: Mutex<Beats>,
    spools: Mutex<BTreeMap<String, Spool>>,
    written: Mutex<BTreeMap<Format, Arc<Written>>>,
    /// What the page shows under legacy names.
    legacy: Mutex<LegacySeries>,
    intake: Mutex<Intake>,
}

/// What became of the log records that were received.
#[derive(Debug, Default)]
struct Intake {
    records: BTreeMap<Outcome, u64>,
    /// Of which outcomes it was said on standard error what is wrong: the page counts on.
    said: BTreeSet<Outcome>,
}

/// A directory that is drained.
#[derive(Clone, Debug, Default)]
pub(super) struct Spool {
    pub(super) told: Option<Arc<Told>>,
    pub(super) destinations: Vec<(String, Arc<Status>)>,
}

/// The series of the fold in a text format, written once for as long as nothing new is told: the end of every page.
#[derive(Debug)]
struct Written {
    /// Whose series they are. Weak, because what was told holds as much memory as the fold's own series.
    of: Vec<Weak<Told>>,
    text: Bytes,
    omitted: u64,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            traffic: Arc::default(),
            beats: Mutex::new(Beats::new()),
            spools: Mutex::default(),
            written: Mutex::default(),
            legacy: Mutex::default(),
            intake: Mutex::default(),
        }
    }

    /// Counts log records that were received, and says on standard error what is wrong with them.
    pub(super) fn intake(&self, outcome: Outcome, records: u64, wrong: Option<String>) {
        if records == 0 {
            return;
        }
        let mut intake = lock(&self.intake);
        *intake.records.entry(outcome).or_default() += records;
        if let Some(wrong) = wrong
            && intake.said.insert(outcome)
        {
            terminal::note(&wrong);
        }
    }

    fn received_records(&self) -> Family<'static> {
        let mut family = Family::of(&agent::RECEIVED);
        for (outcome, records) in &lock(&self.intake).records {
            let labels = vec![("outcome".into(), outcome.as_str().into())];
            family.push(labels, Value::Number(*records as f64));
        }
        family
    }

    /// A component did what it does again and again.
    pub(super) fn beat(
        &self,
        component: Component,
        of: &str,
        outcome: beats::Outcome,
        took: Option<Duration>,
    ) {
        lock(&self.beats).beat(component, of, outcome, took, Instant::now());
    }

    /// A heartbeat of so many bytes was sent to a destination.
    pub(super) fn sent(&self, destination: &str, outcome: beats::Outcome, took: Duration, bytes: usize) {
        lock(&self.beats).sent(destination, outcome, took, bytes, Instant::now());
    }

    /// Whether there is a destination.
    pub(super) fn expects(&self, destinations: bool) {
        lock(&self.beats).ships = destinations;
    }

    /// So many heartbeats came from processes.
    pub(super) fn received(&self, heartbeats: u64) {
        lock(&self.beats).received += heartbeats;
    }

    pub(super) fn tell(&self, dir: &str, told: Told) {
        lock(&self.spools).entry(dir.to_owned()).or_default().told = Some(Arc::new(told));
    }

    pub(super) fn ships(&self, dir: &str, destinations: Vec<(String, Arc<Status>)>) {
        lock(&self.spools).entry(dir.to_owned()).or_default().destinations = destinations;
    }

    fn written(&self, format: Format, told: &BTreeMap<String, Spool>) -> Arc<Written> {
        let named: Vec<_> = told.iter().filter_map(|(dir, spool)| Some((dir, spool.told.clone()?))).collect();
        let mut cache = lock(&self.written);
        if let Some(written) = cache.get(&format)
            && written.of.len() == named.len()
            && written.of.iter().zip(&named).all(|(old, (_, new))| old.as_ptr() == Arc::as_ptr(new))
        {
            return written.clone();
        }
        // There will be about as much as there was.
        let memory = cache.remove(&format).map_or(0, |written| written.text.len() + written.text.len() / 16);
        let mut page = Page::new(format, limits::PAGE_BYTES - limits::RESERVED_BYTES).with_memory(memory);
        let names = series::write(&mut page, &named);
        let mut shown = lock(&self.legacy);
        legacy::write(&mut page, &named, &names, &mut shown);
        let omitted = page.omitted() + shown.untold() as u64;
        drop(shown);
        let of = named.iter().map(|(_, told)| Arc::downgrade(told)).collect();
        let written = Arc::new(Written { of, text: page.finish(), omitted });
        cache.insert(format, written.clone());
        written
    }
}

impl Source for Board {
    fn page(&self, format: Format) -> Parts {
        let spools = lock(&self.spools).clone();
        let written = self.written(format, &spools);
        let mut families = lock(&self.beats).families(&spools, Instant::now());
        families.extend(families::of(&spools));
        families.push(self.received_records());
        families.extend(self.traffic.families());
        families.extend(dagtel_scrape::process_families());
        let families = families::in_order(families, written.omitted);
        let mut page = Page::new(format, limits::RESERVED_BYTES);
        for family in &families {
            page.family(family, page.room());
        }
        page.begun().chain(written.text.clone())
    }

    fn ready(&self) -> Result<(), String> {
        lock(&self.beats).ready(Instant::now())
    }

    fn beat(&self, late: Duration) {
        self.beat(Component::ScrapeServer, "", beats::Outcome::Success, Some(late));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
