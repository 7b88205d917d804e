//! The journal as an engine's process writes it.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::{Event, Fact};
use dagtel_core::guard::{Admitted, Found, Guard};
use dagtel_spool::{AppendError, Class, Durability, Options, PerProcess, Spool, Writer, WriterId};

use crate::batch::Batch;
use crate::codec;
use crate::layout::Layout;
use crate::outbox::OutboxWriter;

/// Is told how many events could not be kept, and by a word why: `queue_full`, `disk_full`, `too_large`, `disk_error`.
type Dropped = Arc<dyn Fn(&'static str, u64) + Send + Sync>;

/// This process's writer of events. Clones share it; a forked child gets one of its own.
#[derive(Clone)]
pub struct Journal {
    layout: Layout,
    appender: Appender,
    batch: Option<Arc<PerProcess<Batch>>>,
}

impl Journal {
    /// Opens the journal of a directory. Nothing is written before the first event, and nothing that has not passed `guard`.
    /// What can later not be kept is told to `dropped`.
    ///
    /// At [`Durability::Batched`] events pass the guard and are encoded and written by a thread, 5 ms later.
    ///
    /// # Errors
    /// When the directory cannot be used; the error says why and what to do.
    pub fn open(
        layout: &Layout,
        durability: Durability,
        guard: Guard,
        dropped: impl Fn(&'static str, u64) + Send + Sync + 'static,
    ) -> Result<Self, dagtel_spool::OpenError> {
        // What the thread brings is a batch already.
        let batched = durability == Durability::Batched;
        let durability = if batched { Durability::Process } else { durability };
        dagtel_spool::prepare_directory(layout.dir())?;
        let spool = Spool::open(layout.journal(), Options::default().with_durability(durability))?;
        let appender = Appender { writer: spool.writer(), guard, dropped: Arc::new(dropped) };
        let batch = batched.then(|| {
            let batch = Batch::new(appender.clone());
            Arc::new(PerProcess::new(dagtel_spool::process_id(), batch))
        });
        Ok(Self { layout: layout.clone(), appender, batch })
    }

    /// The outbox of the same directory, which need not be prepared again.
    ///
    /// # Errors
    /// As [`OutboxWriter::open`].
    pub fn outbox(&self) -> Result<OutboxWriter, dagtel_spool::OpenError> {
        OutboxWriter::open_prepared(&self.layout)
    }

    /// The same, opened with its first frame: most processes that only report never have one.
    pub fn outbox_when_needed(&self) -> OutboxWriter {
        OutboxWriter::when_needed(&self.layout)
    }

    /// Appends an event, and what the guard found in it, for whoever drains to count.
    pub fn append(&self, event: Event) {
        match self.batch() {
            Some(batch) => batch.push(event),
            None => self.appender.append(event),
        }
    }

    /// This process's writer, once it has written anything.
    pub fn id(&self) -> Option<WriterId> {
        self.appender.writer.id()
    }

    /// Writes what is batched.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn flush(&self) -> io::Result<()> {
        if let Some(batch) = self.batch() {
            batch.flush();
        }
        self.appender.writer.flush()
    }

    fn batch(&self) -> Option<&Batch> {
        let batch = self.batch.as_ref()?;
        Some(batch.get(dagtel_spool::process_id(), |_| Batch::new(self.appender.clone())))
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("writer", &self.id()).finish_non_exhaustive()
    }
}

/// Encodes and writes, and tells what could not be kept.
#[derive(Clone)]
pub(crate) struct Appender {
    writer: Writer,
    pub(crate) guard: Guard,
    dropped: Dropped,
}

impl Appender {
    fn append(&self, event: Event) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let (event, found) = self.guard.admit(event);
        self.append_found(found);
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            match codec::encode(&event, buffer) {
                Some(kind) => self.write(class(&event), &[(kind, 1, buffer)]),
                None => self.drop(reason(AppendError::Io(io::ErrorKind::InvalidData)), 1),
            }
        });
    }

    pub(crate) fn append_found(&self, found: Found) {
        append_found(&self.writer, found);
    }

    /// Writes several events by one call for each class.
    pub(crate) fn append_all(&self, events: &[Admitted], buffer: &mut Vec<u8>) {
        for class in Class::ALL {
            self.append_class(class, events.iter().filter(|event| self::class(event) == class), buffer);
        }
    }

    fn append_class<'a>(
        &self,
        class: Class,
        events: impl Iterator<Item = &'a Admitted>,
        buffer: &mut Vec<u8>,
    ) {
        buffer.clear();
        let mut records = Vec::new();
        for event in events {
            let start = buffer.len();
            match codec::encode(event, buffer) {
                Some(kind) => records.push((kind, start..buffer.len())),
                None => self.drop(reason(AppendError::Io(io::ErrorKind::InvalidData)), 1),
            }
        }
        let records: Vec<_> = records.into_iter().map(|(kind, range)| (kind, 1, &buffer[range])).collect();
        if !records.is_empty() {
            self.write(class, &records);
        }
    }

    fn write(&self, class: Class, records: &[(u8, u32, &[u8])]) {
        if let Err(error) = self.writer.append_many(class, records) {
            self.drop(reason(error), records.len() as u64);
        }
    }

    pub(crate) fn drop(&self, reason: &'static str, events: u64) {
        (self.dropped)(reason, events);
    }
}

/// Writes what the guard found, if anything.
pub(crate) fn append_found(writer: &Writer, found: Found) {
    let mut buffer = Vec::new();
    if found != Found::default()
        && let Some(kind) = codec::encode_found(found, &mut buffer)
    {
        // It is no event: one that is lost is not missed.
        let _ = writer.append_many(Class::Detail, &[(kind, 1, &buffer)]);
    }
}

fn reason(error: AppendError) -> &'static str {
    match error {
        AppendError::Full { .. } => drop_reason::DISK_FULL,
        AppendError::TooLarge { .. } => drop_reason::TOO_LARGE,
        _ => drop_reason::DISK_ERROR,
    }
}

/// Transitions are kept longer than details when there is no room for both.
pub(crate) fn class(event: &Admitted) -> Class {
    use dagtel_core::event::{RunChange, TaskChange};
    match &event.event().fact {
        Fact::Run { change: RunChange::Updated, .. }
        | Fact::Task { change: TaskChange::Updated, .. }
        | Fact::Log { .. } => Class::Detail,
        _ => Class::Lifecycle,
    }
}
