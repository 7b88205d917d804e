//! OpenTelemetry's limits of spans and log records, as a deployment sets them.

/// How many attributes something may have, and how long their texts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the specification has these two")]
pub struct Most {
    /// Attributes; the rest is left out and counted beside them (`dropped_attributes_count`).
    pub attributes: usize,
    /// Characters of a text, and of each text of a list; the rest is cut.
    pub characters: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self { attributes: usize::MAX, characters: usize::MAX }
    }
}

/// What spans and log records are held to when they are encoded, as `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT` and its kin say it.
///
/// Of attributes, events and links the first stay, and dagtel's own come before those that came with events. Where nobody
/// says anything nothing is left out here: the limits of `dagtel_core::limits` hold before. Resources and tags of metrics
/// have no such limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordLimits {
    /// Of a span, the tags of the deployment among its attributes.
    pub span: Most,
    /// Events of a span; the rest is counted in `dropped_events_count`.
    pub events: usize,
    /// Links of a span; the rest is counted in `dropped_links_count`.
    pub links: usize,
    /// Of an event of a span.
    pub event: Most,
    /// Of a link of a span.
    pub link: Most,
    /// Of a log record, the tags of the deployment among its attributes.
    pub log: Most,
}

impl Default for RecordLimits {
    fn default() -> Self {
        let most = Most::default();
        Self { span: most, events: usize::MAX, links: usize::MAX, event: most, link: most, log: most }
    }
}
