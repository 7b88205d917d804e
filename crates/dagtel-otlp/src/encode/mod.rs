//! The encoders, one for each signal.

mod attribute;
mod log;
mod metric;
mod span;

pub use log::logs;
pub use metric::metrics;
pub use span::traces;

use crate::wire::Writer;

/// `InstrumentationScope` of everything that dagtel itself emits.
fn scope(out: &mut Writer) {
    out.message(1, |out| {
        out.bytes(1, b"dagtel");
        out.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
    });
}
