//! The encoders, one for each signal.

mod attribute;
mod event;
mod log;
mod metric;
mod requests;
mod span;

pub use event::events;
pub use log::logs;
pub use metric::metrics;
pub use span::traces;

use dagtel_core::value::Attribute;

use self::attribute::attributes;
use crate::wire::Writer;
use crate::{Frame, Signal};

/// `InstrumentationScope` of everything that dagtel itself emits.
fn scope(out: &mut Writer) {
    out.message(1, |out| {
        out.bytes(1, b"dagtel");
        out.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
    });
}

/// A request about one resource, with whatever `body` says in dagtel's own scope.
fn request(signal: Signal, resource: &[Attribute], body: &Writer, items: usize) -> Frame {
    let mut request = Writer::default();
    request.message(1, |out| {
        out.message(1, |out| attributes(out, 1, resource));
        out.message(2, |out| {
            scope(out);
            out.append(body);
        });
    });
    Frame::new(signal, request.into_bytes(), items)
}
