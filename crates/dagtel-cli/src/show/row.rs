//! The texts of one row of a trace's tree.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    forest::{Place, Row},
    line::Line,
    number::{DURATION_WIDTH, duration},
    store::{SpanId, SpanRow, Trace},
    style::{Theme, Tone},
    text::width,
    words::{link_phrases, short_id, short_name},
};

/// Spaces between two columns.
pub(crate) const GAP: &str = "  ";

/// How wide the columns are; what is left of the line belongs to the notes.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) label: usize,
    pub(crate) bar: usize,
}

/// Brothers of one name that were tried more than once.
#[derive(Debug)]
pub(crate) struct Retried<'a>(BTreeSet<(Option<SpanId>, &'a str)>);

impl<'a> Retried<'a> {
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let mut first = BTreeMap::new();
        let mut retried = BTreeSet::new();
        for span in &trace.spans {
            let key = (span.parent, &*span.name);
            if span.try_number.is_some_and(|number| *first.entry(key).or_insert(number) != number) {
                retried.insert(key);
            }
        }
        Self(retried)
    }

    /// ` try 2`, when there is more than one try to tell apart.
    fn attempt(&self, span: &SpanRow) -> String {
        match span.try_number {
            Some(number) if number > 1 || self.0.contains(&(span.parent, &*span.name)) => {
                format!(" try {number}")
            }
            _ => String::new(),
        }
    }
}

/// The texts of one row, before it is known how much room each has.
#[derive(Debug)]
pub(crate) struct Cells {
    lead: String,
    mark: &'static str,
    tone: Tone,
    name: String,
    attempt: String,
    duration: String,
    notes: Vec<(Tone, String)>,
}

impl Cells {
    pub(crate) fn of(trace: &Trace, row: &Row<'_>, retried: &Retried<'_>, theme: &Theme) -> Self {
        let span = row.span;
        let (mark, tone) = mark(span, theme);
        Self {
            lead: lead(row, theme),
            mark,
            tone,
            name: theme.clean(short_name(&span.name)),
            attempt: retried.attempt(span),
            duration: duration(theme, span.duration()),
            notes: notes(trace, row, theme),
        }
    }

    pub(crate) fn label_width(&self) -> usize {
        width(&self.lead) + width(self.mark) + 1 + width(&self.name) + width(&self.attempt)
    }

    pub(crate) fn notes_width(&self, theme: &Theme) -> usize {
        let texts: usize = self.notes.iter().map(|(_, text)| width(text)).sum();
        texts + self.notes.len().saturating_sub(1) * width(theme.glyphs().separator)
    }

    pub(crate) fn line(&self, bar: &str, columns: &Columns, theme: &Theme) -> Line {
        let mut line = Line::default();
        let fixed = width(&self.lead) + width(self.mark) + 1 + width(&self.attempt);
        let name = theme.cut(&self.name, columns.label.saturating_sub(fixed));
        let used = fixed + width(&name);
        line.push(Tone::Dim, &*self.lead).push(self.tone, self.mark).push(Tone::Plain, " ");
        line.push(Tone::Plain, name).push(Tone::Dim, &*self.attempt);
        line.push(Tone::Plain, " ".repeat(columns.label.saturating_sub(used)));
        line.push(Tone::Plain, GAP).push(Tone::Plain, theme.fit_right(&self.duration, DURATION_WIDTH));
        line.push(Tone::Plain, GAP).push(self.tone, theme.fit(bar, columns.bar));
        for (index, (tone, text)) in self.notes.iter().enumerate() {
            line.push(Tone::Dim, if index == 0 { GAP } else { theme.glyphs().separator });
            line.push(*tone, &**text);
        }
        line
    }
}

/// The tree lines in front of a row; of a deep row the innermost, so that the name has room.
fn lead(row: &Row<'_>, theme: &Theme) -> String {
    let glyphs = theme.glyphs();
    let shown = row.lines.len().min(theme.width / 5 / width(glyphs.pipe));
    let mut lead = String::new();
    if row.deeper || shown < row.lines.len() {
        lead.push_str(glyphs.ellipsis);
    }
    for goes_on in &row.lines[row.lines.len() - shown..] {
        lead.push_str(if *goes_on { glyphs.pipe } else { glyphs.gap });
    }
    match row.place {
        Place::Child { last: true } => lead.push_str(glyphs.elbow),
        Place::Child { last: false } => lead.push_str(glyphs.tee),
        Place::Root | Place::Orphan(_) | Place::Circle => {}
    }
    lead
}

/// Success, failure and the two ways of not running; by the engine's word first, then by the status.
fn mark(span: &SpanRow, theme: &Theme) -> (&'static str, Tone) {
    let glyphs = theme.glyphs();
    match (span.state.as_deref(), span.status) {
        (Some("success"), _) => (glyphs.success, Tone::Good),
        (Some("failed" | "lost" | "timeout"), _) => (glyphs.failed, Tone::Bad),
        (Some("skipped"), _) => (glyphs.skipped, Tone::Skipped),
        (Some("upstream_failed"), _) => (glyphs.blocked, Tone::Blocked),
        (_, 2) => (glyphs.failed, Tone::Bad),
        (_, 1) => (glyphs.success, Tone::Good),
        (Some(_), _) => (glyphs.other, Tone::Plain),
        // No word and no status is what most instrumentations send when all went well.
        (None, _) => (glyphs.plain, Tone::Plain),
    }
}

/// Error first, because it is what the reader looks for and the end of the line may be cut; then links and oddities.
fn notes(trace: &Trace, row: &Row<'_>, theme: &Theme) -> Vec<(Tone, String)> {
    let span = row.span;
    let mut notes = Vec::new();
    if let Some(error) = &span.error {
        notes.push((Tone::Bad, theme.clean(error)));
    }
    notes.extend(link_phrases(trace, span).into_iter().map(|phrase| (Tone::Dim, theme.clean(&phrase))));
    match row.place {
        Place::Orphan(parent) => {
            notes.push((Tone::Dim, format!("parent {} was not received", short_id(&parent))));
        }
        Place::Circle => notes.push((Tone::Dim, "is its own ancestor".to_owned())),
        Place::Root | Place::Child { .. } => {}
    }
    if span.end < span.start {
        notes.push((Tone::Dim, "ends before it starts".to_owned()));
    }
    notes
}
