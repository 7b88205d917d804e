//! What the processes of tries use that report through the inbox.
//!
//! A try that says its `process.pid` is tracked from then on until it ends, as far as that process is the one that holds
//! the try's file of the inbox open. (Its id may be of another container, or taken by another process since.)

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use dagtel::COSMOS_DEBUG_MAX_MEMORY_MB;
use dagtel::proc::{Options, Tracked, Tracker, Usage};
use dagtel::{resources_in_all, resources_so_far};
use dagtel_core::catalog::attribute;
use dagtel_core::event::{Event, Fact, TaskChange, TaskDetails, Truth};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::value::{Attribute, Value};
use dagtel_drain::{Drainer, Layout};
use serde_json::json;

use crate::terminal;

/// How often a running try tells what it uses.
const TELL: Duration = Duration::from_secs(5);
/// The first time comes sooner: most tries are short.
const FIRST: Duration = Duration::from_secs(1);
/// Processes that are tracked at a time.
const MOST: usize = 1024;
/// The state of a try that gave its worker back.
const DEFERRED: &str = "deferred";
/// From this length on the file of peaks is put aside as `<name>.1`.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// What becomes of peaks besides what spans and metrics say.
#[derive(Debug, Args)]
pub(super) struct MemoryOptions {
    /// A file to which the peak of each try that was tracked is appended, a JSON object a line, under Cosmos's key
    /// cosmos_debug_max_memory_mb
    #[arg(long, value_name = "FILE")]
    memory_peaks: Option<PathBuf>,
}

type Id = (Arc<RunKey>, TryKey);

/// The tries that are tracked.
#[derive(Debug)]
pub(super) struct Memory {
    tracker: Tracker,
    tracked: BTreeMap<Id, Process>,
    /// Tries whose process was looked for and is not to be had.
    passed_over: BTreeSet<(Id, i64)>,
    /// Processor time of tries that gave their worker back: another process will go on, and starts at nothing.
    spent: BTreeMap<Id, Duration>,
    peaks: Option<PathBuf>,
}

#[derive(Debug)]
struct Process {
    tracked: Tracked,
    due: Instant,
}

impl Memory {
    pub(super) fn new(options: &MemoryOptions) -> Self {
        let peaks = options.memory_peaks.clone();
        let (tracked, passed_over, spent) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { tracker: Tracker::new(), tracked, passed_over, spent, peaks }
    }

    /// Brings what is tracked up to date with what runs, and tells what was used.
    pub(super) fn follow(&mut self, drainer: &mut Drainer, layout: &Layout) {
        let running: BTreeMap<Id, String> = drainer
            .inbox_tries()
            .map(|(run, key, file)| ((run.clone(), key.clone()), file.to_owned()))
            .collect();
        let ended = self.tracked.extract_if(.., |id, _| !running.contains_key(id));
        for (id, process) in ended.collect::<Vec<_>>() {
            let usage = process.tracked.stop();
            let spent = self.spent.remove(&id).unwrap_or_default();
            tell(drainer, &id, resources_in_all(&usage), spent);
            self.write_peak(&id.0, &id.1, &usage);
            self.remember(drainer, id, spent + usage.cpu);
        }
        self.passed_over.retain(|(id, _)| running.contains_key(id));
        for (id, process) in self.tracked.iter_mut().filter(|(_, process)| process.due <= Instant::now()) {
            process.due += TELL;
            let spent = self.spent.get(id).copied().unwrap_or_default();
            tell(drainer, id, resources_so_far(&process.tracked.snapshot()), spent);
        }
        for (id, file) in running {
            self.attach(drainer, layout, id, &file);
        }
    }

    /// Keeps what a try has spent until it goes on, if it will. A try that goes on elsewhere gives way when there are many.
    fn remember(&mut self, drainer: &Drainer, id: Id, spent: Duration) {
        let fold = drainer.fold();
        let paused = |id: &Id| fold.state_of(&id.0, &id.1) == Some(DEFERRED);
        if self.spent.len() >= MOST {
            self.spent.retain(|id, _| paused(id));
        }
        if paused(&id) && self.spent.len() < MOST {
            self.spent.insert(id, spent);
        }
    }

    fn attach(&mut self, drainer: &Drainer, layout: &Layout, id: Id, file: &str) {
        if self.tracked.contains_key(&id) || self.tracked.len() >= MOST {
            return;
        }
        let pid = drainer.fold().attribute_of(&id.0, &id.1, &attribute::PROCESS_PID);
        let Some(Value::Int(pid)) = pid else { return };
        let mark = (id, *pid);
        if self.passed_over.contains(&mark) {
            return;
        }
        match u32::try_from(mark.1).ok().filter(|pid| holds(*pid, &layout.inbox().join(file))) {
            Some(pid) => {
                let tracked = self.tracker.track(pid, Options::default());
                self.tracked.insert(mark.0, Process { tracked, due: Instant::now() + FIRST });
            }
            None => {
                self.passed_over.insert(mark);
            }
        }
    }

    fn write_peak(&mut self, run: &RunKey, key: &TryKey, usage: &Usage) {
        let Some(path) = self.peaks.as_deref().filter(|_| usage.peaks.best().is_some()) else { return };
        let line = json!({
            "dag_id": *run.dag_id, "run_id": *run.run_id, "attempt": run.attempt, "task_id": *key.task_id,
            "map_index": key.map_index, "try_number": key.try_number,
            COSMOS_DEBUG_MAX_MEMORY_MB: usage.debug_max_memory_mb(),
        });
        if let Err(error) = append(path, &line.to_string()) {
            terminal::complain(&format!(
                "peaks of memory cannot be written to {}: {error}; going on without",
                path.display()
            ));
            self.peaks = None;
        }
    }
}

/// Tells what a try used. A try that was deferred is one process after another: the greatest peak counts, and the processor
/// time is that of all, of which earlier processes have `spent` so much.
fn tell(drainer: &mut Drainer, id: &Id, mut attributes: Vec<Attribute>, spent: Duration) {
    let (run, key) = id;
    let fold = drainer.fold();
    // A try that is out already would only be counted as late.
    if attributes.is_empty() || fold.attribute_of(run, key, &attribute::PROCESS_PID).is_none() {
        return;
    }
    if let Some(before) = fold.resources_of(run, key)
        && let Some(peak) = before.memory_peak.and_then(|peak| i64::try_from(peak).ok())
        && let Some(now) = position(&attributes, &attribute::MEMORY_PEAK_BYTES)
        && let Some(method) = position(&attributes, &attribute::MEMORY_PEAK_METHOD)
        && attributes[now].1 < Value::Int(peak)
    {
        attributes[now].1 = Value::Int(peak);
        attributes[method].1 = before.memory_peak_method.clone().into();
    }
    for (name, value) in &mut attributes {
        if let Value::Float(seconds) = value
            && *name == attribute::CPU_TIME
        {
            *seconds += spent.as_secs_f64();
        }
    }
    let details = TaskDetails { attributes, ..TaskDetails::default() };
    let fact = Fact::Task { key: key.clone(), change: TaskChange::Updated, details };
    let at = SystemTime::now().into();
    drainer.tell(Event { run: run.clone(), at, truth: Truth::Reported, fact });
}

fn position(attributes: &[Attribute], key: &str) -> Option<usize> {
    attributes.iter().position(|(name, _)| name == key)
}

/// Whether the process has this file open.
fn holds(pid: u32, file: &Path) -> bool {
    let Ok(file) = file.canonicalize() else { return false };
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == file))
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    if file.metadata()?.len() >= FILE_BYTES {
        fs::rename(path, path.with_added_extension("1"))?;
        file = File::options().create(true).append(true).open(path)?;
    }
    writeln!(file, "{line}")
}
