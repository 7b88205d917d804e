//! A spool: where writers and readers come from.

use std::{path::Path, sync::Arc};

use crate::{
    budget::Budget,
    clock::{Clock, SystemClock},
    error::OpenError,
    fs::{Fs, RealFs},
    layout::Layout,
    open,
    options::Options,
    quarantine,
    reader::Reader,
    stats::{Counters, Stats},
    writer::Writer,
};

/// A bounded directory of records. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Spool {
    context: Arc<Context>,
}

/// What writers and readers of one spool share within a process.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) layout: Layout,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Counters,
    pub(crate) budget: Budget,
}

impl Spool {
    /// Opens the spool in this directory, and creates it if it is not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the directory is not one that only this user can write. What its files hold is no reason.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        Self::open_with(dir, options, Arc::new(RealFs), Arc::new(SystemClock))
    }

    /// As [`open`](Self::open), on another file system and clock.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(
        dir: impl AsRef<Path>,
        options: Options,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let layout = Layout::new(dir.as_ref(), fs);
        open::prepare(&layout, &options)?;
        open::make_reserve(&layout);
        let context =
            Context { layout, options, clock, counters: Counters::default(), budget: Budget::default() };
        Ok(Self { context: Arc::new(context) })
    }

    /// A new writer. It leaves nothing on disk before its first append.
    pub fn writer(&self) -> Writer {
        Writer::new(Arc::clone(&self.context))
    }

    /// A reader. At most one in all processes may release: hold a [`DirLock`](crate::DirLock).
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.context))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.context.layout.root
    }

    /// How it was opened.
    pub fn options(&self) -> &Options {
        &self.context.options
    }

    /// What it holds, which is looked up, and what this process has counted.
    pub fn stats(&self) -> Stats {
        let files = self.context.layout.files().unwrap_or_default();
        Stats {
            bytes: files.iter().map(crate::layout::SegmentFile::cost).sum(),
            files: files.len() as u64,
            quarantine_bytes: quarantine::bytes(&self.context.layout),
            ..self.context.counters.snapshot()
        }
    }
}
