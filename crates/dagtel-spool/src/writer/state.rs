//! What a writer knows, behind its mutex.

use std::{io, time::Duration};

use super::lane::{Draft, Lane};
use crate::{
    error::AppendError,
    format::RECORD_HEADER,
    id::{Class, StreamId, WriterId},
    limits,
    options::Durability,
    spool::Context,
    writer::Receipt,
};

/// The two streams of a writer, and when they next need care.
#[derive(Debug, Default)]
pub(crate) struct State {
    lanes: Option<[Lane; 2]>,
    /// When the flusher has something to do.
    pub(crate) due: Option<Duration>,
    /// Until when nothing is tried, because the disk was full.
    blocked: Option<Duration>,
    /// Whether the writer is ending.
    pub(crate) closing: bool,
}

impl State {
    pub(crate) fn id(&self) -> Option<WriterId> {
        self.lanes.as_ref().map(|lanes| lanes[0].stream.writer)
    }

    pub(crate) fn lanes(&mut self) -> &mut [Lane] {
        self.lanes.as_mut().map_or(&mut [], |lanes| &mut lanes[..])
    }

    /// Takes records, all or none, and counts them.
    pub(crate) fn append(
        &mut self,
        context: &Context,
        class: Class,
        drafts: &[Draft<'_>],
    ) -> Result<Receipt, AppendError> {
        let result = measure(drafts).and_then(|size| self.take(context, class, drafts, size));
        let records = drafts.len() as u64;
        match &result {
            Ok(_) => {
                let items = drafts.iter().map(|&(_, items, _)| u64::from(items)).sum();
                context.counters.appended.add(class, records);
                context.counters.appended_items.add(class, items);
            }
            Err(error) => context.counters.refused(class, records, *error),
        }
        result
    }

    fn take(
        &mut self,
        context: &Context,
        class: Class,
        drafts: &[Draft<'_>],
        size: usize,
    ) -> Result<Receipt, AppendError> {
        self.refuse_while_full(context, class)?;
        let lanes = self.lanes.get_or_insert_with(|| {
            let writer = WriterId(context.clock.random());
            Class::ALL.map(|class| Lane::new(writer, class))
        });
        let taken = admit(context, lanes, class, size).and_then(|()| {
            let lane = &mut lanes[usize::from(class.code())];
            store(context, lane, drafts).inspect_err(|_| context.budget.give_back(size as u64))
        });
        match taken {
            Ok(receipt) => {
                self.schedule(context);
                Ok(receipt)
            }
            Err(Refusal::NoRoom) => Err(AppendError::Full { class }),
            Err(Refusal::Io(error)) => {
                let error = AppendError::from_io(&error, class);
                if matches!(error, AppendError::Full { .. }) {
                    self.blocked = Some(context.clock.monotonic() + RETRY);
                }
                Err(error)
            }
        }
    }

    fn refuse_while_full(&mut self, context: &Context, class: Class) -> Result<(), AppendError> {
        if let Some(blocked) = self.blocked {
            if context.clock.monotonic() < blocked {
                return Err(AppendError::Full { class });
            }
            self.blocked = None;
        }
        Ok(())
    }

    fn schedule(&mut self, context: &Context) {
        let delay = match context.options.durability {
            Durability::Batched => limits::BATCH_MILLIS,
            Durability::Interval => limits::SYNC_MILLIS,
            Durability::Process | Durability::Always => return,
        };
        if self.due.is_none() {
            self.due = Some(context.clock.monotonic() + Duration::from_millis(delay));
        }
    }

    /// Writes what is gathered, and tries again later if that fails.
    pub(crate) fn write_out(&mut self, context: &Context) -> io::Result<()> {
        let mut result = Ok(());
        for lane in self.lanes() {
            result = result.and(lane.write_out(context));
        }
        if result.is_err() {
            self.due = Some(context.clock.monotonic() + RETRY);
        }
        result
    }

    /// Writes and syncs everything.
    pub(crate) fn flush(&mut self, context: &Context) -> io::Result<()> {
        self.write_out(context)?;
        if context.options.durability.syncs() {
            for lane in self.lanes() {
                lane.sync(context)?;
            }
        }
        Ok(())
    }

    /// Ends the streams and leaves the directory if there is something in it.
    pub(crate) fn close(&mut self, context: &Context) {
        let Some(writer) = self.id() else { return };
        for lane in self.lanes() {
            lane.close(context);
        }
        let _ = context.layout.fs.remove_dir(&context.layout.writer(writer));
        self.lanes = None;
    }

    /// Lets go of the parent's files in a forked child, without a trace on disk.
    pub(crate) fn abandon(&mut self) {
        self.lanes = None;
        self.due = None;
    }
}

pub(crate) const RETRY: Duration = Duration::from_millis(limits::RETRY_MILLIS);

enum Refusal {
    NoRoom,
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes room in the budget and in a segment. A lifecycle record is sure of its place, so its segment comes first: it
/// shows this writer alive while details go.
fn admit(context: &Context, lanes: &mut [Lane; 2], class: Class, size: usize) -> Result<(), Refusal> {
    let place = usize::from(class.code());
    if class == Class::Lifecycle {
        lanes[place].make_ready(context, size)?;
    }
    if !context.budget.admit(context, lanes, class, size as u64) {
        return Err(Refusal::NoRoom);
    }
    if class == Class::Detail {
        lanes[place].make_ready(context, size).inspect_err(|_| context.budget.give_back(size as u64))?;
    }
    Ok(())
}

/// Brings the records as far as the durability wants.
fn store(context: &Context, lane: &mut Lane, drafts: &[Draft<'_>]) -> Result<Receipt, Refusal> {
    let durability = context.options.durability;
    let seq = lane.next_seq;
    lane.gather(drafts);
    let last = lane.next_seq - 1;
    let stored = match durability {
        Durability::Batched if lane.pending.len() < limits::BATCH_BYTES => Ok(()),
        Durability::Batched | Durability::Process => lane.write_out(context),
        Durability::Interval => lane.write_out(context).map(|()| bound(context, lane)),
        Durability::Always => lane.write_out(context).and_then(|()| lane.sync(context)),
    };
    match stored {
        Ok(()) => Ok(Receipt { stream: lane.stream, seq: last, durability }),
        Err(error) => {
            lane.take_back(seq);
            Err(error.into())
        }
    }
}

/// Syncs early rather than keep too much in memory. If that fails, the records stay where the kernel has them.
fn bound(context: &Context, lane: &mut Lane) {
    if lane.unsynced.len() > limits::UNSYNCED_BYTES && lane.sync(context).is_err() {
        let lost = lane.give_up();
        context.counters.dropped_io.add(lane.stream.class, lost);
    }
}

fn measure(drafts: &[Draft<'_>]) -> Result<usize, AppendError> {
    let most = limits::PAYLOAD_BYTES;
    let mut size = 0;
    for (_, _, payload) in drafts {
        if payload.len() > most {
            return Err(AppendError::TooLarge { len: payload.len(), most });
        }
        size += RECORD_HEADER + payload.len();
    }
    Ok(size)
}

/// The stream of one class, for the flusher.
pub(crate) fn find(lanes: &mut [Lane], stream: StreamId) -> Option<&mut Lane> {
    lanes.iter_mut().find(|lane| lane.stream == stream)
}
