//! `dagtel spool`: looks at a spool directory, and replays what no receiver took.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dagtel_drain::{Layout, OutboxWriter};
use dagtel_otlp::{Frame, record};
use dagtel_spool::{Durability, Options as SpoolOptions, Position, Spool, progress};

use crate::{Outcome, terminal};

/// What to do with which directory.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read everything and say what is damaged; changes nothing, and may be used while the directory is in use
    Check(Target),
    /// List what is there; changes nothing, and may be used while the directory is in use
    Inspect(Target),
    /// Put the requests that no receiver took back into the outbox, to be sent again
    Replay(Target),
}

#[derive(Debug, Args)]
struct Target {
    /// The spool directory
    #[arg(value_name = "DIR", env = dagtel_drain::DIR_VARIABLE)]
    dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    match &options.action {
        Action::Check(target) => check(target),
        Action::Inspect(target) => inspect(target),
        Action::Replay(target) => replay(target),
    }
}

impl Target {
    fn layout(&self) -> anyhow::Result<Layout> {
        let named = self.dir.clone().map(Layout::new).or_else(Layout::from_environment);
        let layout = named.ok_or_else(|| anyhow::anyhow!("no spool directory is known: name one"))?;
        let dir = layout.dir();
        let shown = dir.display();
        anyhow::ensure!(
            dir.exists(),
            "the spool directory {shown} is not there: name the one that the agent drains"
        );
        anyhow::ensure!(dir.is_dir(), "{shown} is a file: name the spool directory that the agent drains");
        Ok(layout)
    }
}

fn check(target: &Target) -> anyhow::Result<Outcome> {
    let layout = target.layout()?;
    let mut bad = 0;
    for (name, dir) in spools(&layout) {
        let report = dagtel_spool::check(&dir).map_err(|error| unreadable(&dir, &error))?;
        let records: u64 = report.records.values().sum();
        let items: u64 = report.items.values().sum();
        bad += report.damaged.len() as u64 + report.bad_headers;
        if target.json {
            let line = serde_json::json!({
                "spool": name, "records": records, "items": items, "damaged": report.damaged.len(),
                "torn": report.torn, "bad_headers": report.bad_headers,
                "quarantine_files": report.quarantine_files, "quarantine_bytes": report.quarantine_bytes,
            });
            terminal::say(&format!("{line}\n"));
            continue;
        }
        terminal::say(&format!(
            "{name:<8} {records:>9} records, {items} items; {} damaged places, {} torn ends, {} unreadable files, \
             {} files in quarantine\n",
            report.damaged.len(),
            report.torn,
            report.bad_headers,
            report.quarantine_files
        ));
        for damage in &report.damaged {
            terminal::say(&format!("         {} at byte {}: {}\n", damage.path, damage.offset, damage.what));
        }
    }
    Ok(if bad == 0 { Outcome::Ok } else { Outcome::Failed })
}

fn inspect(target: &Target) -> anyhow::Result<Outcome> {
    let layout = target.layout()?;
    let mut rows = Vec::new();
    for (name, dir) in spools(&layout) {
        let streams = dagtel_spool::inspect(&dir).map_err(|error| unreadable(&dir, &error))?;
        for stream in streams {
            rows.push(Row {
                spool: name,
                stream: stream.id.to_string(),
                writing: stream.alive,
                files: stream.files,
                bytes: stream.bytes,
            });
        }
    }
    rows.extend(inbox(&layout));
    if target.json {
        rows.iter().for_each(|row| terminal::say(&format!("{}\n", row.json())));
    } else if rows.is_empty() {
        terminal::say("nothing is waiting, and nobody is writing\n");
    } else {
        rows.iter().for_each(|row| terminal::say(&row.line()));
    }
    Ok(Outcome::Ok)
}

/// What one writer has in a spool, or a file of the inbox.
struct Row {
    spool: &'static str,
    stream: String,
    writing: bool,
    files: u64,
    bytes: u64,
}

impl Row {
    fn line(&self) -> String {
        let life = if self.writing { "writing" } else { "ended" };
        let (spool, stream) = (self.spool, terminal::theme().clean(&self.stream));
        format!("{spool:<8} {stream:<34}  {life:<7}  {:>4} files  {:>12} bytes\n", self.files, self.bytes)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "spool": self.spool, "stream": self.stream, "writing": self.writing, "files": self.files,
            "bytes": self.bytes,
        })
    }
}

/// The files of the inbox.
fn inbox(layout: &Layout) -> Vec<Row> {
    dagtel_drain::inbox_files(layout)
        .into_iter()
        .map(|file| Row {
            spool: "inbox",
            stream: file.name,
            writing: file.alive,
            files: 1,
            bytes: file.bytes,
        })
        .collect()
}

fn unreadable(dir: &Path, error: &std::io::Error) -> anyhow::Error {
    let dir = dir.display();
    anyhow::anyhow!("{dir} is no spool of this version ({error}): look at it with the dagtel that wrote it")
}

/// The spools of a directory that are there.
fn spools(layout: &Layout) -> Vec<(&'static str, PathBuf)> {
    let all = [("journal", layout.journal()), ("outbox", layout.outbox()), ("dead", layout.dead_letters())];
    all.into_iter().filter(|(_, dir)| dir.is_dir()).collect()
}

/// Bytes read at a time.
const READ_BYTES: usize = 4 * 1024 * 1024;

fn replay(target: &Target) -> anyhow::Result<Outcome> {
    let layout = target.layout()?;
    if !layout.dead_letters().is_dir() {
        terminal::say("no request was ever refused: there is nothing to replay\n");
        return Ok(Outcome::Ok);
    }
    let dead = Spool::open(layout.dead_letters(), SpoolOptions::default())?;
    let outbox = OutboxWriter::open(&layout)?;
    let mut reader = dead.reader();
    // A living agent's own dead letters cannot be removed under it; how far they were replayed is kept beside them.
    let progress = layout.dir().join("replayed");
    let (mut positions, _) = progress::load(&progress)?.unwrap_or_default();
    let (mut requests, mut items) = (0, 0);
    for stream in reader.streams()? {
        let mut position: Position = positions.get(&stream.id).copied().unwrap_or_default();
        loop {
            let batch = reader.read(stream.id, position, READ_BYTES)?;
            for found in &batch.records {
                if let (Some(signal), Some((_, body))) =
                    (record::signal_of(found.kind), record::parse(&found.payload))
                {
                    outbox.append(Frame::new(signal, body.to_vec(), found.items as usize))?;
                    requests += 1;
                    items += u64::from(found.items);
                }
            }
            // Only what is in the outbox again is given up here.
            outbox.flush()?;
            position = batch.next;
            positions.insert(stream.id, position);
            progress::save(&progress, &positions, 0, Durability::Process)?;
            reader.release(stream.id, position)?;
            if batch.end {
                break;
            }
        }
    }
    terminal::say(&format!("{requests} requests with {items} items are back in the outbox\n"));
    Ok(Outcome::Ok)
}
