//! What the terminal can show, and writing to it.

use std::io::{IsTerminal as _, Write as _};

use crate::show::Theme;

/// Columns when nobody says how many there are.
const WIDTH: usize = 100;

/// What standard output can show: colour unless `NO_COLOR` or a pipe is in the way, characters beyond ASCII unless the
/// locale is C.
pub(crate) fn theme() -> Theme {
    let color = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    Theme { color, unicode: unicode(), width: width() }
}

fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let found = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    set.or(found).unwrap_or(WIDTH).clamp(40, 400)
}

fn unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    // A container often has no locale at all, and shows UTF-8 all the same.
    locale.is_none_or(|locale| !matches!(locale.as_str(), "C" | "POSIX"))
}

/// Whether a person watches standard error, so that lines may be drawn again.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes to standard output. A reader that went away is no error.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes an error to standard error, in one line: it may repeat what a stranger wrote.
pub(crate) fn complain(text: &str) {
    let text = theme().clean(text);
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let _ = writeln!(anstream::stderr().lock(), "{red}error:{red:#} {text}");
}
