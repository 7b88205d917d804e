//! Received telemetry as text for a terminal: traces as trees with time bars, metrics as a table.
//!
//! Everything here is pure: requests go into a [`Store`], a `String` comes out. Two promises hold for any input,
//! because one place (`line.rs`) builds every line: no line is wider than [`Theme::width`], and no character that could
//! steer the terminal gets through.

mod bar;
mod distribution;
mod forest;
mod line;
mod metrics;
mod number;
mod row;
mod series;
mod store;
mod style;
mod text;
mod tree;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use metrics::metric_table;
pub(crate) use store::Store;
pub(crate) use style::{Theme, Tone};
pub(crate) use tree::all_traces;
