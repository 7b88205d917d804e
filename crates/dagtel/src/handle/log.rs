//! Lines that a try logs.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use dagtel_core::catalog::{attribute, drop_reason};
use dagtel_core::event::{Event, Fact, LogLine, Severity, Truth};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits::LOG_LINES_PER_TRY;
use dagtel_core::time::Timestamp;
use dagtel_core::value::Text;

use crate::engine::Inner;

/// Logs lines of a try, from any thread. Clones are of the same try, and share its limit of
/// [`LOG_LINES_PER_TRY`] lines; beyond it, lines are dropped and counted, and the last line says so.
///
/// A line is appended to the journal like every other fact; it is sent as an OTLP log record with the ids of the try's span.
/// Lines of a try have times that rise from line to line, so that every backend shows them in their order.
#[derive(Clone, Default)]
pub struct TaskLogger(Option<Arc<Try>>);

/// Weak, so that a logger that is kept keeps no journal open.
struct Try {
    inner: Weak<Inner>,
    run: Arc<RunKey>,
    key: TryKey,
    lines: AtomicU32,
    /// The time of the last line.
    last: AtomicU64,
}

impl TaskLogger {
    pub(crate) fn new(inner: &Arc<Inner>, run: &Arc<RunKey>, key: &TryKey) -> Self {
        if !inner.lines {
            return Self(None);
        }
        let (lines, last) = (AtomicU32::new(0), AtomicU64::new(0));
        Self(Some(Arc::new(Try {
            inner: Arc::downgrade(inner),
            run: run.clone(),
            key: key.clone(),
            lines,
            last,
        })))
    }

    /// Whether a line would be recorded. Worth asking before one is made that costs something.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Logs a text.
    pub fn log(&self, severity: Severity, body: impl Into<Text>) {
        if self.is_on() {
            self.log_line(LogLine { severity, body: body.into().into(), attributes: Vec::new() });
        }
    }

    /// Logs a line with attributes. `host.name` and `process.pid` are those of this process unless they are among them.
    pub fn log_line(&self, line: LogLine) {
        self.log_line_at(line, None);
    }

    /// Logs a line that was read at a time before now.
    pub fn log_line_at(&self, line: LogLine, at: Option<SystemTime>) {
        let Some(of) = &self.0 else { return };
        let Some(inner) = of.inner.upgrade() else { return };
        match of.lines.fetch_add(1, Ordering::Relaxed) {
            0..LOG_LINES_PER_TRY_BUT_ONE => of.append(&inner, line, at),
            LOG_LINES_PER_TRY_BUT_ONE => {
                let body = format!(
                    "dagtel keeps {LOG_LINES_PER_TRY} lines of a try; what follows is dropped and counted"
                );
                let severity = Severity::Warn;
                of.append(&inner, LogLine { severity, body: body.into(), attributes: Vec::new() }, at);
                inner.counters.events_dropped(drop_reason::TOO_MANY_LINES, 1);
            }
            _ => {
                // So that it never comes round to 0.
                of.lines.store(LOG_LINES_PER_TRY, Ordering::Relaxed);
                inner.counters.events_dropped(drop_reason::TOO_MANY_LINES, 1);
            }
        }
    }
}

/// The last line is the one that says that it is.
const LOG_LINES_PER_TRY_BUT_ONE: u32 = LOG_LINES_PER_TRY - 1;

impl Try {
    fn append(&self, inner: &Inner, mut line: LogLine, at: Option<SystemTime>) {
        let at = at.map_or_else(|| inner.now(), Timestamp::from).as_nanos();
        let later = |last: u64| at.max(last.saturating_add(1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(later(last)));
        let at = Timestamp::from_nanos(last.map_or(at, later));
        let has = |line: &LogLine, key| line.attributes.iter().any(|(known, _)| *known == key);
        if let Some(host) = inner.host.clone().filter(|_| !has(&line, attribute::HOST_NAME)) {
            line.attributes.push((attribute::HOST_NAME, host.into()));
        }
        if !has(&line, attribute::PROCESS_PID) {
            line.attributes.push((attribute::PROCESS_PID, dagtel_spool::process_id().into()));
        }
        let fact = Fact::Log { key: self.key.clone(), line };
        inner.record(Event { run: self.run.clone(), at, truth: Truth::Reported, fact });
    }
}

impl fmt::Debug for TaskLogger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskLogger").field(&self.0.as_ref().map(|of| (&of.run, &of.key))).finish()
    }
}
