//! One output line, built of pieces with a tone each. The only way text leaves this module tree.

use super::{
    style::{Theme, Tone},
    text::width,
};

/// A line under construction.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    /// Appends text in a tone.
    pub(crate) fn push(&mut self, tone: Tone, text: impl Into<String>) -> &mut Self {
        self.pieces.push((tone, text.into()));
        self
    }

    /// Appends the line to `out`: cleaned, cut to the theme's width, without spaces at its end.
    pub(crate) fn write(mut self, theme: &Theme, out: &mut String) {
        for (_, text) in &mut self.pieces {
            *text = theme.clean(text);
        }
        self.trim();
        self.cut(theme);
        self.trim();
        out.extend(self.pieces.iter().map(|(tone, text)| theme.paint(*tone, text)));
        out.push('\n');
    }

    /// Cuts at the theme's width, so that the ellipsis falls into the piece that meets the edge.
    fn cut(&mut self, theme: &Theme) {
        let whole: usize = self.pieces.iter().map(|(_, text)| width(text)).sum();
        if whole <= theme.width {
            return;
        }
        let mut room = theme.width;
        for index in 0..self.pieces.len() {
            let (_, text) = &mut self.pieces[index];
            let columns = width(text);
            if columns + width(theme.glyphs().ellipsis) > room {
                *text = theme.cut_short(text, room);
                self.pieces.truncate(index + 1);
                return;
            }
            room -= columns;
        }
    }

    fn trim(&mut self) {
        while let Some((_, last)) = self.pieces.last_mut() {
            last.truncate(last.trim_end_matches(' ').len());
            if !last.is_empty() {
                return;
            }
            self.pieces.pop();
        }
    }
}
