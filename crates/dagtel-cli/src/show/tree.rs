//! One trace as a tree with time bars.

use super::{
    bar::Axis,
    forest::{Place, Row, rows},
    line::Line,
    number::{DURATION_WIDTH, duration},
    row::{Cells, Columns, GAP, Retried},
    store::{Store, Trace},
    style::{Theme, Tone},
    text::width,
    words::hex,
};

/// The shortest bar that still says something, and the longest that the eye can follow.
const BAR_WIDTH: std::ops::RangeInclusive<usize> = 10..=60;

/// Every trace of the store, oldest first, an empty line between two.
pub(crate) fn all_traces(store: &Store, theme: &Theme) -> String {
    let mut out = String::new();
    for trace in store.traces() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&trace_tree(trace, theme));
    }
    if out.is_empty() {
        note("no spans received", theme, &mut out);
    }
    let dropped = store.dropped;
    if dropped.old_traces > 0 {
        note(&format!("{} older traces are not kept", dropped.old_traces), theme, &mut out);
    }
    if dropped.bad_ids > 0 {
        note(&format!("{} spans without a valid id are left out", dropped.bad_ids), theme, &mut out);
    }
    out
}

/// One trace: a header, then a row for each span.
pub(crate) fn trace_tree(trace: &Trace, theme: &Theme) -> String {
    let axis = Axis::of(trace);
    let rows = rows(trace);
    let retried = Retried::of(trace);
    let cells: Vec<_> = rows.iter().map(|row| Cells::of(trace, row, &retried, theme)).collect();
    let columns = Columns::for_cells(&cells, theme);
    let mut out = String::new();
    header(trace, &rows, axis, theme, &mut out);
    for (row, cells) in rows.iter().zip(cells) {
        let bar = axis.bar(theme, row.span, columns.bar);
        cells.line(&bar, &columns, theme).write(theme, &mut out);
    }
    if trace.beyond > 0 {
        note(&format!("{} more spans are not kept", trace.beyond), theme, &mut out);
    }
    out
}

fn note(text: &str, theme: &Theme, out: &mut String) {
    let mut line = Line::default();
    line.push(Tone::Dim, format!("({text})"));
    line.write(theme, out);
}

/// Service, root and id, then duration, spans and errors: on one line where it fits, otherwise the second half below.
fn header(trace: &Trace, rows: &[Row<'_>], axis: Axis, theme: &Theme, out: &mut String) {
    let root = rows.iter().find(|row| row.place == Place::Root).or(rows.first()).map(|row| row.span);
    let service = root.map_or("", |span| &span.service);
    let errors = trace.spans.iter().filter(|span| span.is_error()).count();
    let what = vec![
        (Tone::Strong, if service.is_empty() { "unknown service" } else { service }.to_owned()),
        (Tone::Strong, root.map_or_else(String::new, |span| span.name.clone())),
        (Tone::Dim, format!("trace {}", hex(&trace.id))),
    ];
    let mut how_much = vec![
        (Tone::Plain, duration(theme, axis.duration())),
        (Tone::Plain, counted(trace.spans.len(), "span")),
        (if errors > 0 { Tone::Bad } else { Tone::Dim }, counted(errors, "error")),
    ];
    if axis.waited() > 0 {
        how_much.push((Tone::Dim, format!("bars begin after {}", duration(theme, axis.waited()))));
    }
    let mut heading = Heading { theme, line: Line::default(), used: 0, out };
    let all = heading.columns(&what) + width(theme.glyphs().separator) + heading.columns(&how_much);
    heading.add(what);
    if all > theme.width {
        heading.next_line();
    }
    heading.add(how_much);
    heading.line.write(theme, heading.out);
}

type Part = (Tone, String);

/// Parts with separators between them, broken where the width asks for it.
struct Heading<'a> {
    theme: &'a Theme,
    line: Line,
    used: usize,
    out: &'a mut String,
}

impl Heading<'_> {
    fn columns(&self, parts: &[Part]) -> usize {
        let texts: usize = parts.iter().map(|(_, text)| width(&self.theme.clean(text))).sum();
        texts + (parts.len() - 1) * width(self.theme.glyphs().separator)
    }

    fn add(&mut self, parts: Vec<Part>) {
        let separator = self.theme.glyphs().separator;
        for (tone, text) in parts {
            let text = self.theme.clean(&text);
            let columns = width(&text);
            if self.used > width(GAP) && self.used + width(separator) + columns > self.theme.width {
                self.next_line();
            } else if self.used > width(GAP) {
                self.line.push(Tone::Dim, separator);
                self.used += width(separator);
            }
            self.line.push(tone, text);
            self.used += columns;
        }
    }

    fn next_line(&mut self) {
        std::mem::take(&mut self.line).write(self.theme, self.out);
        self.line.push(Tone::Plain, GAP);
        self.used = width(GAP);
    }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

impl Columns {
    fn for_cells(cells: &[Cells], theme: &Theme) -> Self {
        let longest = |measure: &dyn Fn(&Cells) -> usize| cells.iter().map(measure).max().unwrap_or(0);
        let label = longest(&Cells::label_width).min(theme.width * 2 / 5);
        let rest = theme.width.saturating_sub(label + DURATION_WIDTH + 3 * GAP.len());
        let notes = longest(&|cells| cells.notes_width(theme)).min(rest * 2 / 3);
        let bar = (rest - notes).clamp(*BAR_WIDTH.start(), *BAR_WIDTH.end());
        Self { label, bar }
    }
}
