//! Copying a child's output to this process's own, byte for byte, and recording its lines.
//!
//! ```text
//! child's stdout ─► copier ─┬─► stdout         the copiers wait for nobody but the reader of their stream:
//! child's stderr ─► copier ─┤                  a line for which the queue has no room is dropped and counted
//!                           └─► queue ─► recorder ─► journal
//! ```

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use dagtel::core::catalog::attribute;
use dagtel::core::limits::{LOG_BODY_BYTES, clip};
use dagtel::core::redact::{MASK, PrivateKeyLines};
use dagtel::{LogLine, Severity, TaskLogger};

/// Bytes of one line that are kept for the span of a failure.
const LINE_BYTES: usize = 2048;
/// Bytes of all lines that are kept for it: as many as a stack trace may have.
const LAST_BYTES: usize = dagtel::core::limits::STACKTRACE_BYTES;
/// Bytes of one line that are looked at: what a secret at the limit ends in is needed to know it for one.
const LOOK_BYTES: usize = 2 * LOG_BODY_BYTES;
/// Lines that may wait to be recorded.
const WAITING_LINES: usize = 1 << 16;
/// Bytes of them.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Copies and records both streams.
pub(super) struct Tee {
    lines: Arc<Lines>,
    copiers: Vec<JoinHandle<()>>,
    recorder: Option<JoinHandle<()>>,
}

/// Has the child write into pipes.
pub(super) fn prepare(command: &mut Command) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

impl Tee {
    /// Copies from now on, and records at most so many lines of both streams together.
    pub(super) fn start(child: &mut Child, most: usize, logger: TaskLogger) -> Self {
        let (queue, waiting) = sync_channel(WAITING_LINES);
        let lines = Arc::new(Lines::new(most));
        let pid = child.id();
        let recorder = logger.is_on().then(|| {
            let lines = lines.clone();
            thread::spawn(move || record(&waiting, &lines, &logger, pid))
        });
        let copier = |stream, from: Option<_>, to| {
            from.map(|from| copier(from, to, Stream::new(stream, &lines, &queue)))
        };
        let out = copier(
            STDOUT,
            child.stdout.take().map(|from| Box::new(from) as From),
            Box::new(io::stdout()) as To,
        );
        let err = copier(
            STDERR,
            child.stderr.take().map(|from| Box::new(from) as From),
            Box::new(io::stderr()) as To,
        );
        Self { copiers: out.into_iter().chain(err).collect(), recorder, lines }
    }

    /// Waits until both streams are at their end and recorded, and gives the last lines, one below the other.
    pub(super) fn finish(self) -> String {
        // The last copier takes the last end of the queue with it, which ends the recorder.
        for thread in self.copiers.into_iter().chain(self.recorder) {
            let _ = thread.join();
        }
        let last = self.lines.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

type From = Box<dyn Read + Send>;
type To = Box<dyn Write + Send>;

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";

/// What both streams share.
struct Lines {
    most: usize,
    last: Mutex<Last>,
    /// Lines that were read, recorded or not.
    read: AtomicUsize,
    waiting_bytes: AtomicUsize,
    /// Lines for which the queue had no room.
    dropped: AtomicUsize,
}

/// The last lines, within [`LAST_BYTES`].
#[derive(Default)]
struct Last {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Last {
    fn push(&mut self, line: &str, most: usize) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > LAST_BYTES || self.lines.len() > most {
            self.bytes -= self.lines.pop_front().map_or(self.bytes, |line| line.len() + 1);
        }
    }
}

impl Lines {
    fn new(most: usize) -> Self {
        let count = || AtomicUsize::new(0);
        Self { most, last: Mutex::default(), read: count(), waiting_bytes: count(), dropped: count() }
    }
}

/// A line on its way to the journal.
struct Waiting {
    stream: &'static str,
    at: SystemTime,
    body: String,
    /// How long it was before it was cut.
    bytes: usize,
}

/// A stream that is cut into lines.
struct Stream {
    name: &'static str,
    lines: Arc<Lines>,
    queue: SyncSender<Waiting>,
    /// The line that has not ended yet, as far as it is looked at.
    line: Vec<u8>,
    /// How long it is.
    bytes: usize,
    key: PrivateKeyLines,
}

fn copier(mut from: From, mut to: To, mut stream: Stream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = [0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            // Whoever reads our output may have gone; the child must not be held up by that.
            let _ = to.write_all(&chunk[..read]).and_then(|()| to.flush());
            stream.split(&chunk[..read]);
        }
        if stream.bytes > 0 {
            stream.end_line();
        }
    })
}

impl Stream {
    fn new(name: &'static str, lines: &Arc<Lines>, queue: &SyncSender<Waiting>) -> Self {
        let key = PrivateKeyLines::default();
        Self { name, lines: lines.clone(), queue: queue.clone(), line: Vec::new(), bytes: 0, key }
    }

    fn split(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LOOK_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.bytes += text.len();
            if ended {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
        let body = if self.key.hide(&text) { MASK.to_owned() } else { text.into_owned() };
        let bytes = std::mem::take(&mut self.bytes);
        self.line.clear();
        self.keep(&body);
        if self.lines.read.fetch_add(1, Ordering::Relaxed) < self.lines.most {
            self.queue(Waiting { stream: self.name, at: SystemTime::now(), body, bytes });
        }
    }

    /// Keeps the last lines for the span of a failure. A long one is cut between words, so that no secret is cut that would
    /// then not be known for one.
    fn keep(&self, body: &str) {
        let head = clip(body, LINE_BYTES);
        let whole = head.len() == body.len();
        let end = if whole { head.len() } else { head.rfind(char::is_whitespace).unwrap_or(0) };
        let mut last = self.lines.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.push(&head[..end], self.lines.most);
    }

    fn queue(&self, line: Waiting) {
        let bytes = line.body.len();
        let waiting = self.lines.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > WAITING_BYTES || self.queue.try_send(line).is_err() {
            self.lines.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Records lines in the order in which they were read, and at the end how many were not.
fn record(waiting: &Receiver<Waiting>, lines: &Lines, logger: &TaskLogger, pid: u32) {
    let log = |stream: &'static str, severity, body: String, bytes: usize, at| {
        let mut attributes =
            vec![(attribute::LOG_IOSTREAM, stream.into()), (attribute::PROCESS_PID, pid.into())];
        if bytes > LOG_BODY_BYTES {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            attributes.push((attribute::BODY_BYTES, bytes.into()));
        }
        logger.log_line_at(LogLine { severity, body: body.into(), attributes }, at);
    };
    for line in waiting {
        lines.waiting_bytes.fetch_sub(line.body.len(), Ordering::Relaxed);
        // A severity is not known of it: people write what they like to either.
        log(line.stream, Severity::Info, line.body, line.bytes, Some(line.at));
    }
    let beyond = lines.read.load(Ordering::Relaxed).saturating_sub(lines.most);
    let dropped = lines.dropped.load(Ordering::Relaxed);
    if beyond + dropped > 0 {
        let body = format!(
            "dagtel: {} lines of the command are not recorded: {beyond} beyond --log-lines {}, {dropped} because they came \
             faster than they could be written",
            beyond + dropped,
            lines.most
        );
        log(STDERR, Severity::Warn, body, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come of chunks, and the last ones that are kept.
    fn lines_of(chunks: &[&[u8]], most: usize) -> (Vec<(String, usize)>, Vec<String>) {
        let lines = Arc::new(Lines::new(most));
        let (queue, waiting) = sync_channel(16);
        let mut stream = Stream::new(STDOUT, &lines, &queue);
        chunks.iter().for_each(|chunk| stream.split(chunk));
        if stream.bytes > 0 {
            stream.end_line();
        }
        drop((stream, queue));
        let last = lines.last.lock().unwrap().lines.iter().cloned().collect();
        (waiting.into_iter().map(|line| (line.body, line.bytes)).collect(), last)
    }

    #[test]
    fn lines_are_cut_where_the_child_cut_them() {
        let long = "x ".repeat(LOOK_BYTES);
        let chunks: [&[u8]; 6] = [b"one\ntw", b"o\r\nthr", b"ee\xff\n\n", long.as_bytes(), b"\n", b"last"];
        let (lines, last) = lines_of(&chunks, 9);
        let bodies: Vec<_> = lines.iter().map(|(body, _)| body.as_str()).collect();
        assert_eq!(bodies[..4], ["one", "two", "three\u{fffd}", ""]);
        assert_eq!((bodies[4].len(), lines[4].1), (LOOK_BYTES, long.len()));
        assert_eq!(bodies[5..], ["last"]);
        assert!((LINE_BYTES - 8..LINE_BYTES).contains(&last[4].len()));
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more_recorded_than_asked_for() {
        let (lines, last) = lines_of(&[b"1\n2\n3\n4\n"], 2);
        assert_eq!(lines.iter().map(|(body, _)| body.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(last, ["3", "4"]);
        let (lines, last) = lines_of(&[b"1\n2\n"], 0);
        assert!(lines.is_empty() && last.is_empty());
    }

    #[test]
    fn a_private_key_is_hidden_line_by_line() {
        let text = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok\n";
        let (lines, last) = lines_of(&[text], 9);
        assert_eq!(last, [MASK, MASK, MASK, "ok"]);
        assert_eq!(lines.len(), 4);
    }
}
