//! What the processes of tries use: from the tracker to events.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use dagtel_core::catalog::attribute;
use dagtel_core::event::{Event, Exception, Fact, TaskChange, TaskDetails, Truth};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::value::{Attribute, SmolStr, Value};
use dagtel_proc::{Cgroup, Death, Method, Options, Rusage, Tracked, Tracker, Usage};

use crate::engine::Inner;

/// The key under which Cosmos pushes the peak of a task to XCom (Cosmos 1.15, `cosmos.debug`): a number of MiB.
pub const COSMOS_DEBUG_MAX_MEMORY_MB: &str = "cosmos_debug_max_memory_mb";

/// How often a running try tells what it uses. A try that is killed together with this process is known up to that.
const TELL: Duration = Duration::from_secs(5);
/// The first time comes sooner: most tries are short.
const FIRST: Duration = Duration::from_secs(1);

/// Who is told the peak of a try.
type OnPeak = Box<dyn Fn(&RunKey, &TryKey, f64) + Send + Sync>;

/// How tries are tracked, and the one tracker for all of them.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) options: Options,
    pub(crate) on_peak: Option<OnPeak>,
    tracker: OnceLock<Tracker>,
}

impl Memory {
    pub(crate) fn tell_peak(&self, run: &RunKey, task: &TryKey, usage: &Usage) {
        if let Some(tell) = &self.on_peak
            && usage.peaks.get(Method::SampledRss).is_some()
        {
            tell(run, task, usage.debug_max_memory_mb());
        }
    }
}

/// How a process ended, with whatever the kernel knows of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProcessEnd<'a> {
    /// Its exit code or signal.
    pub status: ExitStatus,
    /// Its id.
    pub pid: Option<u32>,
    /// What [`wait`](crate::proc::wait) told.
    pub rusage: Option<Rusage>,
    /// The cgroup that it had for itself.
    pub cgroup: Option<&'a Cgroup>,
    /// The last lines that it wrote; the stack trace of its failure.
    pub last_lines: String,
}

impl<'a> ProcessEnd<'a> {
    /// With nothing known but the status.
    pub fn new(status: ExitStatus) -> Self {
        Self { status, pid: None, rusage: None, cgroup: None, last_lines: String::new() }
    }

    /// With its id.
    #[must_use]
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// With what [`wait`](crate::proc::wait) told.
    #[must_use]
    pub fn with_rusage(mut self, rusage: Rusage) -> Self {
        self.rusage = Some(rusage);
        self
    }

    /// With the cgroup that the process had for itself: its peak counts, and it knows of kills for want of memory.
    #[must_use]
    pub fn with_cgroup(mut self, cgroup: &'a Cgroup) -> Self {
        self.cgroup = Some(cgroup);
        self
    }

    /// With the last lines that it wrote.
    #[must_use]
    pub fn with_last_lines(mut self, lines: String) -> Self {
        self.last_lines = lines;
        self
    }

    pub(crate) fn add_to(&self, usage: &mut Usage) {
        if let Some(rusage) = &self.rusage {
            usage.add_rusage(rusage);
        }
        if let Some(cgroup) = self.cgroup {
            usage.add_cgroup(cgroup);
        }
    }

    /// The exit code as a shell tells it: 128 and the signal when a signal ended the process.
    pub(crate) fn exit_code(&self) -> i64 {
        let signal = || self.status.signal().map(|signal| 128 + signal);
        i64::from(self.status.code().or_else(signal).unwrap_or(-1))
    }

    pub(crate) fn death(self, usage: &Usage) -> Option<Exception> {
        let death = Death::judge(self.status, usage.oom_kills)?;
        let message = match death {
            Death::OomKilled => "killed by the kernel because memory ran out".to_owned(),
            _ => self.status.to_string(),
        };
        let kind: SmolStr = death.to_string().into();
        Some(Exception { kind, message: message.into(), stacktrace: self.last_lines.into() })
    }
}

/// Tracks a process for a try, and now and then tells what it uses.
pub(crate) fn track(inner: &Arc<Inner>, run: &Arc<RunKey>, task: &TryKey, pid: u32) -> Tracked {
    let teller = Teller { inner: Arc::downgrade(inner), run: run.clone(), task: task.clone() };
    let mut due = Instant::now() + FIRST;
    let memory = &inner.memory;
    memory.tracker.get_or_init(Tracker::new).track_with(pid, memory.options, move |usage| {
        if Instant::now() >= due {
            due += TELL;
            teller.tell(usage);
        }
    })
}

/// Weak, so that the tracker's thread keeps no journal open.
struct Teller {
    inner: Weak<Inner>,
    run: Arc<RunKey>,
    task: TryKey,
}

impl Teller {
    fn tell(&self, usage: &Usage) {
        let Some(inner) = self.inner.upgrade() else { return };
        let attributes = resources_so_far(usage);
        let details = TaskDetails { attributes, ..TaskDetails::default() };
        let fact = Fact::Task { key: self.task.clone(), change: TaskChange::Updated, details };
        inner.record(Event { run: self.run.clone(), at: inner.now(), truth: Truth::Reported, fact });
    }
}

/// The attributes of what a running try uses now and has used so far.
pub fn resources_so_far(usage: &Usage) -> Vec<Attribute> {
    let mut attributes = resources_in_all(usage);
    let shared = usage.peaks.get(Method::SampledPss).is_some();
    let method = if shared { Method::SampledPss } else { Method::SampledRss };
    attributes.push((attribute::MEMORY_USAGE_BYTES, integer(usage.current)));
    attributes.push((attribute::MEMORY_USAGE_METHOD, method.as_str().into()));
    attributes
}

/// The attributes of what a try has used in all.
pub fn resources_in_all(usage: &Usage) -> Vec<Attribute> {
    if *usage == Usage::default() {
        return Vec::new();
    }
    let mut attributes = vec![(attribute::CPU_TIME, usage.cpu.as_secs_f64().into())];
    // A process that was gone before the first look has no peak, which is not a peak of nothing.
    if let Some((method, peak)) = usage.peaks.best().filter(|(_, peak)| *peak > 0) {
        attributes.push((attribute::MEMORY_PEAK_BYTES, integer(peak)));
        attributes.push((attribute::MEMORY_PEAK_METHOD, method.as_str().into()));
    }
    attributes
}

fn integer(bytes: u64) -> Value {
    Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("options", &self.options).finish_non_exhaustive()
    }
}
