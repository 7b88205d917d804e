//! Foreign text made harmless, measured in columns, and cut.

use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Theme;

/// Characters of a foreign string that are looked at at all; no line is wide enough to show more.
const MAX_CHARS: usize = 1024;

/// Characters without a width of their own (accents, emoji joiners) in a row; more is no writing system.
const MAX_MARKS: usize = 4;

impl Theme {
    /// `text` with everything written out that a terminal would obey instead of print.
    ///
    /// Cleaning twice is the same as cleaning once.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len().min(MAX_CHARS));
        let mut marks = 0;
        for c in text.chars().take(MAX_CHARS) {
            marks = if c.width() == Some(0) { marks + 1 } else { 0 };
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if obeyed(c) || (!self.unicode && !c.is_ascii()) => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                _ if marks > MAX_MARKS => {}
                c => out.push(c),
            }
        }
        out
    }

    /// Cuts clean text to `columns`, with an ellipsis where something is missing.
    pub(crate) fn cut(&self, text: &str, columns: usize) -> String {
        if width(text) <= columns { text.to_owned() } else { self.cut_short(text, columns) }
    }

    /// Like [`cut`](Self::cut), with the ellipsis even where `text` alone would fit.
    pub(crate) fn cut_short(&self, text: &str, columns: usize) -> String {
        let ellipsis = self.glyphs().ellipsis;
        match columns.checked_sub(width(ellipsis)) {
            Some(room) => format!("{}{ellipsis}", prefix(text, room)),
            None => prefix(text, columns).to_owned(),
        }
    }

    /// Clean text in exactly `columns`: cut, or filled with spaces on the right.
    pub(crate) fn fit(&self, text: &str, columns: usize) -> String {
        let mut cell = self.cut(text, columns);
        cell.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(&cell))));
        cell
    }

    /// Like [`fit`](Self::fit), filled on the left.
    pub(crate) fn fit_right(&self, text: &str, columns: usize) -> String {
        let cell = self.cut(text, columns);
        let space = " ".repeat(columns.saturating_sub(width(&cell)));
        space + &cell
    }
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning of `text` that fits into `columns`.
fn prefix(text: &str, columns: usize) -> &str {
    // Measured as a whole each time, because an emoji of several characters is not as wide as their sum.
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if width(&text[..next]) > columns {
            break;
        }
        end = next;
    }
    &text[..end]
}

/// Whether a terminal may act on `c`, or a reader be misled by it: controls, line separators, direction marks, and
/// characters that are invisible by design.
fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}
