//! What the tests of the facade share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dagtel::core::signal::Span;
use dagtel::core::value::Value;
use dagtel::{Builder, DagRun, Dagtel, TaskInstance};
pub(crate) use tempfile::TempDir;

/// Longer than any of these tests takes, so that only a hang is cut short.
pub(crate) const LONG: Duration = Duration::from_secs(15);

/// A directory of a test's own, for [`dagtel::Builder::spool`]. It must outlive the guard.
pub(crate) fn spool() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A process of an engine that uses this spool directory.
pub(crate) fn builder(endpoint: impl Into<String>, spool: &TempDir) -> Builder {
    Dagtel::builder("engine").endpoint(endpoint).spool(spool.path()).shutdown_deadline(LONG)
}

/// A run of the DAG `shop` with so many tasks, hence with one span more.
pub(crate) fn a_run(dagtel: &Dagtel, run_id: &str, tasks: i32) {
    let run = dagtel.start(DagRun::new("shop", run_id.to_owned()));
    for index in 0..tasks {
        run.start(TaskInstance::new("part").map_index(index)).success();
    }
    run.success();
}

/// A clock that moves only when it is told to.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_795_208_627_000)))
    }

    pub(crate) fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// For [`dagtel::Builder::clock`].
    pub(crate) fn reader(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.clone();
        move || clock.now()
    }
}

/// The spans with this name, in the order in which they came.
pub(crate) fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// The only span with this name.
pub(crate) fn only<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = named(spans, name);
    assert_eq!(found.len(), 1, "{name}: {spans:#?}");
    found[0]
}

pub(crate) fn value<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find_map(|(name, value)| (name == key).then_some(value))
}

pub(crate) fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    value(span, key).and_then(Value::as_str)
}

pub(crate) fn state(span: &Span) -> &str {
    text(span, "state").unwrap_or_default()
}

/// The links of a span by their `link.type`, as names of the spans they point to.
pub(crate) fn links<'a>(spans: &'a [Span], span: &Span) -> Vec<(&'static str, &'a str)> {
    let name = |id| spans.iter().find(|span| span.span_id == id).map_or("?", |span| span.name.as_str());
    let kind = |attributes: &'static [(_, Value)]| attributes[0].1.as_str().unwrap_or_default();
    span.links.iter().map(|link| (kind(link.attributes), name(link.span_id))).collect()
}

/// An address on loopback where nothing listens.
pub(crate) fn nowhere() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
