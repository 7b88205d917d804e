//! The drainer itself: one step after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::Event;
use dagtel_core::event::report::MetricsLine;
use dagtel_core::fold::Fold;
use dagtel_core::guard::{Admitted, readmit};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::signal::spans;
use dagtel_core::time::Timestamp;
use dagtel_otlp::FRAME_ITEMS;
use dagtel_spool::{DirLock, Options, Reader, Spool, StreamStatus, WriterId};

use crate::inbox;
use crate::layout::Layout;
use crate::options::DrainerOptions;
use crate::outbox::{self, OutboxWriter};
use crate::owners::{Owner, Owners};
use crate::read::ReadTo;
use crate::repeats::{Numbering, Received};
use crate::state::{self, Counts, NoState, State};

/// Changes that are told at a time: of as many as are due after a busy second, the frames need not all be in memory.
const PORTION: usize = 16 * FRAME_ITEMS;

/// Why a directory cannot be drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal or the outbox cannot be used.
    #[error(transparent)]
    Spool(#[from] dagtel_spool::OpenError),
    /// The directory, its lock or its state cannot be used.
    #[error("the spool directory {dir} cannot be drained: {source}")]
    Io {
        /// The directory.
        dir: String,
        /// Why.
        source: io::Error,
    },
}

/// Reads the journals of a directory, folds them, and fills the outbox. There is one at a time for each directory.
#[derive(Debug)]
pub struct Drainer {
    pub(crate) layout: Layout,
    pub(crate) options: DrainerOptions,
    pub(crate) journal: Reader,
    pub(crate) outbox: OutboxWriter,
    pub(crate) state: State,
    pub(crate) metrics_due: Timestamp,
    counts_at_start: Counts,
    /// What living processes said of themselves last, by the name of their file. Not saved: they will say it again.
    pub(crate) reports: BTreeMap<String, MetricsLine>,
    /// Up to which of its own times each source was read. Not saved: without it a source counts as read from its beginning.
    pub(crate) read_to: ReadTo,
    /// Events to be put into the outbox by this step.
    pub(crate) forward: Vec<Admitted>,
    lock: DirLock,
}

/// What one step did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Step {
    /// Events read.
    pub events: usize,
    /// Frames put into the outbox.
    pub frames: usize,
    /// Whether there is more to read right away.
    pub more: bool,
    /// Then, up to which time the source is read that is furthest behind.
    pub(crate) behind: Option<Timestamp>,
    /// The writers of the journal that are alive.
    pub alive: BTreeSet<WriterId>,
    /// Whether the writer of any file of the inbox is alive.
    pub inbox_alive: bool,
    /// Lines with measurements read.
    pub reports: u64,
    /// Ends told through the inbox of which a usage event may be made.
    pub usage: Vec<inbox::Ended>,
    /// What was wrong with lines of the inbox.
    pub inbox: inbox::InboxCounts,
    /// Whether the directory was removed or replaced since the step before. What was in it and not sent is gone.
    pub replaced: bool,
}

impl Drainer {
    /// Takes over the draining of a directory, after finishing what a drainer before may have left half done. `None`
    /// when another process drains it.
    ///
    /// # Errors
    /// When the directory cannot be used; the error says why and what to do.
    pub fn open(layout: Layout, options: DrainerOptions, now: SystemTime) -> Result<Option<Self>, OpenError> {
        let io_error = |source| OpenError::Io { dir: layout.dir().display().to_string(), source };
        dagtel_spool::prepare_directory(layout.dir())?;
        let journal = Spool::open(layout.journal(), Options::default())?;
        let outbox = OutboxWriter::open_prepared(&layout)?;
        let Some(lock) = DirLock::try_acquire(layout.drain_lock()).map_err(io_error)? else {
            return Ok(None);
        };
        fs::create_dir_all(layout.inbox()).map_err(io_error)?;
        let state = match state::load(&layout.state()).map_err(io_error)? {
            Ok(state) => *state,
            Err(reason) => fresh(&layout, &options, now.into(), &reason).map_err(io_error)?,
        };
        let reader = journal.reader();
        let mut drainer = Self {
            layout,
            options,
            journal: reader,
            outbox,
            state,
            metrics_due: Timestamp::MIN,
            counts_at_start: Counts::default(),
            reports: BTreeMap::new(),
            read_to: ReadTo::default(),
            forward: Vec::new(),
            lock,
        };
        drainer.state.fold.set_timing(drainer.options.timing);
        drainer.counts_at_start = drainer.state.counts.clone();
        drainer.state.fold.keep_log_events(drainer.options.log_events);
        drainer
            .append_pending()
            .map_err(|source| OpenError::Io { dir: drainer.layout.dir().display().to_string(), source })?;
        Ok(Some(drainer))
    }

    /// Reads what there is, up to a bound, folds it, and puts what became final into the outbox.
    ///
    /// # Errors
    /// When the directory cannot be read or written to. Nothing is lost by that: the next step begins where the last
    /// good one ended.
    pub fn step(&mut self, now: SystemTime) -> io::Result<Step> {
        self.step_until(now, now.into())
    }

    /// A step that puts the metrics into the outbox whether it is time or not.
    ///
    /// # Errors
    /// As [`Drainer::step`].
    pub fn step_with_metrics(&mut self, now: SystemTime) -> io::Result<Step> {
        self.metrics_due = Timestamp::MIN;
        self.step(now)
    }

    /// A living writer that will not write again, such as this process's own at its end: what it left open is lost.
    pub fn close(&mut self, writer: Option<WriterId>, now: SystemTime) {
        let Some(writer) = writer else { return };
        let lost = self.state.owners.died(&Owner::Writer(writer), now.into());
        lost.into_iter().for_each(|event| self.apply(readmit(event)));
    }

    /// The last step of a process that knows that nothing more will come: whatever has an end is final now.
    ///
    /// # Errors
    /// As [`Drainer::step`].
    pub fn finish(&mut self, now: SystemTime) -> io::Result<Step> {
        self.metrics_due = Timestamp::MIN;
        self.step_until(now, Timestamp::MAX)
    }

    fn step_until(&mut self, now: SystemTime, watermark: Timestamp) -> io::Result<Step> {
        let mut step = Step { replaced: !self.lock.is_in_place(), ..Step::default() };
        if step.replaced {
            self.begin_anew(now)?;
        }
        let mut dead = Vec::new();
        let streams = self.read_journal(&mut step, &mut dead)?;
        self.read_inbox(&mut step, &mut dead)?;
        for owner in dead {
            let lost = self.state.owners.died(&owner, now.into());
            lost.into_iter().for_each(|event| self.apply(readmit(event)));
        }
        let patience =
            Timestamp::from(now.checked_sub(self.options.adoption).unwrap_or(SystemTime::UNIX_EPOCH));
        let given_up =
            self.state.owners.abandoned(if watermark == Timestamp::MAX { watermark } else { patience });
        given_up.into_iter().for_each(|event| self.apply(readmit(event)));
        let watermark = self.safe_watermark(watermark, now.into(), &step);
        let mut unsaved = step.events > 0;
        loop {
            let (changes, all) = self.state.fold.due_within(watermark, PORTION);
            let records = self.records(&changes);
            let spans = spans(changes).filter(|_| self.options.traces);
            let mut frames = dagtel_otlp::traces(spans, &self.options.identity);
            frames.extend(self.forwarded(now.into()));
            frames.extend(dagtel_otlp::logs(&records, &self.options.identity));
            if all && self.metrics_are_due(now.into(), step.more) {
                frames.extend(self.metrics(now.into()));
            }
            step.frames += frames.len();
            if unsaved || !frames.is_empty() {
                self.commit(frames)?;
                unsaved = false;
            }
            if all {
                break;
            }
        }
        self.clean_up(&streams, now);
        Ok(step)
    }

    /// Up to when everything is read. While there is more to read, later facts about what has ended may be among it: then
    /// that is the time up to which the source is read that is furthest behind. Across hosts the fold waits by arrival,
    /// which reading only delays.
    fn safe_watermark(&self, watermark: Timestamp, now: Timestamp, step: &Step) -> Timestamp {
        match step.behind {
            None => watermark,
            Some(_) if self.options.timing.patience.is_some() => watermark.min(now),
            Some(behind) => behind.min(watermark).min(now),
        }
    }

    /// Takes over what is where the directory was: made anew, or replaced by another. Without its lock there could be two
    /// drainers.
    fn begin_anew(&mut self, now: SystemTime) -> io::Result<()> {
        let fresh = Self::open(self.layout.clone(), self.options.clone(), now).map_err(io::Error::other)?;
        let taken =
            || io::Error::other("it was removed or replaced, and another process drains what is there now");
        let mut fresh = fresh.ok_or_else(taken)?;
        if fresh.state.counts.events == 0 {
            // Nobody drained it before: what is folded so far stays true.
            std::mem::swap(&mut fresh.state, &mut self.state);
        }
        // A shipper has seen the numbers so far.
        fresh.state.next_frame = fresh.state.next_frame.max(self.state.next_frame);
        *self = fresh;
        Ok(())
    }

    /// Gives up what is read, and forgets streams that were not there any more when this step listed them. Failing at it is
    /// no loss: it is tried again after the next step.
    fn clean_up(&mut self, streams: &[StreamStatus], now: SystemTime) {
        self.state.positions.retain(|id, _| streams.iter().any(|stream| stream.id == *id));
        for (stream, position) in &self.state.positions {
            let _ = self.journal.release(*stream, *position);
        }
        for name in inbox::remove_read(&self.layout.inbox(), &self.state.inbox, now) {
            self.state.inbox.remove(&name);
        }
    }

    /// What was counted, over all drainers of this directory.
    pub fn counts(&self) -> &Counts {
        &self.state.counts
    }

    /// What had been counted when this drainer took over.
    pub fn counts_at_start(&self) -> &Counts {
        &self.counts_at_start
    }

    /// What living processes said of themselves last through the inbox, by the name of their file.
    pub fn reports(&self) -> &BTreeMap<String, MetricsLine> {
        &self.reports
    }

    /// The tries that were started by way of the inbox and have not ended, each with the name of the file whose writer runs
    /// it.
    pub fn inbox_tries(&self) -> impl Iterator<Item = (&Arc<RunKey>, &TryKey, &str)> {
        self.state.owners.inbox_tries()
    }

    /// Takes in what whoever drains has found out itself. It is saved with the next step; until then a crash loses it.
    pub fn tell(&mut self, event: Event) {
        let admitted = self.options.guard.admit(event);
        self.apply(admitted);
    }

    /// The state of the fold.
    pub fn fold(&self) -> &Fold {
        &self.state.fold
    }

    /// The number of the last frame that was put into the outbox.
    pub fn last_frame(&self) -> u64 {
        self.state.next_frame - 1
    }

    /// Whether nothing waits for time to pass: an open run, or one that may be adopted.
    pub fn is_idle(&self) -> bool {
        self.state.fold.open_runs() == 0 && !self.state.owners.has_orphans()
    }
}

fn fresh(layout: &Layout, options: &DrainerOptions, now: Timestamp, reason: &NoState) -> io::Result<State> {
    let mut counts = Counts::default();
    if matches!(reason, NoState::Damaged) {
        counts.drop_events(drop_reason::STATE_DAMAGED, 1);
    }
    Ok(State {
        instance_id: options.identity.instance_id.to_string(),
        fold: Fold::new(now, options.timing),
        positions: Default::default(),
        inbox: Default::default(),
        owners: Owners::default(),
        // Numbers go on where an outbox without its state left off.
        next_frame: outbox::highest_number(layout)?.max(outbox::highest_shipped(layout)) + 1,
        pending: Vec::new(),
        counts,
        numbering: Numbering::new(),
        received: Received::default(),
    })
}
