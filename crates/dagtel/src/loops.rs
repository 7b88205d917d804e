//! Passes of an engine's loops (scheduler, DAG processor, triggerer): their metrics always, their spans on request.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use dagtel_core::catalog::EngineLoop;
use dagtel_core::event::Exception;
use dagtel_core::id::PassKey;
use dagtel_core::limits::{ATTRIBUTES, PASS_SPANS};
use dagtel_core::signal::{Pass as ToldPass, PassSpan, pass_spans};
use dagtel_core::time::Timestamp;
use dagtel_core::value::{Attribute, SmolStr, Text, Value};
use dagtel_otlp::Identity;

use crate::Dagtel;
use crate::engine::Inner;
use crate::handle::panicked;
use crate::instruments::OutboxClient;
use crate::metrics::{Histogram, Timing};

/// Which passes have spans, and where those go. See [`Builder::loop_spans`](crate::Builder::loop_spans).
#[derive(Debug)]
pub(crate) struct Loops {
    identity: Identity,
    outbox: OutboxClient,
    /// Of 2^64 passes, so many and one are told whole.
    whole: u64,
    began: Timestamp,
    /// Passes so far, by loop.
    passes: [AtomicU64; 3],
}

impl Loops {
    pub(crate) fn new(
        identity: Identity,
        outbox: OutboxClient,
        share: f64,
        began: Timestamp,
    ) -> Option<Self> {
        // A share of 1 is a little more than a double holds of 2^64 - 1, and becomes that.
        let whole = (share > 0.0).then_some((share * u64::MAX as f64) as u64)?;
        Some(Self { identity, outbox, whole, began, passes: Default::default() })
    }

    /// The number of the next pass, and whether it is told whole. The multiples of the golden ratio spread evenly over the
    /// whole range, whatever the share; the first pass is always among those that are told.
    fn next(&self, of: EngineLoop) -> (u64, bool) {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let number = self.passes[of as usize].fetch_add(1, Ordering::Relaxed);
        (number, number.wrapping_mul(GOLDEN) <= self.whole)
    }
}

impl Dagtel {
    /// Begins a pass of the scheduler's loop: `scheduler_heartbeat` is counted now, `scheduler.scheduler_loop_duration` at
    /// its end, and the span `scheduler.loop` is told if the pass is [among those](crate::Builder::loop_spans).
    ///
    /// ```
    /// # fn find_dag_runs() -> Result<usize, std::io::Error> { Ok(2) }
    /// # let dagtel = dagtel::Dagtel::off();
    /// let pass = dagtel.scheduler_loop();
    /// let step = pass.step("create_dag_runs");
    /// match find_dag_runs() {
    ///     Ok(found) => step.set_attribute("dag_runs", i64::try_from(found).unwrap_or(i64::MAX)),
    ///     Err(error) => step.failed(&error),
    /// }
    /// let section = pass.step("critical_section").timed(dagtel.metrics().scheduler_critical_section_duration());
    /// // …
    /// drop(section);
    /// ```
    pub fn scheduler_loop(&self) -> Pass<'_> {
        self.metrics().scheduler_heartbeat().add(1);
        self.pass(EngineLoop::Scheduler, self.metrics().scheduler_scheduler_loop_duration())
    }

    /// Begins a pass of a DAG processor's loop: `dag_processor_heartbeat` is counted, and the span `dag_processor.loop` is
    /// told as that of the scheduler is.
    pub fn dag_processor_loop(&self) -> Pass<'_> {
        self.metrics().dag_processor_heartbeat().add(1);
        self.pass(EngineLoop::DagProcessor, Histogram::default())
    }

    /// Begins a pass of a triggerer's loop, of which the span `triggerer.loop` is told as that of the scheduler is.
    /// [`Triggerer::beat`](crate::metrics::Triggerer::beat) counts its heartbeat.
    pub fn triggerer_loop(&self) -> Pass<'_> {
        self.pass(EngineLoop::Triggerer, Histogram::default())
    }

    fn pass(&self, of: EngineLoop, duration: Histogram) -> Pass<'_> {
        let traced = self.0.as_ref().and_then(|inner| Some((inner, inner.loops.as_ref()?)));
        let trace = traced.map(|(inner, loops)| {
            let (number, whole) = loops.next(of);
            Trace {
                inner,
                loops,
                of,
                number,
                started: Instant::now(),
                told: AtomicBool::new(whole),
                next: AtomicU32::new(1),
                pass: Mutex::default(),
                steps: Mutex::default(),
            }
        });
        Pass { trace, duration: Some(duration.start()) }
    }
}

/// One pass of a loop, until it is dropped.
///
/// What is said of it and of its steps is kept in memory until its end, and then appended to the outbox at once: a pass
/// that its process does not survive has no spans. Steps may be on other threads. There is room for
/// [`PASS_SPANS`] spans; the rest is counted in `dropped_steps`.
#[must_use = "the pass ends when this is dropped"]
pub struct Pass<'a> {
    trace: Option<Trace<'a>>,
    duration: Option<Timing>,
}

/// What is kept of a pass while it goes on.
struct Trace<'a> {
    inner: &'a Inner,
    loops: &'a Loops,
    of: EngineLoop,
    number: u64,
    started: Instant,
    /// Whether its spans are told: from its begin, or since something in it failed.
    told: AtomicBool,
    /// The place of the next step.
    next: AtomicU32,
    pass: Mutex<Said>,
    steps: Mutex<Steps>,
}

/// The steps that have ended.
#[derive(Default)]
struct Steps {
    kept: Vec<Ended>,
    /// For which there was no room.
    dropped: u32,
}

/// What is said of a pass or a step.
#[derive(Default)]
struct Said {
    attributes: Vec<Attribute>,
    error: Option<(Instant, Box<Exception>)>,
}

/// A pass or a step that has ended.
struct Ended {
    place: u32,
    parent: u32,
    name: &'static str,
    started: Instant,
    ended: Instant,
    said: Said,
}

impl Pass<'_> {
    /// Begins a step of the pass: the span `scheduler.<name>` and the like. Names are few and fixed; what differs from
    /// pass to pass is an attribute.
    pub fn step(&self, name: &'static str) -> Step<'_> {
        Step::begin(self.trace.as_ref(), 0, name)
    }

    /// Adds an attribute to the span of the pass.
    pub fn set_attribute(&self, key: impl Into<Text>, value: impl Into<Value>) {
        if let Some(trace) = self.trace.as_ref().filter(|trace| trace.is_told()) {
            lock(&trace.pass).set(key.into().into(), value.into());
        }
    }

    /// Ends the pass, which failed: its span has the error as an event.
    pub fn failed(self, error: impl Into<Exception>) {
        if let Some(trace) = &self.trace {
            lock(&trace.pass).error = Some(trace.fails(error.into()));
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // What follows is no part of it.
        drop(self.duration.take());
        let Some(trace) = &mut self.trace else { return };
        let mut said = std::mem::take(&mut *lock(&trace.pass));
        trace.panics(&mut said);
        if trace.is_told() {
            trace.tell(said);
        }
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.trace.as_ref().is_some_and(Trace::is_told);
        f.debug_struct("Pass").field("told", &told).finish_non_exhaustive()
    }
}

/// A step of a pass, until it is dropped.
#[must_use = "the step ends when this is dropped"]
pub struct Step<'p> {
    open: Option<Open<'p>>,
    duration: Option<Timing>,
}

struct Open<'p> {
    trace: &'p Trace<'p>,
    place: u32,
    parent: u32,
    name: &'static str,
    started: Instant,
    said: Mutex<Said>,
}

impl<'p> Step<'p> {
    fn begin(trace: Option<&'p Trace<'p>>, parent: u32, name: &'static str) -> Self {
        let open = trace.map(|trace| {
            let place = trace.next.fetch_add(1, Ordering::Relaxed);
            Open { trace, place, parent, name, started: Instant::now(), said: Mutex::default() }
        });
        Self { open, duration: None }
    }

    /// Has its duration counted as well, from now on.
    pub fn timed(mut self, histogram: Histogram) -> Self {
        self.duration = Some(histogram.start());
        self
    }

    /// Begins a step of this step.
    pub fn step(&self, name: &'static str) -> Step<'_> {
        let parent = self.open.as_ref();
        Step::begin(parent.map(|open| open.trace), parent.map_or(0, |open| open.place), name)
    }

    /// Adds an attribute to the span.
    pub fn set_attribute(&self, key: impl Into<Text>, value: impl Into<Value>) {
        if let Some(open) = self.open.as_ref().filter(|open| open.trace.is_told()) {
            lock(&open.said).set(key.into().into(), value.into());
        }
    }

    /// Ends the step, which failed: its span has the error as an event. The pass need not have failed for that.
    pub fn failed(self, error: impl Into<Exception>) {
        if let Some(open) = &self.open {
            lock(&open.said).error = Some(open.trace.fails(error.into()));
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        drop(self.duration.take());
        let Some(Open { trace, place, parent, name, started, said }) = self.open.take() else { return };
        let mut said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
        trace.panics(&mut said);
        if trace.is_told() {
            trace.keep(Ended { place, parent, name, started, ended: Instant::now(), said });
        }
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Step").field(&self.open.as_ref().map(|open| open.name)).finish()
    }
}

impl Said {
    /// Of two with one key the last counts.
    fn set(&mut self, key: SmolStr, value: Value) {
        let room = self.attributes.len() < ATTRIBUTES;
        match self.attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = value,
            None if room => self.attributes.push((key, value)),
            None => {}
        }
    }
}

impl Trace<'_> {
    fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// From now on the pass is told: what contains the failed step has not ended yet.
    fn fails(&self, error: Exception) -> (Instant, Box<Exception>) {
        self.told.store(true, Ordering::Relaxed);
        (Instant::now(), Box::new(error))
    }

    /// What ends while its thread panics, and without a word, failed.
    fn panics(&self, said: &mut Said) {
        if said.error.is_none() && thread::panicking() {
            said.error = Some(self.fails(panicked()));
        }
    }

    fn keep(&self, step: Ended) {
        let mut steps = lock(&self.steps);
        // The pass itself has a span, too.
        if steps.kept.len() + 1 < PASS_SPANS {
            steps.kept.push(step);
        } else {
            steps.dropped += 1;
        }
    }

    /// Appends the spans to the outbox.
    fn tell(&mut self, said: Said) {
        let (now, ended) = (self.inner.now(), Instant::now());
        let at = |instant: Instant| now.saturating_sub(ended.saturating_duration_since(instant));
        let span = |ended: Ended| PassSpan {
            place: ended.place,
            parent: ended.parent,
            name: SmolStr::new_static(ended.name),
            start: at(ended.started),
            end: at(ended.ended),
            attributes: ended.said.attributes,
            exception: ended.said.error.map(|(instant, error)| (at(instant), error)),
        };
        let Steps { mut kept, dropped } = std::mem::take(&mut *lock(&self.steps));
        kept.sort_by_key(|step| step.place);
        let pass = Ended { place: 0, parent: 0, name: "", started: self.started, ended, said };
        let spans = std::iter::once(pass).chain(kept).map(span).collect();
        let key = PassKey {
            namespace: self.inner.namespace.clone(),
            of: self.of,
            instance_id: self.loops.identity.instance_id.clone(),
            process: dagtel_spool::process_id(),
            began: self.loops.began,
            number: self.number,
        };
        let (pass, found) = self.inner.guard.admit_pass(ToldPass { key, spans, dropped });
        let Loops { identity, outbox, .. } = self.loops;
        outbox.counters().found(found);
        for frame in dagtel_otlp::traces(pass_spans(pass), identity) {
            outbox.append_or_count(frame);
        }
    }
}

// No code that runs under a lock panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
