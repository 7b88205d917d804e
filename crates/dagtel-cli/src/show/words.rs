//! What a row says in words: its error, and what it is linked to.

use opentelemetry_proto::tonic::trace::v1::{
    Span,
    span::{Event, Link as SentLink},
};

use super::{
    store::{SpanId, SpanRow, Trace, TraceId, id_of},
    value::{bounded, find_text},
};

/// Links kept of one span; OpenTelemetry's own default limit.
const MAX_LINKS: usize = 128;

/// Names in one list before the rest is only counted.
const MAX_NAMES: usize = 3;

/// Names in front of which dagtel puts what kind of thing it is.
const PREFIXES: [&str; 2] = ["task_run.", "dag_run."];

/// A link as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    trace: TraceId,
    span: SpanId,
    kind: Kind,
}

/// What a link means, after its `link.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Retry,
    Culprit,
    Dependency,
    Trigger,
    Other,
}

impl Link {
    /// `None` when an id is not one.
    pub(crate) fn read(sent: &SentLink) -> Option<Self> {
        let kind = match find_text(&sent.attributes, "link.type").as_deref() {
            Some("retry_of") => Kind::Retry,
            Some("culprit") => Kind::Culprit,
            Some("dependency") => Kind::Dependency,
            Some("trigger") => Kind::Trigger,
            _ => Kind::Other,
        };
        Some(Self { trace: id_of(&sent.trace_id)?, span: id_of(&sent.span_id)?, kind })
    }

    pub(crate) fn read_all(span: &Span) -> Vec<Self> {
        span.links.iter().take(MAX_LINKS).filter_map(Self::read).collect()
    }
}

impl Kind {
    const ALL: [Self; 5] = [Self::Retry, Self::Culprit, Self::Dependency, Self::Trigger, Self::Other];

    const fn words(self) -> &'static str {
        match self {
            Self::Retry => "retry of",
            Self::Culprit => "because of",
            Self::Dependency => "after",
            Self::Trigger => "triggered by",
            Self::Other => "linked to",
        }
    }
}

/// The name without dagtel's own prefix.
pub(crate) fn short_name(name: &str) -> &str {
    PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(name)
}

/// The first bytes of an id in hexadecimal: enough to search for it.
pub(crate) fn short_id(id: &[u8]) -> String {
    hex(&id[..id.len().min(4)])
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error of a span: its exception event, or else the words of its status.
pub(crate) fn first_error(span: &Span) -> Option<String> {
    let exception = span.events.iter().find(|event| event.name == "exception").and_then(exception_text);
    exception.or_else(|| {
        let status = span.status.as_ref().filter(|status| status.code == 2 && !status.message.is_empty());
        status.map(|status| bounded(&status.message))
    })
}

fn exception_text(event: &Event) -> Option<String> {
    let part = |key| find_text(&event.attributes, key).filter(|text| !text.is_empty());
    match (part("exception.type"), part("exception.message")) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (kind, message) => kind.or(message),
    }
}

/// One phrase for each kind of link a span has: `after extract, shell`.
pub(crate) fn link_phrases(trace: &Trace, span: &SpanRow) -> Vec<String> {
    let mut phrases = Vec::new();
    for kind in Kind::ALL {
        let names: Vec<_> =
            span.links.iter().filter(|link| link.kind == kind).map(|link| name_of(trace, link)).collect();
        // The sender drops links only when there are very many, and only dependencies can be that many.
        let unnamed = if kind == Kind::Dependency { span.dropped_links as usize } else { 0 };
        if !names.is_empty() {
            phrases.push(phrase(kind, &names, unnamed));
        }
    }
    phrases
}

fn phrase(kind: Kind, names: &[String], unnamed: usize) -> String {
    let shown = &names[..names.len().min(MAX_NAMES)];
    let rest = names.len() - shown.len() + unnamed;
    let list = shown.join(", ");
    if rest == 0 { format!("{} {list}", kind.words()) } else { format!("{} {list} +{rest}", kind.words()) }
}

/// How a link's target is called here: by try for a retry, by name inside the trace, by id otherwise.
fn name_of(trace: &Trace, link: &Link) -> String {
    if link.trace != trace.id {
        return format!("trace {}", short_id(&link.trace));
    }
    match trace.find(&link.span) {
        None => short_id(&link.span),
        Some(SpanRow { try_number: Some(number), .. }) if link.kind == Kind::Retry => format!("try {number}"),
        Some(target) => short_name(&target.name).to_owned(),
    }
}
