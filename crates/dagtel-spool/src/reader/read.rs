//! One `read`: from a position on, over segments, damage and gaps.

use std::{io, mem, ops::Bound};

use super::{Batch, Reader, Record};
use crate::{
    format::{FILE_HEADER, HeaderError, RecordHeader, SegmentName, State},
    id::{Position, StreamId},
    limits, liveness, quarantine,
    walk::{Found, Walk},
};

/// How a pass over the known segments ended.
enum Pass {
    /// The batch is full.
    Full,
    /// The last known segment is read.
    End,
    /// A file is not where it was.
    Stale,
}

/// A segment in its turn.
#[derive(Clone, Copy)]
struct Turn {
    name: SegmentName,
    /// The number of the segment after it.
    next: Option<u64>,
    /// Whether it cannot grow any more.
    settled: bool,
}

impl Reader {
    /// Reads records of a stream from a position on: as many as there are, at most `max_bytes` of payload, but one in
    /// any case.
    ///
    /// Damaged bytes are stepped over and counted. A file that holds nothing readable is moved to `quarantine/`.
    ///
    /// # Errors
    ///
    /// If the system refuses for a reason that is not the file's fault (too many open files). Nothing is lost then.
    pub fn read(&mut self, stream: StreamId, from: Position, max_bytes: usize) -> io::Result<Batch> {
        let (_, mut fresh) = self.know(stream.writer)?;
        let next = Position { seq: from.seq.max(1), ..from };
        let mut reading = Reading { stream, max_bytes, bytes: 0, batch: Batch { next, ..Batch::default() } };
        for _ in 0..limits::ATTEMPTS {
            match self.pass(&mut reading)? {
                Pass::Full => return Ok(self.counted(reading.batch)),
                Pass::End if fresh => {
                    let alive = self.know(stream.writer)?.0.alive;
                    reading.batch.end = true;
                    reading.batch.finished = !alive;
                    return Ok(self.counted(reading.batch));
                }
                Pass::End | Pass::Stale => {
                    self.known.remove(&stream.writer);
                    fresh = self.know(stream.writer)?.1;
                }
            }
        }
        // Files come and go faster than they can be looked at; the user comes again.
        Ok(self.counted(reading.batch))
    }

    fn counted(&self, batch: Batch) -> Batch {
        let counters = &self.context.counters;
        counters.read.add(batch.records.len() as u64);
        counters.damaged.add(batch.damaged);
        counters.missing.add(batch.missing);
        batch
    }

    fn pass(&mut self, reading: &mut Reading) -> io::Result<Pass> {
        while let Some(turn) = self.turn(reading)? {
            let window = mem::take(&mut self.window);
            let start = match reading.batch.next.segment == turn.name.number {
                true => reading.batch.next.offset,
                false => 0,
            };
            let walk = match Walk::open(&self.context.layout, reading.stream, turn.name, start, window) {
                Ok(walk) => walk,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pass::Stale),
                Err(error) if liveness::is_the_files_fault(&error) => {
                    self.keep_aside(reading, turn)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.segment(reading, turn, walk) {
                Ok(true) => return Ok(Pass::Full),
                Ok(false) if turn.next.is_none() => return Ok(Pass::End),
                Ok(false) => {}
                Err(error) if liveness::is_the_files_fault(&error) => self.keep_aside(reading, turn)?,
                Err(error) => return Err(error),
            }
        }
        Ok(Pass::End)
    }

    /// The segment at the position, or the first one after it.
    fn turn(&mut self, reading: &Reading) -> io::Result<Option<Turn>> {
        let class = reading.stream.class;
        let (look, _) = self.know(reading.stream.writer)?;
        let range = (class, reading.batch.next.segment)..=(class, u64::MAX);
        let Some((&(_, number), &state)) = look.segments.range(range).next() else { return Ok(None) };
        let after = (Bound::Excluded((class, number)), Bound::Included((class, u64::MAX)));
        let next = look.segments.range(after).next().map(|(&(_, number), _)| number);
        let settled = state == State::Sealed || !look.alive || next.is_some();
        Ok(Some(Turn { name: SegmentName { class, number, state }, next, settled }))
    }

    /// Reads one segment, and says whether the batch is full.
    fn segment(&mut self, reading: &mut Reading, turn: Turn, mut walk: Walk) -> io::Result<bool> {
        reading.enter(turn.name.number, &walk);
        if matches!(walk.header, Err(HeaderError::Version(_))) && turn.settled {
            self.keep_aside(reading, turn)?;
            return Ok(false);
        }
        let stop = self.first_seq_after(reading.stream, turn);
        let full = reading.records(&mut walk, stop)?;
        let unreadable = walk.header.is_err() && !walk.found;
        let tail = walk.tail();
        if turn.settled && !full {
            reading.leave(turn, walk.offset() + tail, tail);
            self.context.counters.torn.add(u64::from(tail > 0 && turn.name.state == State::Open));
        }
        self.window = walk.into_window();
        if turn.settled && unreadable {
            self.keep_aside(reading, turn)?;
        }
        Ok(full)
    }

    /// The number from which on records of this segment are void: written again in a later one after a failed sync.
    /// First numbers never go down, so the next segment with a readable header tells.
    fn first_seq_after(&self, stream: StreamId, turn: Turn) -> u64 {
        let Some(look) = self.known.get(&stream.writer) else { return u64::MAX };
        let after =
            (Bound::Excluded((stream.class, turn.name.number)), Bound::Included((stream.class, u64::MAX)));
        let layout = &self.context.layout;
        let mut headers = look.segments.range(after).filter_map(|(&(_, number), &state)| {
            // It may have been sealed since we looked.
            layout.header(stream, number, state).or_else(|| layout.header(stream, number, State::Sealed))
        });
        headers.next().map_or(u64::MAX, |header| header.first_seq)
    }

    /// Moves a file aside that cannot be read, and goes on after it. One that holds nothing at all is just removed.
    fn keep_aside(&mut self, reading: &mut Reading, turn: Turn) -> io::Result<()> {
        let writer = reading.stream.writer;
        let layout = &self.context.layout;
        let path = layout.segment(writer, turn.name);
        let empty =
            layout.fs.metadata(&path).is_ok_and(|meta| meta.len == 0 && meta.kind == crate::Kind::File);
        if empty {
            layout.fs.remove_file(&path)?;
        } else {
            quarantine::keep_aside(layout, writer, turn.name)?;
            self.context.counters.quarantined.add(1);
        }
        if let Some(look) = self.known.get_mut(&writer) {
            look.segments.remove(&(turn.name.class, turn.name.number));
        }
        let seq = reading.batch.next.seq;
        reading.batch.next = Position { segment: turn.name.number + 1, offset: 0, seq };
        Ok(())
    }
}

/// A batch being filled.
struct Reading {
    stream: StreamId,
    max_bytes: usize,
    bytes: usize,
    batch: Batch,
}

impl Reading {
    /// Comes to a segment; its header tells what is gone before it.
    fn enter(&mut self, number: u64, walk: &Walk) {
        let next = &mut self.batch.next;
        let begins = next.segment != number || next.offset <= FILE_HEADER as u64;
        if let Ok(header) = walk.header
            && begins
        {
            self.batch.missing += header.first_seq.saturating_sub(next.seq);
            next.seq = next.seq.max(header.first_seq);
        }
        next.segment = number;
        next.offset = walk.offset();
    }

    /// Reads records up to the end of the file, and says whether the batch became full before that.
    fn records(&mut self, walk: &mut Walk, stop: u64) -> io::Result<bool> {
        let mut garbage = false;
        loop {
            match walk.next()? {
                Found::Tail => return Ok(false),
                Found::Garbage => garbage = true,
                Found::BadPayload(header) => {
                    self.step(&header, stop, garbage);
                    self.batch.damaged += u64::from(self.is_next(&header, stop));
                    self.pass(&header, walk.offset(), stop);
                    garbage = false;
                }
                Found::Record(header, offset) => {
                    if self.is_full(&header) && self.is_next_or_later(&header, stop) {
                        return Ok(true);
                    }
                    self.step(&header, stop, garbage);
                    if self.is_next(&header, stop) {
                        self.push(&header, offset, walk);
                    }
                    self.pass(&header, walk.offset(), stop);
                    garbage = false;
                }
            }
        }
    }

    fn is_full(&self, header: &RecordHeader) -> bool {
        !self.batch.records.is_empty() && self.bytes + header.len as usize > self.max_bytes
    }

    fn is_next(&self, header: &RecordHeader, stop: u64) -> bool {
        header.seq == self.batch.next.seq && header.seq < stop
    }

    fn is_next_or_later(&self, header: &RecordHeader, stop: u64) -> bool {
        header.seq >= self.batch.next.seq && header.seq < stop
    }

    /// Counts what is gone before a record.
    fn step(&mut self, header: &RecordHeader, stop: u64, garbage: bool) {
        if !self.is_next_or_later(header, stop) {
            return;
        }
        let gap = header.seq - self.batch.next.seq;
        match garbage {
            true => self.batch.damaged += gap,
            false => self.batch.missing += gap,
        }
        self.batch.next.seq = header.seq;
    }

    /// Goes on after a record.
    fn pass(&mut self, header: &RecordHeader, offset: u64, stop: u64) {
        let next = &mut self.batch.next;
        if header.seq == next.seq && header.seq < stop {
            next.seq += 1;
        }
        next.offset = offset;
    }

    fn push(&mut self, header: &RecordHeader, offset: u64, walk: &Walk) {
        let segment = self.batch.next.segment;
        self.bytes += header.len as usize;
        self.batch.records.push(Record {
            stream: self.stream,
            position: Position { segment, offset, seq: header.seq },
            next: Position { segment, offset: walk.offset(), seq: header.seq + 1 },
            kind: header.kind,
            items: header.items,
            seq: header.seq,
            payload: walk.payload(header).to_vec(),
        });
    }

    /// Goes past the end of a segment that will not grow.
    fn leave(&mut self, turn: Turn, end: u64, tail: u64) {
        // A sealed segment ends with a whole record; if nothing after it tells how many are gone, it is one at least.
        let damaged = tail > 0 && turn.name.state == State::Sealed && turn.next.is_none();
        self.batch.damaged += u64::from(damaged);
        let next = &mut self.batch.next;
        match turn.next {
            Some(number) => (next.segment, next.offset) = (number, 0),
            None => next.offset = next.offset.max(end),
        }
    }
}
