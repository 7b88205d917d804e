//! One segment file that this process writes.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::{
    format::{FILE_HEADER, FileHeader, Place, SegmentName, State, seed},
    fs::{FsFile, append_all},
    id::StreamId,
    limits,
    spool::Context,
};

/// A file that is synced by one thread at a time, and never again after a sync of it has failed: what the kernel says
/// about it then is not to be believed.
#[derive(Debug)]
pub(crate) struct SyncFile {
    file: Box<dyn FsFile>,
    syncing: Mutex<()>,
    failed: AtomicBool,
}

impl SyncFile {
    pub(crate) fn sync(&self) -> io::Result<()> {
        let _alone = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier sync of this file has failed"));
        }
        let synced = self.file.sync_data();
        self.failed.store(synced.is_err(), Ordering::Relaxed);
        synced
    }
}

/// The segment that a stream's records go to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<SyncFile>,
    pub(crate) number: u64,
    /// Bytes that are whole records.
    pub(crate) len: u64,
    pub(crate) born: Duration,
    /// Whether nothing may be appended any more, because something failed.
    pub(crate) retired: bool,
    /// Whether its name in the directory is still to be synced.
    pub(crate) unlisted: bool,
    stream: StreamId,
    seed: u32,
}

impl Segment {
    /// Creates a segment, locked before anybody can see it.
    pub(crate) fn create(
        context: &Context,
        stream: StreamId,
        number: u64,
        first_seq: u64,
    ) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_create(context, stream, number, first_seq) {
                // The reader may have removed the empty directory, or be looking at the file.
                Err(error) if tries < limits::ATTEMPTS && is_race(&error) => {}
                result => return result,
            }
        }
    }

    fn try_create(context: &Context, stream: StreamId, number: u64, first_seq: u64) -> io::Result<Self> {
        let layout = &context.layout;
        match layout.fs.create_dir(&layout.writer(stream.writer)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let name = |state| SegmentName { class: stream.class, number, state };
        let new = layout.segment(stream.writer, name(State::New));
        let file = match layout.fs.create(&new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                layout.fs.remove_file(&new)?;
                layout.fs.create(&new)?
            }
            created => created?,
        };
        let header = FileHeader { stream, segment: number, first_seq, created: millis(context.clock.now()) };
        let made = match file.try_lock() {
            Ok(true) => append_all(&*file, &header.encode())
                .map_err(|(_, error)| error)
                .and_then(|()| layout.fs.rename(&new, &layout.segment(stream.writer, name(State::Open)))),
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            let _ = layout.fs.remove_file(&new);
            return Err(error);
        }
        Ok(Self {
            file: Arc::new(SyncFile { file, syncing: Mutex::new(()), failed: AtomicBool::new(false) }),
            number,
            len: FILE_HEADER as u64,
            born: context.clock.monotonic(),
            retired: false,
            unlisted: true,
            stream,
            seed: seed(stream, number),
        })
    }

    /// Where the next byte goes.
    pub(crate) fn end(&self) -> Place {
        Place { seed: self.seed, offset: self.len }
    }

    /// Appends whole records. On failure nothing of them is left, the segment is retired, and the number of bytes that
    /// a reader may have seen is told.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        match append_all(&*self.file.file, bytes) {
            Ok(()) => {
                self.len += bytes.len() as u64;
                Ok(())
            }
            Err((seen, error)) => {
                self.retired = true;
                let _ = self.file.file.set_len(self.len);
                Err((seen, error))
            }
        }
    }

    /// Whether it holds no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == FILE_HEADER as u64
    }

    /// Gives it the name of a file that is never written again. If that fails, the death of its writer says the same.
    pub(crate) fn seal(self, context: &Context) {
        let (open, sealed) = (self.path(context, State::Open), self.path(context, State::Sealed));
        let _ = context.layout.fs.rename(&open, &sealed);
    }

    /// Removes it as if it had never been.
    pub(crate) fn remove(self, context: &Context) {
        let _ = context.layout.fs.remove_file(&self.path(context, State::Open));
    }

    fn path(&self, context: &Context, state: State) -> std::path::PathBuf {
        let name = SegmentName { class: self.stream.class, number: self.number, state };
        context.layout.segment(self.stream.writer, name)
    }
}

fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::WouldBlock | io::ErrorKind::AlreadyExists)
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
