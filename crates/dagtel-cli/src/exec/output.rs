//! Copying a child's output to this process's own, and keeping its last lines.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes of one line that are kept.
const LINE_BYTES: usize = 2048;

/// The last lines of both streams together.
pub(super) struct Tee {
    lines: Arc<Mutex<Lines>>,
    copiers: Vec<JoinHandle<()>>,
}

struct Lines {
    last: VecDeque<String>,
    most: usize,
}

/// Has the child write into pipes.
pub(super) fn prepare(command: &mut Command) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

impl Tee {
    /// Copies from now on, and keeps at most so many lines.
    pub(super) fn start(child: &mut Child, most: usize) -> Self {
        let lines = Arc::new(Mutex::new(Lines { last: VecDeque::new(), most }));
        let out = child.stdout.take().map(|from| copier(from, io::stdout(), lines.clone()));
        let err = child.stderr.take().map(|from| copier(from, io::stderr(), lines.clone()));
        Self { lines, copiers: out.into_iter().chain(err).collect() }
    }

    /// Waits until both streams are at their end, and gives the last lines, one below the other.
    pub(super) fn finish(self) -> String {
        for copier in self.copiers {
            let _ = copier.join();
        }
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

fn copier(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    lines: Arc<Mutex<Lines>>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = [0; 16 * 1024];
        let mut line = Vec::new();
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            // Whoever reads our output may have gone; the child must not be held up by that.
            let _ = to.write_all(&chunk[..read]).and_then(|()| to.flush());
            split(&chunk[..read], &mut line, &lines);
        }
        if !line.is_empty() {
            keep(&mut line, &lines);
        }
    })
}

fn split(chunk: &[u8], line: &mut Vec<u8>, lines: &Mutex<Lines>) {
    for part in chunk.split_inclusive(|byte| *byte == b'\n') {
        let (text, ended) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
        let room = LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&text[..text.len().min(room)]);
        if ended {
            keep(line, lines);
        }
    }
}

fn keep(line: &mut Vec<u8>, lines: &Mutex<Lines>) {
    let text = String::from_utf8_lossy(line).into_owned();
    line.clear();
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.last.len() >= lines.most {
        lines.last.pop_front();
    }
    lines.last.push_back(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let lines = Mutex::new(Lines { last: VecDeque::new(), most: 2 });
        let mut line = Vec::new();
        for chunk in ["one\ntw", "o\nthr", "ee\n", &"x".repeat(5000), "\n"] {
            split(chunk.as_bytes(), &mut line, &lines);
        }
        let last = &lines.lock().unwrap().last;
        assert_eq!((last[0].as_str(), last[1].len()), ("three", LINE_BYTES));
    }
}
