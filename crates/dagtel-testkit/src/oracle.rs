//! Says whether every span came once.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::Taken;

/// How often the spans came. A span is known by its trace id and its span id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Oracle {
    /// Distinct spans.
    pub distinct: usize,
    /// Spans that came again just as before: a resend, which Jaeger folds.
    pub copies: usize,
    /// Spans that came again and said something else: never right.
    pub versions: usize,
}

impl Oracle {
    pub(crate) fn of(taken: &Taken) -> Self {
        let mut known: BTreeMap<(&[u8], &[u8]), Vec<&Span>> = BTreeMap::new();
        let mut oracle = Self::default();
        for spanned in taken.spans() {
            let span = spanned.span;
            let versions = known.entry((&span.trace_id, &span.span_id)).or_default();
            if versions.is_empty() {
                oracle.distinct += 1;
            } else if versions.contains(&span) {
                oracle.copies += 1;
            } else {
                oracle.versions += 1;
            }
            versions.push(span);
        }
        oracle
    }

    /// So many spans, each once.
    pub fn each_once(distinct: usize) -> Self {
        Self { distinct, copies: 0, versions: 0 }
    }
}
