//! Going through one segment file from a place to its end, with bounded memory.

use std::io;

use crate::{
    format::{FILE_HEADER, FileHeader, HeaderError, Place, RecordHeader, SegmentName, Step, seed, step},
    fs::{FsFile, read_full},
    id::StreamId,
    layout::Layout,
    limits,
};

/// What comes next in a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// A record, at this offset; [`Walk::payload`] has its payload.
    Record(RecordHeader, u64),
    /// A record with a damaged payload.
    BadPayload(RecordHeader),
    /// Bytes that are no record.
    Garbage,
    /// No further record.
    Tail,
}

/// A segment file being read.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Box<dyn FsFile>,
    seed: u32,
    /// Memory for a part of the file, of which the first `filled` bytes are read.
    window: Vec<u8>,
    filled: usize,
    /// The offset of the window in the file.
    base: u64,
    /// Where in the window the next record begins.
    at: usize,
    /// Whether the file ends with the window.
    end: bool,
    /// Whether there is any record up to here.
    pub(crate) found: bool,
    pub(crate) header: Result<FileHeader, HeaderError>,
}

impl Walk {
    /// Opens a segment at an offset. The window's memory is used again.
    pub(crate) fn open(
        layout: &Layout,
        stream: StreamId,
        name: SegmentName,
        offset: u64,
        window: Vec<u8>,
    ) -> io::Result<Self> {
        let file = layout.fs.open(&layout.segment(stream.writer, name))?;
        let mut bytes = [0; FILE_HEADER];
        let len = read_full(&*file, &mut bytes, 0)?;
        let header = FileHeader::decode(&bytes[..len], stream, name.number);
        let base = offset.max(FILE_HEADER as u64);
        let found = base > FILE_HEADER as u64;
        let seed = seed(stream, name.number);
        Ok(Self { file, seed, window, filled: 0, base, at: 0, end: false, found, header })
    }

    pub(crate) fn next(&mut self) -> io::Result<Found> {
        loop {
            let offset = self.offset();
            let place = Place { seed: self.seed, offset };
            match step(&self.window[self.at..self.filled], place, self.end) {
                Step::More(need) => self.fetch(need)?,
                Step::Tail => return Ok(Found::Tail),
                Step::Skip(bytes) => {
                    self.at += bytes;
                    return Ok(Found::Garbage);
                }
                Step::Record(header) => {
                    self.at += header.size();
                    self.found = true;
                    return Ok(Found::Record(header, offset));
                }
                Step::BadPayload(header) => {
                    self.at += header.size();
                    self.found = true;
                    return Ok(Found::BadPayload(header));
                }
            }
        }
    }

    /// The offset of what comes next.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Bytes at the end of the file that are no whole record; known at [`Found::Tail`].
    pub(crate) fn tail(&self) -> u64 {
        (self.filled - self.at) as u64
    }

    /// The payload of the record found last.
    pub(crate) fn payload(&self, header: &RecordHeader) -> &[u8] {
        &self.window[self.at - header.len as usize..self.at]
    }

    /// Gives back the memory.
    pub(crate) fn into_window(self) -> Vec<u8> {
        self.window
    }

    fn fetch(&mut self, need: usize) -> io::Result<()> {
        self.window.copy_within(self.at..self.filled, 0);
        self.base += self.at as u64;
        self.filled -= self.at;
        self.at = 0;
        let size = need.max(limits::WINDOW_BYTES);
        if self.window.len() < size {
            self.window.resize(size, 0);
        }
        let offset = self.base + self.filled as u64;
        let read = read_full(&*self.file, &mut self.window[self.filled..], offset)?;
        self.filled += read;
        self.end = self.filled < self.window.len();
        Ok(())
    }
}

/// How many records a segment holds.
pub(crate) fn count(layout: &Layout, stream: StreamId, name: SegmentName) -> u64 {
    let Ok(mut walk) = Walk::open(layout, stream, name, 0, Vec::new()) else { return 0 };
    let mut records = 0;
    while let Ok(found) = walk.next() {
        match found {
            Found::Record(..) | Found::BadPayload(_) => records += 1,
            Found::Garbage => {}
            Found::Tail => break,
        }
    }
    records
}
