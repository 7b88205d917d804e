//! Reading: each stream in its order, from wherever its user was, while writers write.

mod read;
mod release;

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    sync::Arc,
    time::SystemTime,
};

use crate::{
    format::SegmentName,
    id::{Class, Position, StreamId, WriterId},
    liveness::{self, Look},
    spool::Context,
};

/// A stream that is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStatus {
    /// Which.
    pub id: StreamId,
    /// Whether its writer holds its lock. If not, there will be no further record.
    pub alive: bool,
    /// When its newest segment was last written.
    pub last_write: SystemTime,
}

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its stream.
    pub stream: StreamId,
    /// Where it is.
    pub position: Position,
    /// Where to go on after it.
    pub next: Position,
    /// What kind it is; the user's meaning.
    pub kind: u8,
    /// How many things its payload holds.
    pub items: u32,
    /// Its number in its stream.
    pub seq: u64,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What a [`read`](Reader::read) found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// The records, in order, each once.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: Position,
    /// Whether there is nothing more now.
    pub end: bool,
    /// Whether there will never be more: the writer is dead and everything is read.
    pub finished: bool,
    /// Records lost to damaged bytes.
    pub damaged: u64,
    /// Records that are gone with their segment: evicted or quarantined.
    pub missing: u64,
}

/// Reads the streams of a spool, and removes what its user is done with.
///
/// It keeps no positions: its user does, and may read anything again that is not released.
#[derive(Debug)]
pub struct Reader {
    context: Arc<Context>,
    /// The writers as they were when last looked at.
    known: HashMap<WriterId, Look>,
    /// Memory that is used again.
    window: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, known: HashMap::new(), window: Vec::new() }
    }

    /// The streams that are on disk now. Empty directories of dead writers are removed.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read. A single writer's directory that cannot be read is left out.
    pub fn streams(&mut self) -> io::Result<Vec<StreamStatus>> {
        let writers = self.context.layout.writers()?;
        self.known.clear();
        let mut streams = Vec::new();
        for writer in writers {
            let look = match liveness::look(&self.context.layout, writer) {
                Ok(look) => look,
                Err(error) if liveness::is_the_files_fault(&error) => continue,
                Err(error) => return Err(error),
            };
            if look.segments.is_empty() {
                self.remove_writer(writer);
                continue;
            }
            streams.extend(Class::ALL.into_iter().filter_map(|class| self.status(writer, class, &look)));
            self.known.insert(writer, look);
        }
        Ok(streams)
    }

    fn status(&self, writer: WriterId, class: Class, look: &Look) -> Option<StreamStatus> {
        let (&(_, number), &state) = look.segments.range((class, 0)..=(class, u64::MAX)).next_back()?;
        let path = self.context.layout.segment(writer, SegmentName { class, number, state });
        let written = self.context.layout.fs.metadata(&path).map(|meta| meta.modified);
        Some(StreamStatus {
            id: StreamId::new(writer, class),
            alive: look.alive,
            last_write: written.unwrap_or_else(|_| self.context.clock.now()),
        })
    }

    /// What is known of a writer; looked up the first time.
    fn know(&mut self, writer: WriterId) -> io::Result<(&Look, bool)> {
        match self.known.entry(writer) {
            Entry::Occupied(known) => Ok((known.into_mut(), false)),
            Entry::Vacant(unknown) => {
                let look = liveness::look(&self.context.layout, writer)?;
                Ok((unknown.insert(look), true))
            }
        }
    }

    /// Removes a dead writer's directory if nothing is in it. Should the writer only just begin, it makes it again.
    fn remove_writer(&mut self, writer: WriterId) {
        self.known.remove(&writer);
        let layout = &self.context.layout;
        let directory = layout.writer(writer);
        for name in layout.fs.list(&directory).unwrap_or_default() {
            let stale = SegmentName::parse(&name).is_some_and(|name| self.is_stale(writer, name));
            if stale {
                let _ = layout.fs.remove_file(&directory.join(name));
            }
        }
        let _ = layout.fs.remove_dir(&directory);
    }

    /// Whether this is a segment that nobody is making any more.
    fn is_stale(&self, writer: WriterId, name: SegmentName) -> bool {
        let holder = liveness::holder(&self.context.layout, writer, name);
        name.state == crate::format::State::New
            && holder.is_ok_and(|holder| holder == liveness::Holder::Nobody)
    }
}
