//! The fold: events in, changes out, metrics counted on the way.
//!
//! [`Fold::apply`] takes facts in any order and as often as they come; it only merges. [`Fold::due`] says what has
//! become final by a watermark, the time up to which every writer has been read, and gives each try and each run
//! exactly once. For any order of the same events the same comes out, as long as they all come before the watermark
//! passes them; what comes later is an [`Anomaly`], counted, never a second version.
//!
//! What is final when:
//! - a run, when its end is known and the watermark is past it by [`Timing::grace`]; with it every try of it that is
//!   not yet out. A try without an end is then closed under what is known of it;
//! - a try, before its run, when its own process reported the end and the watermark is past that by [`Timing::hold`],
//!   unless the run will bring a roster, which knows more of it than its own process does.
//!
//! The metrics of a try do not wait for the roster: what its own process said is counted after [`Timing::hold`].
//!
//! Facts that come from several hosts ([`Timing::patience`]) come in no order in time: one host may be cut off for a
//! while. There all times above count from the last news, not from the end itself, and a run waits until what is known of
//! it is whole (`whole.rs`), or nothing has come for [`Timing::patience`]. Its tries wait with it, because what they
//! are linked to may be told last. A try of which nothing was known before its run was closed comes out by itself, once it
//! has an end: its ids and that of its parent are derived, and the fold remembers which tries came out (`closed.rs`).

mod anomaly;
mod change;
mod close;
mod closed;
mod count;
mod due;
mod link;
mod resources;
mod run;
mod task;
mod told;
mod whole;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use self::anomaly::{Anomalies, Anomaly};
pub use self::change::{Change, ClosedRun, ClosedTry, LastLines, Line, Link, LinkKind, Links, Started};
use self::closed::Closed;
pub use self::resources::Resources;
use self::run::Run;
use self::task::Try;
use self::told::{News, room_for_one};
use crate::catalog::attribute::text as key_text;
use crate::catalog::metric::Metric;
use crate::event::{Event, Fact, TaskChange, TaskDetails, Truth};
use crate::guard::{Admitted, Found};
use crate::id::task_span_id;
use crate::key::{RunKey, TryKey};
use crate::limits;
use crate::metrics::Metrics;
use crate::time::Timestamp;
use crate::value::Value;

/// How long the fold waits for what may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Timing {
    /// After the end of a run.
    pub grace: Duration,
    /// After the end of a try.
    pub hold: Duration,
    /// How much later than others the facts of one host may come. `None` where all facts are from one host.
    pub patience: Option<Duration>,
}

impl Default for Timing {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(2))
    }
}

impl Timing {
    /// With this grace for runs and this hold for tries.
    pub const fn new(grace: Duration, hold: Duration) -> Self {
        Self { grace, hold, patience: None }
    }

    /// The same where facts come from several hosts, those of one by so much later than those of another.
    #[must_use]
    pub const fn across_hosts(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}

/// Open runs from which on those that end elsewhere are forgotten now and then.
const SWEEP: usize = 4096;
/// Events of further runs between two sweeps, at least.
const SWEEP_PAUSE: usize = 1024;

/// The state of the fold: what is known of every open run, and the metrics.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fold {
    timing: Timing,
    #[serde(with = "crate::pairs")]
    runs: HashMap<Arc<RunKey>, Box<Run>>,
    /// Runs in which something may have become final.
    news: Vec<Arc<RunKey>>,
    closed: Closed,
    metrics: Metrics,
    anomalies: Anomalies,
    /// Lines that tries logged, until they are [taken](Self::take_lines). They are not of the state: whoever saves that has
    /// taken them.
    #[serde(skip)]
    lines: Vec<Line>,
    /// Whether the last lines of a try are kept for its span.
    #[serde(skip)]
    log_events: bool,
    /// How many events of further runs there are until the next sweep.
    #[serde(skip)]
    until_sweep: usize,
    /// When to look for forgotten runs next.
    #[serde(skip)]
    forgotten_look: Timestamp,
}

impl Fold {
    /// An empty fold. `start` is the time from which its metrics count.
    pub fn new(start: Timestamp, timing: Timing) -> Self {
        Self {
            timing,
            runs: HashMap::new(),
            news: Vec::new(),
            closed: Closed::default(),
            metrics: Metrics::new(start),
            anomalies: Anomalies::default(),
            lines: Vec::new(),
            log_events: false,
            until_sweep: 0,
            forgotten_look: Timestamp::MIN,
        }
    }

    /// Waits by this timing from now on.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// What has been counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Brings the gauges up to date that say what running tries use now. To be called before the metrics are sent.
    ///
    /// Where nothing runs any more the gauge is told once as zero: a receiver that keeps the last value, such as the
    /// Collector's Prometheus exporter, would show memory in use for a day after the end.
    pub fn update_gauges(&mut self) {
        let before = self.metrics.restart(Metric::TaskMemoryUsage);
        for run in self.runs.values() {
            for (key, task) in run.tries.iter().filter(|(_, task)| task.end.is_none()) {
                count::usage(&mut self.metrics, &run.key, key, task);
            }
        }
        self.metrics.zero(Metric::TaskMemoryUsage, before);
    }

    /// Sets the time from which the metrics count: a replay knows only at its end when it began.
    pub fn start_metrics_at(&mut self, start: Timestamp) {
        self.metrics.set_start(start);
    }

    /// Whether the last lines of each try become events of its span. Off at first, and after the state was read.
    pub fn keep_log_events(&mut self, keep: bool) {
        self.log_events = keep;
    }

    /// The lines that tries logged, in the order in which they were read, each once.
    pub fn take_lines(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// What was odd.
    pub fn anomalies(&self) -> &Anomalies {
        &self.anomalies
    }

    /// Counts a line that was not told to the fold, because it had been before.
    pub fn repeated(&mut self) {
        self.anomalies.add(Anomaly::Duplicate, 1);
    }

    /// Counts what the guard found.
    pub fn found(&mut self, found: Found) {
        self.anomalies.add(Anomaly::Cut, u64::from(found.cut));
        self.anomalies.add(Anomaly::Redacted, u64::from(found.redacted));
    }

    /// How many tries are not final, by queue (`""` when none is known) and state. Beyond [`limits::QUEUE_STATES`] they are
    /// counted under the queue `overflow`.
    pub fn queues(&self) -> BTreeMap<(SmolStr, &'static str), u64> {
        let mut queues = BTreeMap::new();
        let tries = self.runs.values().flat_map(|run| run.tries.values());
        for task in tries.filter(|task| !task.closed) {
            let Some(state) = task.state_now() else { continue };
            let queue = task.layers.text(key_text::QUEUE).map(|queue| limits::clip(queue, limits::TAG_BYTES));
            let mut key = (SmolStr::new(queue.unwrap_or_default()), state);
            if queues.len() >= limits::QUEUE_STATES && !queues.contains_key(&key) {
                key.0 = SmolStr::new_static("overflow");
            }
            *queues.entry(key).or_default() += 1;
        }
        queues
    }

    /// An attribute of an open try, as far as it is known now.
    pub fn attribute_of(&self, run: &Arc<RunKey>, task: &TryKey, key: &str) -> Option<&Value> {
        self.open_try(run, task)?.layers.get(key)
    }

    /// What an open try has used so far, as far as it is known now.
    pub fn resources_of(&self, run: &Arc<RunKey>, task: &TryKey) -> Option<&Resources> {
        self.open_try(run, task)?.measured.as_ref().map(|measured| &measured.resources)
    }

    /// Airflow's word for the state that an open try is in, as far as it is known now.
    pub fn state_of(&self, run: &Arc<RunKey>, task: &TryKey) -> Option<&'static str> {
        self.open_try(run, task)?.state_now()
    }

    fn open_try(&self, run: &Arc<RunKey>, task: &TryKey) -> Option<&Try> {
        self.runs.get(run)?.tries.get(task).map(|task| &**task).filter(|task| !task.closed)
    }

    /// How many runs are open.
    pub fn open_runs(&self) -> usize {
        self.runs.len()
    }

    /// The runs without an end, in the order of their keys.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let runs = self.runs.values().filter(|run| run.announced && run.ended().is_none());
        let mut open: Vec<_> = runs.map(|run| Unfinished::of(run)).collect();
        open.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        open
    }

    /// Takes in one fact.
    pub fn apply(&mut self, event: Admitted) {
        if let Err(anomaly) = self.merge(event.into_event()) {
            self.anomalies.add(anomaly, 1);
        }
    }

    fn merge(&mut self, event: Event) -> Result<(), Anomaly> {
        let Event { run: key, at, truth, fact } = event;
        let fact = match fact {
            Fact::Log { key: task, line } => return self.log(Line { run: key, task, at, line }),
            other => other,
        };
        self.make_room(&key);
        let full = self.runs.len() >= limits::OPEN_RUNS;
        // Of a run that is closed only tries are news that did not come out.
        let is_late = |closed: &Closed| match &fact {
            Fact::Task { key: task, .. } => !closed.lacks(&key, task_span_id(&key, task)),
            _ => true,
        };
        let run = match self.runs.entry_ref(&key) {
            EntryRef::Occupied(known) if known.get().remnant && is_late(&self.closed) => {
                return Err(Anomaly::Late);
            }
            EntryRef::Occupied(known) => known.into_mut(),
            EntryRef::Vacant(_) if self.closed.contains(&key) && is_late(&self.closed) => {
                return Err(Anomaly::Late);
            }
            EntryRef::Vacant(_) if full => return Err(Anomaly::OverLimit),
            EntryRef::Vacant(new) => {
                let mut run = Box::new(Run::new(key.clone()));
                run.remnant = self.closed.contains(&key);
                new.insert_with_key(key.clone(), run)
            }
        };
        run.first_seen = run.first_seen.min(at);
        if truth == Truth::Reported {
            run.last_seen = run.last_seen.max(at);
        }
        if !run.listed {
            run.listed = true;
            self.news.push(key);
        }
        let merged = match fact {
            Fact::Run { change, details } => {
                let merged = run.apply(at, truth, &change, details);
                count::active(run, &mut self.metrics);
                merged.anomaly().map_or(Ok(()), Err)
            }
            Fact::Task { key, change, details } => merge_task(run, key, at, truth, &change, details),
            Fact::Log { .. } => Ok(()),
        };
        if merged != Err(Anomaly::Duplicate) {
            run.news_at = News::NotSeen;
        }
        merged
    }

    /// A line is passed on, whether its try is known or not; of a try that is known, as many as may be.
    fn log(&mut self, line: Line) -> Result<(), Anomaly> {
        let run = self.runs.get_mut(&line.run);
        if let Some(task) = run.and_then(|run| run.tries.get_mut(&line.task)) {
            task.log(&line, self.log_events)?;
        }
        self.lines.push(line);
        Ok(())
    }

    /// Before a run more is opened: when there are many, those that another process will end give way. Not each time, so
    /// that sweeping costs nothing much, also when it gains nothing.
    fn make_room(&mut self, key: &Arc<RunKey>) {
        if self.runs.len() < SWEEP || self.runs.contains_key(key) {
            return;
        }
        if self.until_sweep > 0 {
            self.until_sweep -= 1;
            return;
        }
        self.runs.retain(|_, run| !run.ends_elsewhere());
        let left = self.runs.len();
        self.until_sweep = left.min(limits::OPEN_RUNS.saturating_sub(left)).max(SWEEP_PAUSE);
    }
}

/// A run that has no end yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Which run.
    pub key: Arc<RunKey>,
    /// When it started, or the first time of anything in it.
    pub started: Timestamp,
    /// Its tries that started and have no end, with the time of their start.
    pub tries: Vec<(TryKey, Timestamp)>,
}

impl Unfinished {
    fn of(run: &Run) -> Self {
        let open = run.tries.iter().filter(|(_, task)| task.end.is_none());
        Self {
            key: run.key.clone(),
            started: run.started.map_or(run.first_seen, |told| told.at),
            tries: open.filter_map(|(key, task)| Some((key.clone(), task.started?.at))).collect(),
        }
    }
}

fn merge_task(
    run: &mut Run,
    key: TryKey,
    at: Timestamp,
    truth: Truth,
    change: &TaskChange,
    details: TaskDetails,
) -> Result<(), Anomaly> {
    if run.tries.len() >= limits::TRIES_PER_RUN && !run.tries.contains_key(&key) {
        return Err(Anomaly::OverLimit);
    }
    let Run { tries, news, span_ids, key: run_key, .. } = run;
    let entry = tries.entry(key);
    match &entry {
        Entry::Occupied(known) if known.get().closed => return Err(Anomaly::Late),
        Entry::Occupied(known) if known.get().listed => {}
        unlisted => {
            room_for_one(news);
            news.push(unlisted.key().clone());
        }
    }
    let task = entry.or_insert_with_key(|key| Box::new(Try::new(span_ids.of(run_key, key))));
    task.listed = true;
    let merged = task.apply(at, truth, change, details).anomaly();
    if merged != Some(Anomaly::Duplicate) {
        task.news_at = News::NotSeen;
    }
    merged.map_or(Ok(()), Err)
}
