//! Every limit that events and signals are held to, in one table ([`TABLE`]).
//!
//! The figures for spans (128 attributes, events, links) are OpenTelemetry's defaults
//! (`specification/trace/sdk.md`, "Span Limits"). What goes over a limit is cut, and the cut is counted.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of one part of a key (namespace, DAG id, run id, task id); see [`clip_key`].
pub const KEY_BYTES: usize = 1024;
/// Bytes of one string attribute.
pub const STRING_BYTES: usize = 4096;
/// Bytes of an exception's stack trace, which is longer than other texts by nature.
pub const STACKTRACE_BYTES: usize = 16 * 1024;
/// Bytes of a metric tag's value: one series more costs every backend, one byte more only this one.
pub const TAG_BYTES: usize = 256;
/// Attributes of one event, and of one span.
pub const ATTRIBUTES: usize = 128;
/// Span events of one span.
pub const SPAN_EVENTS: usize = 128;
/// Links of one span; the rest is counted in `dropped_links_count`.
pub const LINKS: usize = 128;
/// Items of a list value, which together have at most [`STRING_BYTES`], and of the `upstream` list of a task.
pub const LIST_ITEMS: usize = 1024;
/// Dependency edges of one run.
pub const EDGES: usize = 65_536;
/// Open runs in one fold. Beyond it, a run that is not known yet is not taken in.
pub const OPEN_RUNS: usize = 65_536;
/// Runs in one fold that have ended and wait for what may still come. Beyond it, those that ended first are closed at once.
pub const ENDED_RUNS: usize = 8192;
/// Tries of one run. Beyond it, a try that is not known yet is not taken in.
pub const TRIES_PER_RUN: usize = 131_072;
/// Closed runs that are remembered, so that a late fact is known as late.
pub const CLOSED_RUNS: usize = 16_384;
/// Tries of closed runs that are remembered where facts come from several hosts, so that one that comes after its run is told
/// once.
pub const CLOSED_TRIES: usize = 262_144;
/// Times that facts about one try may add details to it.
pub const DETAILS_PER_TRY: usize = 64;
/// Tag sets of one metric; the rest is one series with `overflow="true"`.
pub const TAG_SETS: usize = 2000;
/// Series that a backend is told under Airflow's legacy names: most of them have a name of their own, which costs Prometheus
/// more than a series.
pub const LEGACY_SERIES: usize = 2000;
/// Spans of one pass of a loop, the pass itself included.
pub const PASS_SPANS: usize = 512;
/// Bytes of one line of a recording or an event file.
pub const LINE_BYTES: usize = 1024 * 1024;
/// Bytes of a line that a task logs.
pub const LOG_BODY_BYTES: usize = 8 * 1024;
/// Attributes of such a line.
pub const LOG_ATTRIBUTES: usize = 64;
/// Lines of one try.
pub const LOG_LINES_PER_TRY: u32 = 100_000;
/// Lines of a try that become events of its span, if that is wanted: the last ones.
pub const LOG_EVENTS: usize = 64;
/// Bytes of a line as an event of a span.
pub const LOG_EVENT_BYTES: usize = 1024;
/// Values in one `metrics` line of an inbox.
pub const REPORTED_VALUES: usize = 256;
/// Processes whose `metrics` lines are remembered at a time.
pub const REPORTING_PROCESSES: usize = 256;
/// Bytes of memory of a pattern by which a deployment redacts, once it is compiled.
pub const PATTERN_BYTES: usize = 1024 * 1024;
/// Queues and states whose tries are counted apart.
pub const QUEUE_STATES: usize = 1024;

/// A row of [`TABLE`]: what is limited, to how much, in what unit.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limit {
    /// What is limited.
    pub what: &'static str,
    /// To how much.
    pub most: usize,
    /// Of what.
    pub unit: &'static str,
    /// What happens beyond it.
    pub beyond: &'static str,
}

const fn limit(what: &'static str, most: usize, unit: &'static str, beyond: &'static str) -> Limit {
    Limit { what, most, unit, beyond }
}

/// All limits of this crate.
pub const TABLE: &[Limit] = &[
    limit("part of a key", KEY_BYTES, "bytes", "cut, ends in a digest of the whole"),
    limit("string attribute", STRING_BYTES, "bytes", "cut"),
    limit("stack trace", STACKTRACE_BYTES, "bytes", "cut"),
    limit("metric tag value", TAG_BYTES, "bytes", "cut"),
    limit("attributes of a span", ATTRIBUTES, "attributes", "dropped, counted on the span"),
    limit("events of a span", SPAN_EVENTS, "events", "dropped, counted on the span"),
    limit("links of a span", LINKS, "links", "dropped, counted on the span"),
    limit("list value", LIST_ITEMS, "items", "cut"),
    limit("dependency edges of a run", EDGES, "edges", "dropped"),
    limit("open runs", OPEN_RUNS, "runs", "events of further runs dropped"),
    limit(
        "ended runs that wait for late facts",
        ENDED_RUNS,
        "runs",
        "those that ended first are closed at once",
    ),
    limit("tries of a run", TRIES_PER_RUN, "tries", "events of further tries dropped"),
    limit("closed runs remembered", CLOSED_RUNS, "runs", "the oldest is forgotten"),
    limit("tries of closed runs remembered", CLOSED_TRIES, "tries", "those of the oldest run are forgotten"),
    limit("details about one try", DETAILS_PER_TRY, "events", "dropped"),
    limit("spans of a pass of a loop", PASS_SPANS, "spans", "dropped, counted in `dropped_steps`"),
    limit("line that a task logs", LOG_BODY_BYTES, "bytes", "cut, `body_bytes` says how long it was"),
    limit("attributes of such a line", LOG_ATTRIBUTES, "attributes", "cut"),
    limit("lines of a try", LOG_LINES_PER_TRY as usize, "lines", "dropped, the last one says so"),
    limit("lines as events of a span", LOG_EVENTS, "events", "the first are dropped, counted on the span"),
    limit("line as an event of a span", LOG_EVENT_BYTES, "bytes", "cut"),
    limit("tag sets of a metric", TAG_SETS, "series", "folded into overflow=\"true\""),
    limit("series under legacy names", LEGACY_SERIES, "series", "told under their other names only"),
    limit("values in a metrics line", REPORTED_VALUES, "values", "the line is refused with a message"),
    limit("processes that report metrics", REPORTING_PROCESSES, "processes", "further ones are not taken in"),
    limit("queues and states of tries", QUEUE_STATES, "series", "counted under the queue \"overflow\""),
    limit(
        "compiled pattern of redaction",
        PATTERN_BYTES,
        "bytes",
        "the configuration is refused with a message",
    ),
    limit("line of a recording", LINE_BYTES, "bytes", "skipped with a message"),
];

/// The beginning of `text` within `most` bytes, cut between characters.
pub fn clip(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    &text[..text.floor_char_boundary(most)]
}

/// A key part within [`KEY_BYTES`]: unchanged, or its beginning and `~` and 16 hex digits of its SHA-256.
pub fn clip_key(part: &str) -> Cow<'_, str> {
    const DIGEST: usize = 17;
    if part.len() <= KEY_BYTES {
        return Cow::Borrowed(part);
    }
    let mut short = String::with_capacity(KEY_BYTES);
    short.push_str(clip(part, KEY_BYTES - DIGEST));
    short.push('~');
    for byte in &Sha256::digest(part)[..8] {
        let _ = write!(short, "{byte:02x}");
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_that_begin_alike_stay_apart() {
        let one = "x".repeat(KEY_BYTES) + "1";
        let two = "x".repeat(KEY_BYTES) + "2";
        assert_ne!(clip_key(&one), clip_key(&two));
        assert_eq!(clip_key(&one).len(), KEY_BYTES);
        assert_eq!(clip_key(&"x".repeat(KEY_BYTES)).len(), KEY_BYTES);
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(clip("aé", 2), "a");
        assert_eq!(clip("🚀", 3), "");
    }
}
