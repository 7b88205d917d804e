//! Removing what was read: whole segments, by `unlink`, which needs no room on a full disk.

use std::io;

use super::Reader;
use crate::{
    format::{SegmentName, State},
    id::{Position, StreamId},
    layout::{cost, none_if_absent},
    liveness,
};

impl Reader {
    /// Removes the segments that lie wholly before this position and that nobody writes any more, and the directory of
    /// a dead writer when it is empty. Save the position first.
    ///
    /// # Errors
    ///
    /// The first error in removing a file; the others are tried all the same, and again the next time.
    pub fn release(&mut self, stream: StreamId, upto: Position) -> io::Result<()> {
        let look = liveness::look(&self.context.layout, stream.writer)?;
        let mut result = Ok(());
        let mut left = look.segments.clone();
        for (&(class, number), &state) in
            look.segments.range((stream.class, 0)..=(stream.class, upto.segment))
        {
            let name = SegmentName { class, number, state };
            let ownerless = state == State::Sealed || !look.alive;
            if !ownerless || !self.lies_before(stream, name, upto) {
                continue;
            }
            match self.unlink(stream, name) {
                Ok(()) => _ = left.remove(&(class, number)),
                Err(error) => result = result.and(Err(error)),
            }
        }
        if left.is_empty() && !look.alive {
            self.remove_writer(stream.writer);
        } else {
            self.known.insert(stream.writer, liveness::Look { segments: left, ..look });
        }
        result
    }

    fn lies_before(&self, stream: StreamId, name: SegmentName, upto: Position) -> bool {
        if name.number < upto.segment {
            return true;
        }
        let path = self.context.layout.segment(stream.writer, name);
        self.context.layout.fs.metadata(&path).is_ok_and(|meta| upto.offset >= meta.len)
    }

    fn unlink(&self, stream: StreamId, name: SegmentName) -> io::Result<()> {
        let fs = &self.context.layout.fs;
        let path = self.context.layout.segment(stream.writer, name);
        let len = fs.metadata(&path).map_or(0, |meta| meta.len);
        none_if_absent(fs.remove_file(&path))?;
        self.context.budget.give_back(cost(len));
        Ok(())
    }
}
