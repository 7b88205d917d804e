//! The outbox as the drainer writes it. How a frame stands in it: [`dagtel_otlp::record`].

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

use dagtel_otlp::record::{self, UNNUMBERED};
use dagtel_otlp::{Frame, Signal};
use dagtel_spool::{AppendError, Class, OpenError, Options, Position, Spool, StreamId, Writer};
use serde::{Deserialize, Serialize, Serializer};

use crate::layout::Layout;

/// Bytes read at a time when looking for what is there.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

/// A frame of the drainer and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) kind: u8,
    pub(crate) items: u32,
    #[serde(serialize_with = "whole")]
    pub(crate) body: Vec<u8>,
}

impl Numbered {
    pub(crate) fn new(number: u64, frame: Frame) -> Self {
        let items = u32::try_from(frame.items).unwrap_or(u32::MAX);
        Self { number, kind: record::kind_of(frame.signal), items, body: frame.body }
    }
}

/// Bytes at once, which are the same in postcard as one after the other.
fn whole<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Appends frames to an outbox.
#[derive(Clone, Debug)]
pub struct OutboxWriter {
    layout: Layout,
    /// Empty until it is opened.
    writer: Arc<OnceLock<Writer>>,
}

impl OutboxWriter {
    /// Opens the outbox of a directory. Nothing is written before the first frame.
    ///
    /// # Errors
    /// When the directory cannot be used; the error says why and what to do.
    pub fn open(layout: &Layout) -> Result<Self, OpenError> {
        dagtel_spool::prepare_directory(layout.dir())?;
        Self::open_prepared(layout)
    }

    /// The same in a directory that is prepared.
    pub(crate) fn open_prepared(layout: &Layout) -> Result<Self, OpenError> {
        let outbox = Self::when_needed(layout);
        outbox.writer()?;
        Ok(outbox)
    }

    /// Opens the outbox of a directory that is prepared with the first frame.
    pub(crate) fn when_needed(layout: &Layout) -> Self {
        Self { layout: layout.clone(), writer: Arc::default() }
    }

    fn writer(&self) -> Result<&Writer, OpenError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = Spool::open(self.layout.outbox(), Options::default())?.writer();
        // Another thread may have been faster; an unused writer leaves nothing behind.
        Ok(self.writer.get_or_init(|| writer))
    }

    /// Appends a frame that is not the drainer's.
    ///
    /// # Errors
    /// When it could not be kept, which the caller counts by reason; also when the outbox cannot be opened now.
    pub fn append(&self, frame: Frame) -> Result<(), AppendError> {
        self.append_numbered(&Numbered::new(UNNUMBERED, frame))
    }

    pub(crate) fn append_numbered(&self, frame: &Numbered) -> Result<(), AppendError> {
        // A later metric frame says all that an earlier one said.
        let class = match record::signal_of(frame.kind) {
            Some(Signal::Traces | Signal::Events) => Class::Lifecycle,
            _ => Class::Detail,
        };
        let writer = self.writer().map_err(|_| AppendError::Io(io::ErrorKind::NotFound))?;
        let payload = record::payload(frame.number, &frame.body);
        writer.append(frame.kind, class, frame.items, &payload).map(|_| ())
    }

    /// Writes what is batched.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn flush(&self) -> io::Result<()> {
        self.writer.get().map_or(Ok(()), Writer::flush)
    }
}

/// The highest number among the frames that are in the outbox.
pub(crate) fn highest_number(layout: &Layout) -> io::Result<u64> {
    let Ok(spool) = Spool::open(layout.outbox(), Options::default()) else { return Ok(UNNUMBERED) };
    let mut reader = spool.reader();
    let mut highest = UNNUMBERED;
    for stream in reader.streams()? {
        let mut position = Position::default();
        loop {
            let batch = reader.read(stream.id, position, SCAN_BYTES)?;
            for found in &batch.records {
                highest = highest.max(record::parse(&found.payload).map_or(UNNUMBERED, |(number, _)| number));
            }
            position = batch.next;
            if batch.end {
                break;
            }
        }
    }
    Ok(highest)
}

/// The highest number that any destination says it has sent. Frames that are sent may be gone from the outbox.
pub(crate) fn highest_shipped(layout: &Layout) -> u64 {
    let Ok(entries) = std::fs::read_dir(layout.dir()) else { return UNNUMBERED };
    let progress =
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("shipped-"));
    let marks = progress.filter_map(|entry| dagtel_spool::progress::load(entry.path()).ok().flatten());
    marks.map(|(_, mark): (BTreeMap<StreamId, Position>, u64)| mark).max().unwrap_or(UNNUMBERED)
}
