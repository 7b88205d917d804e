//! Where the files of a spool are, and what is there now.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{
    format::{FILE_HEADER, FileHeader, SegmentName, State},
    fs::{Fs, Kind, read_full},
    id::{Class, StreamId, WriterId},
    limits,
};

/// The paths of one spool.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) root: PathBuf,
    pub(crate) writers: PathBuf,
}

/// The segments of one writer, by class and number.
pub(crate) type Segments = BTreeMap<(Class, u64), State>;

/// A segment file and what it occupies.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    pub(crate) writer: WriterId,
    pub(crate) name: SegmentName,
    pub(crate) len: u64,
    pub(crate) modified: SystemTime,
}

impl SegmentFile {
    /// What it takes from the budget: whole blocks, because a thousand small files are not small.
    pub(crate) fn cost(&self) -> u64 {
        cost(self.len)
    }
}

/// The blocks that a file of this length occupies, in bytes.
pub(crate) fn cost(len: u64) -> u64 {
    len.next_multiple_of(limits::BLOCK_BYTES)
}

impl Layout {
    pub(crate) fn new(root: &Path, fs: Arc<dyn Fs>) -> Self {
        Self { fs, root: root.to_owned(), writers: root.join("v1") }
    }

    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn writer(&self, writer: WriterId) -> PathBuf {
        self.writers.join(writer.to_string())
    }

    pub(crate) fn segment(&self, writer: WriterId, name: SegmentName) -> PathBuf {
        self.writer(writer).join(name.file_name())
    }

    /// The writers that have a directory.
    pub(crate) fn writers(&self) -> io::Result<Vec<WriterId>> {
        let names = none_if_absent(self.fs.list(&self.writers))?.unwrap_or_default();
        let mut writers: Vec<WriterId> =
            names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
        writers.sort_unstable();
        Ok(writers)
    }

    /// The segments in a writer's directory, in one look: a rename at that moment may hide a file.
    pub(crate) fn segments(&self, writer: WriterId) -> io::Result<Segments> {
        let names = match self.fs.list(&self.writer(writer)) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Segments::new()),
            listed => none_if_absent(listed)?.unwrap_or_default(),
        };
        let mut segments = Segments::new();
        for name in names.iter().filter_map(|name| SegmentName::parse(name)) {
            if name.state != State::New {
                let state = segments.entry((name.class, name.number)).or_insert(name.state);
                *state = name.state.max(*state);
            }
        }
        Ok(segments)
    }

    /// Every segment of every writer with its length.
    pub(crate) fn files(&self) -> io::Result<Vec<SegmentFile>> {
        let mut files = Vec::new();
        for writer in self.writers()? {
            for ((class, number), state) in self.segments(writer)? {
                let name = SegmentName { class, number, state };
                if let Ok(meta) = self.fs.metadata(&self.segment(writer, name))
                    && meta.kind == Kind::File
                {
                    files.push(SegmentFile { writer, name, len: meta.len, modified: meta.modified });
                }
            }
        }
        Ok(files)
    }

    /// The header of a segment, if it is whole.
    pub(crate) fn header(&self, stream: StreamId, number: u64, state: State) -> Option<FileHeader> {
        let name = SegmentName { class: stream.class, number, state };
        let file = self.fs.open(&self.segment(stream.writer, name)).ok()?;
        let mut bytes = [0; FILE_HEADER];
        let len = read_full(&*file, &mut bytes, 0).ok()?;
        FileHeader::decode(&bytes[..len], stream, number).ok()
    }
}

/// Makes the absence of a thing an answer.
pub(crate) fn none_if_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
