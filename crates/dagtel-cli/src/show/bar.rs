//! Where a span lies in its trace, as a bar of eighth blocks.

use super::{
    store::{SpanRow, Trace},
    style::Theme,
};

/// The time from the first start to the last end of a trace, or to where most of it was only waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    first: u64,
    /// Where the bars begin: at `first`, unless more than half of the time had passed before anything else happened.
    start: u64,
    end: u64,
}

impl Axis {
    /// A time of zero is a time that is not known, and does not stretch the axis.
    pub(crate) fn of(trace: &Trace) -> Self {
        let times = || trace.spans.iter().flat_map(|span| [span.start, span.end]).filter(|time| *time > 0);
        let (first, end) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let second = trace.spans.iter().map(|span| span.start).filter(|start| *start > first).min();
        let waited = second.filter(|second| second - first > end - second && *second < end);
        Self { first, start: waited.unwrap_or(first), end }
    }

    /// Nanoseconds of the whole trace.
    pub(crate) fn duration(self) -> u64 {
        self.end.saturating_sub(self.first)
    }

    /// Nanoseconds before the first bar.
    pub(crate) fn waited(self) -> u64 {
        self.start - self.first
    }

    /// The bar of `span` on `cells` columns, without spaces at its end. Never empty: the shortest span is visible.
    pub(crate) fn bar(self, theme: &Theme, span: &SpanRow, cells: usize) -> String {
        let Some(last_cell) = cells.checked_sub(1) else { return String::new() };
        let eighths = &theme.glyphs().eighths;
        let from = self.position(span.start, cells * 8);
        let to = self.position(span.end.max(span.start), cells * 8);
        // Blocks fill a cell from its left, so a bar begins at the edge of a cell. A long one then keeps its end in
        // place, a short one its length.
        let first = (from / 8).min(last_cell);
        let length = to.saturating_sub(from);
        let filled = if length < 8 { length } else { to - first * 8 }.clamp(1, (cells - first) * 8);
        let mut bar = " ".repeat(first);
        bar.extend(std::iter::repeat_n(eighths[7], filled / 8));
        bar.extend((filled % 8).checked_sub(1).map(|part| eighths[part]));
        bar
    }

    /// Where `time` falls on `steps`, from 0 to `steps`.
    fn position(self, time: u64, steps: usize) -> usize {
        let Some(total) = std::num::NonZeroU64::new(self.end - self.start) else { return 0 };
        let since = u128::from(time.clamp(self.start, self.end) - self.start);
        let step = since * steps as u128 / u128::from(total.get());
        usize::try_from(step).unwrap_or(steps)
    }
}
