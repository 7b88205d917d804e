//! Reading a whole file, or standard input, within a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What was read.
pub(crate) enum Input {
    Text(String),
    /// It was read, and is no text that can be used: why.
    Bad(String),
}

/// Reads a file, or standard input as `-`, up to `most` bytes and what surrounds them in blanks.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn text(file: &Path, most: usize) -> anyhow::Result<Input> {
    let mut bytes = Vec::new();
    // A line's end or two may follow.
    let room = most as u64 + 16;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(room + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(room + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", name(file)))?;
    if bytes.len() as u64 > room {
        return Ok(Input::Bad(format!("it is longer than the {most} bytes that are accepted")));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Input::Text(text),
        Err(error) => Input::Bad(format!("it is no UTF-8 text at byte {}", error.utf8_error().valid_up_to())),
    })
}

/// What to call it in messages.
pub(crate) fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}
