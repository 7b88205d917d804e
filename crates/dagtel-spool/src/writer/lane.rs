//! One stream as its writer sees it: what is gathered, what is written, what is synced.
//!
//! ```text
//!   encode        write_out            sync
//! ────────► pending ──────► segment + unsynced ──────► segment
//!              ▲                 │
//!              └──── after a failure both go to the next segment ────►
//! ```

use std::io;

use super::segment::Segment;
use crate::{
    error::{AppendError, is_full},
    format::{encode, first_seq, last_whole_seq, offset_of, relocate, seqs},
    id::{Class, StreamId, WriterId},
    open,
    spool::Context,
};

/// What an append brings: kind, items, payload.
pub(crate) type Draft<'a> = (u8, u32, &'a [u8]);

/// One stream of this writer.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) stream: StreamId,
    pub(crate) active: Option<Segment>,
    /// Encoded records that are not in the file yet.
    pub(crate) pending: Vec<u8>,
    /// Encoded records that are in the file and not known to be on disk.
    pub(crate) unsynced: Vec<u8>,
    pub(crate) next_seq: u64,
    next_segment: u64,
    /// The highest number that a reader may have seen.
    seen: u64,
    /// Whether the directories above the files are known to be on disk.
    pub(crate) rooted: bool,
    /// Whether the last records are gone with their segment, so that the next header has to tell.
    pub(crate) gap: bool,
}

impl Lane {
    pub(crate) fn new(writer: WriterId, class: Class) -> Self {
        Self {
            stream: StreamId::new(writer, class),
            active: None,
            pending: Vec::new(),
            unsynced: Vec::new(),
            next_seq: 1,
            next_segment: 1,
            seen: 0,
            rooted: false,
            gap: false,
        }
    }

    /// Makes sure that there is a segment with room for so many bytes.
    pub(crate) fn make_ready(&mut self, context: &Context, size: usize) -> io::Result<()> {
        if self.fits(context, size) {
            return Ok(());
        }
        if self.active.as_ref().is_some_and(|segment| !segment.retired) {
            self.write_out(context)?;
        }
        // A failed write may just have begun another segment.
        if self.fits(context, size) {
            return Ok(());
        }
        self.persist(context, |lane| lane.rotate(context))
    }

    fn fits(&self, context: &Context, size: usize) -> bool {
        let Some(segment) = &self.active else { return false };
        let len = segment.len + self.pending.len() as u64;
        let room = len + size as u64 <= context.options.segment_bytes;
        let fresh = || context.clock.monotonic().saturating_sub(segment.born) < context.options.segment_age;
        let empty = segment.is_empty() && self.pending.is_empty();
        !segment.retired && (empty || (room && fresh()))
    }

    /// Encodes records behind the pending ones; there is a segment.
    pub(crate) fn gather(&mut self, drafts: &[Draft<'_>]) {
        let Some(segment) = &self.active else { return };
        let mut place = segment.end();
        let written = place.offset;
        for &draft in drafts {
            place.offset = written + self.pending.len() as u64;
            encode(&mut self.pending, place, self.stream.class, self.next_seq, draft);
            self.next_seq += 1;
        }
    }

    /// Writes what is pending; if that fails, once more into another segment.
    pub(crate) fn write_out(&mut self, context: &Context) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.persist(context, |lane| {
            if lane.active.as_ref().is_none_or(|segment| segment.retired) {
                lane.rotate(context)?;
            }
            lane.write_once(context)
        })
    }

    fn write_once(&mut self, context: &Context) -> io::Result<()> {
        let Some(segment) = &mut self.active else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err((seen, error)) = segment.append(&self.pending) {
            context.counters.failed_writes.add(1);
            self.seen = self.seen.max(last_whole_seq(&self.pending[..seen]).unwrap_or(0));
            return Err(error);
        }
        self.seen = self.next_seq - 1;
        if context.options.durability.syncs() {
            self.unsynced.extend_from_slice(&self.pending);
        }
        self.pending.clear();
        Ok(())
    }

    /// Tries something until it succeeds, gives up the reserve if the disk is full, and fails on the second other error.
    fn persist(
        &mut self,
        context: &Context,
        mut act: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut failed = false;
        loop {
            let Err(error) = act(self) else { return Ok(()) };
            let again = if is_full(&error) { open::give_up_reserve(&context.layout) } else { !failed };
            failed |= !is_full(&error);
            if !again {
                return Err(error);
            }
        }
    }

    /// Begins the next segment, and then seals the last one: so there is always one that shows this writer alive.
    fn rotate(&mut self, context: &Context) -> io::Result<()> {
        if !self.unsynced.is_empty() && self.sync_once(context).is_ok() {
            self.unsynced.clear();
        }
        let first = first_seq(&self.pending).unwrap_or(self.next_seq);
        let next = Segment::create(context, self.stream, self.next_segment, first)?;
        self.next_segment += 1;
        relocate(&mut self.pending, next.end());
        if let Some(last) = self.active.replace(next) {
            last.seal(context);
        }
        self.gap = false;
        Ok(())
    }

    /// Syncs what is written; if that fails, once more as another segment.
    pub(crate) fn sync(&mut self, context: &Context) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        if self.sync_once(context).is_err() {
            self.write_out(context)?;
            self.sync_once(context)?;
        }
        self.unsynced.clear();
        Ok(())
    }

    fn sync_once(&mut self, context: &Context) -> io::Result<()> {
        let (rooted, writer) = (self.rooted, self.stream.writer);
        let Some(segment) = &self.active else { return Ok(()) };
        let synced = segment.file.sync().and_then(|()| match segment.unlisted {
            true => sync_directories(context, writer, rooted),
            false => Ok(()),
        });
        match &synced {
            Ok(()) => self.listed(),
            Err(_) => self.fail_sync(context),
        }
        synced
    }

    fn listed(&mut self) {
        self.rooted = true;
        if let Some(segment) = &mut self.active {
            segment.unlisted = false;
        }
    }

    /// A sync of the active segment has failed: what is not known to be on disk is to be written again, elsewhere.
    pub(crate) fn fail_sync(&mut self, context: &Context) {
        context.counters.failed_syncs.add(1);
        self.pending.splice(..0, self.unsynced.drain(..));
        if let Some(segment) = &mut self.active {
            segment.retired = true;
        }
    }

    /// The file and its name are known to be on disk up to this byte.
    pub(crate) fn confirm(&mut self, upto: u64) {
        self.listed();
        let Some(segment) = &self.active else { return };
        let begins = segment.len - self.unsynced.len() as u64;
        let known = usize::try_from(upto.saturating_sub(begins)).unwrap_or(usize::MAX);
        self.unsynced.drain(..known.min(self.unsynced.len()));
    }

    /// Takes back the records from this number on, which were gathered last. A number that a reader may have seen is not
    /// given again.
    pub(crate) fn take_back(&mut self, seq: u64) {
        let from = offset_of(&self.pending, seq);
        self.pending.truncate(from);
        self.next_seq = seq.max(self.seen + 1);
    }

    /// Forgets what could not be made safe, and tells how many records of it nobody can have seen.
    pub(crate) fn give_up(&mut self) -> u64 {
        let unseen = seqs(&self.pending).filter(|&seq| seq > self.seen).count();
        self.pending.clear();
        self.unsynced.clear();
        unseen as u64
    }

    /// Seals the active segment without a next one. The caller knows that another lane shows this writer alive.
    pub(crate) fn seal(&mut self, context: &Context) -> io::Result<()> {
        self.write_out(context)?;
        self.sync(context)?;
        if let Some(segment) = self.active.take() {
            segment.seal(context);
        }
        Ok(())
    }

    /// Ends the stream.
    pub(crate) fn close(&mut self, context: &Context) {
        if let Err(error) = self.write_out(context).and_then(|()| self.sync(context)) {
            let lost = self.give_up();
            let error = AppendError::from_io(&error, self.stream.class);
            context.counters.refused(self.stream.class, lost, error);
        }
        if self.active.is_none() && self.gap {
            let _ = self.rotate(context);
        }
        match self.active.take() {
            Some(segment) if self.next_seq == 1 => segment.remove(context),
            Some(segment) => segment.seal(context),
            None => {}
        }
    }
}

/// Makes the names of a writer's files last, and unless that has been done, the directories above them.
pub(crate) fn sync_directories(context: &Context, writer: WriterId, rooted: bool) -> io::Result<()> {
    let layout = &context.layout;
    layout.fs.sync_dir(&layout.writer(writer))?;
    if !rooted {
        layout.fs.sync_dir(&layout.writers)?;
        layout.fs.sync_dir(&layout.root)?;
    }
    Ok(())
}
