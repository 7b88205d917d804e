//! Colours and characters: what the terminal can show.

use anstyle::{AnsiColor, Style};

/// What the output may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Whether escape sequences for colour are allowed.
    pub(crate) color: bool,
    /// Whether characters beyond ASCII are allowed.
    pub(crate) unicode: bool,
    /// Columns a line may have.
    pub(crate) width: usize,
}

/// Why a piece of text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Bad,
    Skipped,
    Blocked,
}

/// The drawing characters of one theme.
#[derive(Debug)]
pub(crate) struct Glyphs {
    pub(crate) tee: &'static str,
    pub(crate) elbow: &'static str,
    pub(crate) pipe: &'static str,
    pub(crate) gap: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) separator: &'static str,
    pub(crate) about: &'static str,
    pub(crate) range: &'static str,
    /// A cell filled to one eighth, two eighths, … eight eighths.
    pub(crate) eighths: [char; 8],
    pub(crate) success: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) skipped: &'static str,
    pub(crate) blocked: &'static str,
    pub(crate) plain: &'static str,
    pub(crate) other: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    tee: "├─ ",
    elbow: "└─ ",
    pipe: "│  ",
    gap: "   ",
    ellipsis: "…",
    separator: " · ",
    about: "≈",
    range: "–",
    eighths: ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
    success: "✓",
    failed: "✗",
    skipped: "↷",
    blocked: "⊘",
    plain: "·",
    other: "?",
};

const ASCII: Glyphs = Glyphs {
    tee: "|- ",
    elbow: "`- ",
    pipe: "|  ",
    gap: "   ",
    ellipsis: "...",
    separator: " | ",
    about: "~",
    range: "-",
    eighths: ['.', '.', '.', '#', '#', '#', '#', '#'],
    success: "+",
    failed: "x",
    skipped: "-",
    blocked: "/",
    plain: ".",
    other: "?",
};

impl Theme {
    pub(crate) const fn glyphs(&self) -> &'static Glyphs {
        if self.unicode { &UNICODE } else { &ASCII }
    }

    /// `text` between the escape sequences of its tone, or as it is.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        match tone.style() {
            Some(style) if self.color && !text.trim_start().is_empty() => format!("{style}{text}{style:#}"),
            _ => text.to_owned(),
        }
    }
}

impl Tone {
    const fn style(self) -> Option<Style> {
        let style = Style::new();
        match self {
            Self::Plain => None,
            Self::Strong => Some(style.bold()),
            Self::Dim => Some(style.dimmed()),
            Self::Good => Some(color(AnsiColor::Green)),
            Self::Bad => Some(color(AnsiColor::Red)),
            Self::Skipped => Some(color(AnsiColor::Yellow).dimmed()),
            Self::Blocked => Some(color(AnsiColor::Magenta).dimmed()),
        }
    }
}

const fn color(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(color)))
}
