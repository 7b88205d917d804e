//! Looking at a spool from outside, while it is in use: nothing is changed.

use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::SystemTime};

use crate::{
    error::shown,
    format::{SegmentName, State},
    fs::{Kind, RealFs},
    id::StreamId,
    layout::Layout,
    liveness, quarantine,
    walk::{Found, Walk},
};

/// A stream as its directory shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listing {
    /// Which.
    pub id: StreamId,
    /// Whether its writer is alive.
    pub alive: bool,
    /// Its segments.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The number of its first segment.
    pub first_segment: u64,
    /// The number of its last segment.
    pub last_segment: u64,
    /// The number of its first record, if the header is readable.
    pub first_seq: Option<u64>,
    /// When it was last written.
    pub last_write: Option<SystemTime>,
}

/// What all segments hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The streams.
    pub streams: Vec<Listing>,
    /// Whole records, by stream and kind.
    pub records: BTreeMap<(StreamId, u8), u64>,
    /// Items in them, by stream and kind.
    pub items: BTreeMap<(StreamId, u8), u64>,
    /// Places that are not what was written.
    pub damaged: Vec<Damage>,
    /// Segments of dead or living writers that end within a record.
    pub torn: u64,
    /// Segments with an unreadable header.
    pub bad_headers: u64,
    /// Files in `quarantine/`.
    pub quarantine_files: u64,
    /// Their bytes.
    pub quarantine_bytes: u64,
    /// What lies in a writer's directory and is no segment.
    pub strangers: Vec<String>,
}

/// A damaged place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub path: String,
    /// The byte.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// Lists the streams of a spool from names, headers and lengths.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn inspect(dir: impl AsRef<Path>) -> io::Result<Vec<Listing>> {
    list(&Layout::new(dir.as_ref(), Arc::new(RealFs)))
}

/// Reads every record of a spool, and reports what is there and what is damaged.
///
/// # Errors
///
/// If the directory cannot be read.
pub fn check(dir: impl AsRef<Path>) -> io::Result<Report> {
    let layout = Layout::new(dir.as_ref(), Arc::new(RealFs));
    let mut report = Report {
        streams: list(&layout)?,
        quarantine_files: quarantine::files(&layout),
        quarantine_bytes: quarantine::bytes(&layout),
        strangers: strangers(&layout)?,
        ..Report::default()
    };
    for stream in report.streams.iter().map(|listing| listing.id).collect::<Vec<_>>() {
        for (&(class, number), &state) in &layout.segments(stream.writer)? {
            if class == stream.class {
                report.add(&layout, stream, SegmentName { class, number, state });
            }
        }
    }
    Ok(report)
}

fn list(layout: &Layout) -> io::Result<Vec<Listing>> {
    // A directory without a spool in it is no empty spool.
    layout.fs.metadata(&layout.writers)?;
    let mut streams: BTreeMap<StreamId, Listing> = BTreeMap::new();
    for writer in layout.writers()? {
        let look = liveness::look(layout, writer)?;
        for (&(class, number), &state) in &look.segments {
            let id = StreamId::new(writer, class);
            let listing = streams.entry(id).or_insert_with(|| Listing {
                id,
                alive: look.alive,
                files: 0,
                bytes: 0,
                first_segment: number,
                last_segment: number,
                first_seq: layout.header(id, number, state).map(|header| header.first_seq),
                last_write: None,
            });
            let meta = layout.fs.metadata(&layout.segment(writer, SegmentName { class, number, state })).ok();
            listing.files += 1;
            listing.bytes += meta.map_or(0, |meta| meta.len);
            listing.last_segment = number;
            listing.last_write = listing.last_write.max(meta.map(|meta| meta.modified));
        }
    }
    Ok(streams.into_values().collect())
}

fn strangers(layout: &Layout) -> io::Result<Vec<String>> {
    let mut strangers = Vec::new();
    for name in layout.fs.list(&layout.writers)? {
        let path = layout.writers.join(&name);
        let ours = name.to_str().is_some_and(|name| name.parse::<crate::WriterId>().is_ok());
        if !ours || layout.fs.metadata(&path).is_ok_and(|meta| meta.kind != Kind::Directory) {
            strangers.push(shown(&path));
            continue;
        }
        let names = layout.fs.list(&path).unwrap_or_default();
        strangers.extend(
            names
                .into_iter()
                .filter(|name| SegmentName::parse(name).is_none())
                .map(|name| shown(&path.join(name))),
        );
    }
    Ok(strangers)
}

impl Report {
    fn add(&mut self, layout: &Layout, stream: StreamId, name: SegmentName) {
        let path = shown(&layout.segment(stream.writer, name));
        let mut walk = match Walk::open(layout, stream, name, 0, Vec::new()) {
            Ok(walk) => walk,
            // Released or sealed under our eyes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => return self.damaged.push(Damage { path, offset: 0, what: "not readable" }),
        };
        if walk.header.is_err() {
            self.bad_headers += 1;
            self.damaged.push(Damage { path: path.clone(), offset: 0, what: "file header" });
        }
        loop {
            let offset = walk.offset();
            let what = match walk.next() {
                Ok(Found::Record(header, _)) => {
                    *self.records.entry((stream, header.kind)).or_default() += 1;
                    *self.items.entry((stream, header.kind)).or_default() += u64::from(header.items);
                    continue;
                }
                Ok(Found::BadPayload(_)) => "payload",
                Ok(Found::Garbage) => "record header",
                Ok(Found::Tail) if walk.tail() > 0 && name.state == State::Sealed => "end",
                Ok(Found::Tail) => {
                    self.torn += u64::from(walk.tail() > 0);
                    return;
                }
                Err(_) => "not readable",
            };
            self.damaged.push(Damage { path: path.clone(), offset, what });
            if matches!(what, "end" | "not readable") {
                return;
            }
        }
    }
}
