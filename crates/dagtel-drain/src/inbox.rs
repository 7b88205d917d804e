//! The inbox: event lines of processes in other languages.
//!
//! Each writing process appends to a file of its own, `inbox/<any name>.jsonl`, one event a line (`dagtel schema`), and
//! or what it measured of itself ([`MetricsLine`]), and holds an exclusive `flock` on it for as long as it lives. That lock is how its death is noticed. A file whose writer
//! is dead is read to its end and, once it has lain still for a while, removed.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dagtel_core::event::Event;
use dagtel_core::event::line::{EventLine, Installation};
use dagtel_core::event::report::MetricsLine;
use dagtel_core::limits;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// Bytes read of one file at a time.
const STEP_BYTES: usize = 4 * 1024 * 1024;
/// How long the file of a dead writer must have lain still before it is removed: a writer that has made its file and not
/// locked it yet looks dead.
const STILL: Duration = Duration::from_secs(60);

/// How far a file has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InboxPosition {
    offset: u64,
    line: u64,
    /// Within a line that is longer than may be: it is passed over to its end.
    skipping: bool,
}

/// What was wrong with lines of the inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxCounts {
    /// Lines that are no event, or longer than may be.
    pub bad_lines: u64,
    /// The first of them: file, line number and what is wrong.
    pub first_bad: Option<String>,
}

/// The end of a run or a try of which a usage event may be made, because the process that reported it asked for opt-outs
/// and found none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// The end.
    pub event: Event,
    /// What it ran in.
    pub installation: Installation,
}

/// What one file gave.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) events: Vec<Event>,
    /// Ends of which a usage event may be made.
    pub(crate) usage: Vec<Ended>,
    /// Lines that the writer could not write.
    pub(crate) dropped: u64,
    /// How many lines with measurements there were.
    pub(crate) reports: u64,
    /// The last of them.
    pub(crate) report: Option<MetricsLine>,
    pub(crate) bad: InboxCounts,
    /// Bytes read.
    pub(crate) bytes: usize,
    /// Read to the end of what is there now.
    pub(crate) end: bool,
    /// Its writer is dead.
    pub(crate) dead: bool,
}

/// The files of the inbox, by name.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    // Without the directory there is no inbox.
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let names = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".jsonl"));
    names.sort();
    names
}

/// A file of the inbox, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxFile {
    /// Its name.
    pub name: String,
    /// Its length, read or not.
    pub bytes: u64,
    /// Whether its writer is alive.
    pub alive: bool,
}

/// The files of the inbox of a directory. Changes nothing.
pub fn inbox_files(layout: &Layout) -> Vec<InboxFile> {
    let dir = layout.inbox();
    let look = |name: String| {
        let file = File::open(dir.join(&name)).ok()?;
        Some(InboxFile { bytes: file.metadata().ok()?.len(), alive: !is_unlocked(&file), name })
    };
    files(&dir).into_iter().filter_map(look).collect()
}

/// Reads on in a file.
pub(crate) fn read(dir: &Path, name: &str, position: &mut InboxPosition) -> io::Result<Lines> {
    let path = dir.join(name);
    let mut file = File::open(&path)?;
    // Asked before the reading: what a writer wrote before it died is then read below.
    let dead = is_unlocked(&file);
    file.seek(SeekFrom::Start(position.offset))?;
    let mut bytes = Vec::new();
    let read = file.take(STEP_BYTES as u64).read_to_end(&mut bytes)?;
    let mut lines = Lines { bytes: read, end: read < STEP_BYTES, dead, ..Lines::default() };
    let mut rest = &bytes[..];
    while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(length);
        take_line(line, name, position, &mut lines);
        position.offset += length as u64 + 1;
        rest = &after[1..];
    }
    last_piece(rest, name, position, &mut lines);
    Ok(lines)
}

/// What stands behind the last line break: half a line that is still being written, the end of a dead writer, or part of
/// a line that is longer than may be.
fn last_piece(rest: &[u8], name: &str, position: &mut InboxPosition, lines: &mut Lines) {
    if rest.len() > limits::LINE_BYTES || (position.skipping && !rest.is_empty()) {
        if !position.skipping {
            bad(lines, name, position.line + 1, "the line is longer than may be; it was passed over");
        }
        position.skipping = true;
        position.offset += rest.len() as u64;
    } else if lines.dead && lines.end && !rest.is_empty() {
        take_line(rest, name, position, lines);
        position.offset += rest.len() as u64;
    }
}

fn take_line(line: &[u8], name: &str, position: &mut InboxPosition, lines: &mut Lines) {
    position.line += 1;
    if std::mem::take(&mut position.skipping) || line.trim_ascii().is_empty() {
        return;
    }
    if line.len() > limits::LINE_BYTES {
        bad(lines, name, position.line, "the line is longer than may be; it was passed over");
        return;
    }
    if says_metrics(line) {
        let parsed = serde_json::from_slice::<MetricsLine>(line).map_err(|error| error.to_string());
        match parsed.and_then(|line| line.check().map(|()| line).map_err(|error| error.to_string())) {
            Ok(report) => {
                lines.reports += 1;
                lines.report = Some(report);
            }
            Err(error) => bad(lines, name, position.line, &error),
        }
        return;
    }
    if let Err(error) = take_event(line, lines) {
        bad(lines, name, position.line, &error);
    }
}

fn take_event(line: &[u8], lines: &mut Lines) -> Result<(), String> {
    let mut line: EventLine = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    lines.dropped = lines.dropped.saturating_add(std::mem::take(&mut line.dropped));
    let installation = line.usage.take();
    let event = Event::try_from(line).map_err(|error| error.to_string())?;
    if let Some(installation) = installation {
        lines.usage.push(Ended { event: event.clone(), installation });
    }
    lines.events.push(event);
    Ok(())
}

/// Whether a line is one with measurements. Few are, so what cannot be one is not parsed for that.
fn says_metrics(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        event: std::borrow::Cow<'a, str>,
    }
    const WORD: &[u8] = b"\"metrics\"";
    line.windows(WORD.len()).any(|bytes| bytes == WORD)
        && serde_json::from_slice::<Named<'_>>(line).is_ok_and(|named| named.event == "metrics")
}

fn bad(lines: &mut Lines, name: &str, number: u64, what: &str) {
    lines.bad.bad_lines += 1;
    lines.bad.first_bad.get_or_insert_with(|| format!("inbox/{name}, line {number}: {what}"));
}

/// Whether nobody holds the lock of a file. Asked by taking a shared one for a moment.
fn is_unlocked(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().is_ok(),
        Err(TryLockError::WouldBlock) => false,
        // A file system without locks: silence must not be taken for death.
        Err(TryLockError::Error(_)) => false,
    }
}

/// Removes the files of dead writers that are read to their end and have lain still. Returns their names.
pub(crate) fn remove_read(
    dir: &Path,
    positions: &BTreeMap<String, InboxPosition>,
    now: SystemTime,
) -> Vec<String> {
    let is_done = |name: &str, position: &InboxPosition| -> io::Result<bool> {
        let path: PathBuf = dir.join(name);
        let file = File::open(&path)?;
        let meta = file.metadata()?;
        let still = now.duration_since(meta.modified()?).unwrap_or_default() >= STILL;
        Ok(meta.len() == position.offset && still && is_unlocked(&file))
    };
    let done = positions.iter().filter(|(name, position)| is_done(name, position).unwrap_or(false));
    done.filter(|(name, _)| fs::remove_file(dir.join(name)).is_ok()).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(task: &str) -> String {
        format!(r#"{{"event":"task.started","at":1,"dag_id":"d","run_id":"r","task_id":"{task}"}}"#)
    }

    #[test]
    fn a_line_is_taken_once_it_is_whole_or_its_writer_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.jsonl");
        let mut position = InboxPosition::default();
        let writer = File::create(&path).unwrap();
        writer.lock().unwrap();
        fs::write(&path, format!("{}\n{}", line("a"), &line("b")[..9])).unwrap();
        let read_on = |position: &mut InboxPosition| read(dir.path(), "w.jsonl", position).unwrap();
        let lines = read_on(&mut position);
        assert_eq!((lines.events.len(), lines.bad.bad_lines, lines.dead), (1, 0, false));
        fs::write(&path, format!("{}\n{}", line("a"), line("b"))).unwrap();
        assert_eq!(read_on(&mut position).events.len(), 0);
        drop(writer);
        let lines = read_on(&mut position);
        assert_eq!((lines.events.len(), lines.dead), (1, true));
        assert_eq!(read_on(&mut position).events.len(), 0);
    }

    #[test]
    fn the_last_measurements_count() {
        let dir = tempfile::tempdir().unwrap();
        let report = |component: &str| format!(r#"{{"event":"metrics","component":"{component}"}}"#);
        // An event may speak of metrics too.
        let event = line("metrics");
        let text = format!("{}\n{event}\n{}\n{}\n", report("a"), report("b"), report(""));
        fs::write(dir.path().join("w.jsonl"), text).unwrap();
        let lines = read(dir.path(), "w.jsonl", &mut InboxPosition::default()).unwrap();
        assert_eq!((lines.events.len(), lines.reports, lines.bad.bad_lines), (1, 2, 1));
        assert_eq!(lines.report.unwrap().component, "b");
        assert!(lines.bad.first_bad.unwrap().contains("component"));
    }

    #[test]
    fn what_a_writer_says_beside_its_events_is_kept_apart() {
        let dir = tempfile::tempdir().unwrap();
        let end = r#"{"event":"task.finished","at":1,"dag_id":"d","run_id":"r","task_id":"t","state":"success","dropped":3,"usage":{"cosmos_version":"1","airflow_version":"3","python_version":"3.11"}}"#;
        let odd = line("t").replace('}', r#","dropped":4,"usage":{"cosmos":"1"}}"#);
        fs::write(dir.path().join("w.jsonl"), format!("{end}\n{odd}\n{}\n", line("t"))).unwrap();
        let lines = read(dir.path(), "w.jsonl", &mut InboxPosition::default()).unwrap();
        assert_eq!((lines.events.len(), lines.dropped, lines.bad.bad_lines), (2, 3, 1));
        assert_eq!(lines.usage.len(), 1);
        assert_eq!(
            (&lines.usage[0].event, &*lines.usage[0].installation.airflow_version),
            (&lines.events[0], "3")
        );
    }

    #[test]
    fn bad_and_endless_lines_are_named_and_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let endless = "x".repeat(9 * 1024 * 1024);
        fs::write(dir.path().join("w.jsonl"), format!("{{}}\n{endless}\n{}\n", line("a"))).unwrap();
        let mut position = InboxPosition::default();
        let (mut events, mut bad, mut first) = (0, 0, None);
        for _ in 0..4 {
            let lines = read(dir.path(), "w.jsonl", &mut position).unwrap();
            events += lines.events.len();
            bad += lines.bad.bad_lines;
            first = first.or(lines.bad.first_bad);
        }
        assert_eq!((events, bad), (1, 2));
        assert!(first.unwrap().starts_with("inbox/w.jsonl, line 1: missing field"));
    }
}
