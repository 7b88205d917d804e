//! A pass of an engine's loop, as plain data, and its spans: a trace of its own.

use smol_str::SmolStr;

use super::map::{SHORTEST, exception, status};
use super::own::Own;
use super::span::Span;
use crate::catalog::{EngineLoop, attribute};
use crate::event::{Exception, RunState};
use crate::guard::AdmittedPass;
use crate::id::PassKey;
use crate::time::Timestamp;
use crate::value::Attribute;

/// A pass of a loop, as the engine tells it. [`crate::guard::Guard::admit_pass`] holds it to the limits; only then its spans are
/// made.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is told by whoever makes it")]
pub struct Pass {
    /// Which one.
    pub key: PassKey,
    /// The pass itself at place 0, and its steps.
    pub spans: Vec<PassSpan>,
    /// Steps for which there was no room.
    pub dropped: u32,
}

/// A pass, or a step of one.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is told by whoever makes it")]
pub struct PassSpan {
    /// Its place among the spans of its pass; 0 is the pass itself. Each place once.
    pub place: u32,
    /// The place of the one that it is a step of. The pass itself has none.
    pub parent: u32,
    /// What the engine calls it. The pass itself has none.
    pub name: SmolStr,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// What went wrong in it, and when.
    pub exception: Option<(Timestamp, Box<Exception>)>,
}

/// The spans of a pass, in the order in which they are told. `error.type` is the mapping's own.
pub fn pass_spans(pass: AdmittedPass) -> impl Iterator<Item = Span> {
    let Pass { key, spans, dropped } = pass.into_pass();
    let (trace_id, span_id) = (key.trace_id(), key.span_ids());
    spans.into_iter().map(move |told| {
        let is_pass = told.place == 0;
        let mut own = Own::default();
        let (failed, exceptions) = (RunState::Failed.as_str(), told.exception.as_slice());
        let status = status(!exceptions.is_empty(), false, failed, exceptions, &mut own);
        if is_pass && dropped > 0 {
            own.put(attribute::DROPPED_STEPS, dropped);
        }
        let is_own =
            |key: &str| [attribute::ERROR_TYPE, attribute::DROPPED_STEPS].iter().any(|own| own == key);
        let (attributes, dropped_attributes) = own.and_unless(told.attributes, is_own);
        let name = if is_pass { EngineLoop::PASS } else { told.name.as_str() };
        Span {
            namespace: key.namespace.clone(),
            dag_id: None,
            trace_id,
            span_id: span_id(told.place),
            parent: (!is_pass).then(|| span_id(told.parent)),
            name: [key.of.prefix(), name].concat(),
            start: told.start,
            end: told.end.max(told.start.saturating_add(SHORTEST)),
            attributes,
            dropped_attributes,
            events: told.exception.into_iter().map(exception).collect(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            status,
        }
    })
}
