//! What is logged, by level. Tests take turns, each before it starts a server: senders log on threads of their own,
//! and the port of a server that ended must not become another test's while events still go there.

use std::fmt::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use dagtel_testkit::gateway::{HUNG, locked};

static LINES: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());
static NEW: Condvar = Condvar::new();
static TURN: Mutex<()> = Mutex::new(());

/// The log of one test.
pub(crate) struct Log(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Log {
    /// Begins with an empty log, once no other test uses it.
    pub(crate) fn begin() -> Self {
        static INSTALLED: OnceLock<()> = OnceLock::new();
        INSTALLED
            .get_or_init(|| tracing::subscriber::set_global_default(Keep).expect("nobody else logs here"));
        let turn = locked(&TURN);
        locked(&LINES).clear();
        Self(turn)
    }

    /// Waits for the first line.
    pub(crate) fn wait(&self) {
        let waited = NEW.wait_timeout_while(locked(&LINES), HUNG, |lines| lines.is_empty());
        let lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        assert!(!lines.is_empty(), "nothing was logged");
    }

    /// What this crate logged at that level.
    pub(crate) fn at(&self, level: Level) -> Vec<String> {
        locked(&LINES).iter().filter(|(of, _)| *of == level).map(|(_, line)| line.clone()).collect()
    }
}

struct Keep;

impl Subscriber for Keep {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dagtel_usage")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        locked(&LINES).push((*event.metadata().level(), line.0));
        NEW.notify_all();
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message and every field.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        written.expect("a string takes everything");
    }
}
