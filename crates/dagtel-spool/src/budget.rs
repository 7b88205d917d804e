//! Keeping the spool within its budget: details go first, the oldest first.
//!
//! Each process keeps a total of what it saw at its last look at the directory and what it wrote since; it looks again
//! after a segment's worth of bytes. So all writers together go over the budget by a segment each at most.
//!
//! A look costs a call for each segment. When nobody drains and every task is a process of its own, each would pay for all
//! before it; so the more writers have left something, the fewer of the new ones take the first look, and the cost for
//! each stays the same.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::{
    format::State,
    id::{Class, StreamId},
    layout::{SegmentFile, none_if_absent},
    limits,
    liveness::{Holder, holder},
    spool::Context,
    walk,
    writer::Lane,
};

/// What the spool holds, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    total: AtomicU64,
    /// Written since the last look.
    unseen: AtomicU64,
    /// Whether the first append is over.
    looked: AtomicBool,
    /// Until when details are refused without another look; milliseconds.
    refuse_until: AtomicU64,
    /// Bytes of lifecycle that may still be written before another look, when the last one found nothing to remove.
    leeway: AtomicU64,
}

impl Budget {
    /// Takes `size` bytes from the budget, removing segments if need be, and says whether there was room.
    pub(crate) fn admit(&self, context: &Context, lanes: &mut [Lane; 2], class: Class, size: u64) -> bool {
        let options = &context.options;
        if options.budget_bytes == u64::MAX {
            return true;
        }
        let unseen = self.unseen.fetch_add(size, Relaxed) + size;
        let first = !self.looked.swap(true, Relaxed);
        if unseen > options.segment_bytes || first && chosen(context) {
            self.look(context);
        }
        if self.total.fetch_add(size, Relaxed) + size <= options.budget_bytes {
            return true;
        }
        let admitted = match class {
            Class::Detail => self.admit_detail(context, lanes, size),
            Class::Lifecycle => {
                self.admit_lifecycle(context, lanes, size);
                true
            }
        };
        if !admitted {
            self.give_back(size);
        }
        admitted
    }

    /// Gives back what was taken for a record that was not written, or was removed.
    pub(crate) fn give_back(&self, size: u64) {
        let _ = self.total.fetch_update(Relaxed, Relaxed, |total| Some(total.saturating_sub(size)));
    }

    fn admit_detail(&self, context: &Context, lanes: &mut [Lane; 2], size: u64) -> bool {
        let now = u64::try_from(context.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        if now < self.refuse_until.load(Relaxed) {
            return false;
        }
        let made = self.make_room(context, lanes, Class::Detail, size);
        if !made {
            self.refuse_until.store(now + limits::RETRY_MILLIS, Relaxed);
        }
        made
    }

    /// A lifecycle record always gets in: each writer's open segment may be over the budget, and once it is sealed it
    /// can be removed for the next.
    fn admit_lifecycle(&self, context: &Context, lanes: &mut [Lane; 2], size: u64) {
        let taken = self.leeway.fetch_update(Relaxed, Relaxed, |leeway| leeway.checked_sub(size));
        if taken.is_err() && !self.make_room(context, lanes, Class::Lifecycle, size) {
            self.leeway.store(context.options.segment_bytes / 8, Relaxed);
        }
    }

    fn look(&self, context: &Context) {
        let files = context.layout.files().unwrap_or_default();
        self.saw(files.iter().map(SegmentFile::cost).sum());
    }

    fn saw(&self, total: u64) {
        self.total.store(total, Relaxed);
        self.unseen.store(0, Relaxed);
    }

    /// Removes segments until `size` bytes fit, and a little more, so that not every append has to do so.
    fn make_room(&self, context: &Context, lanes: &mut [Lane; 2], class: Class, size: u64) -> bool {
        let options = &context.options;
        let slack = (options.segment_bytes / 4).min(options.budget_bytes / 8);
        let goal = options.budget_bytes.saturating_sub(size + slack);
        let mut sweep = Sweep::new(context);
        sweep.remove(Class::Detail, goal);
        if sweep.total > goal && class == Class::Lifecycle {
            if seal_own_detail(context, lanes) {
                sweep = Sweep::new(context);
                sweep.remove(Class::Detail, goal);
            }
            sweep.remove(Class::Lifecycle, goal);
        }
        self.saw(sweep.total + size);
        sweep.total + size <= options.budget_bytes
    }
}

/// Whether this writer is one of those that take a first look: of up to twice [`limits::LOOKERS`] every one, of more every
/// second, fourth and so on, by how many there are. So what nobody has seen is about an eighth of it all at most: two that
/// come at the same moment may pass over a number.
fn chosen(context: &Context) -> bool {
    let layout = &context.layout;
    match layout.fs.metadata(&layout.writers).ok().and_then(|meta| meta.directories) {
        Some(writers) => writers.is_multiple_of((writers / limits::LOOKERS).next_power_of_two()),
        None => context.clock.random().is_multiple_of(limits::LOOKERS),
    }
}

/// Seals this writer's open details, so that they can be removed before any lifecycle segment.
fn seal_own_detail(context: &Context, lanes: &mut [Lane; 2]) -> bool {
    let [lifecycle, detail] = lanes;
    let shown_alive = lifecycle.active.is_some();
    let sealed = shown_alive && detail.active.is_some() && detail.seal(context).is_ok();
    detail.gap |= sealed;
    sealed
}

/// All segments, the oldest first, while some are removed.
struct Sweep<'a> {
    context: &'a Context,
    files: Vec<SegmentFile>,
    total: u64,
}

impl<'a> Sweep<'a> {
    fn new(context: &'a Context) -> Self {
        let mut files = context.layout.files().unwrap_or_default();
        files.sort_by_key(|file| (file.modified, file.writer, file.name));
        let total = files.iter().map(SegmentFile::cost).sum();
        Self { context, files, total }
    }

    fn remove(&mut self, class: Class, goal: u64) {
        for file in &self.files {
            if self.total <= goal {
                return;
            }
            if file.name.class != class || !self.ownerless(file) {
                continue;
            }
            let records = self.records(file);
            let path = self.context.layout.segment(file.writer, file.name);
            match none_if_absent(self.context.layout.fs.remove_file(&path)) {
                Ok(Some(())) => {
                    self.total = self.total.saturating_sub(file.cost());
                    self.context.counters.evicted.add(class, records);
                    self.context.counters.evicted_segments.add(1);
                    // Unless there is more in it; a writer that lives makes it again.
                    let _ = self.context.layout.fs.remove_dir(&self.context.layout.writer(file.writer));
                }
                // Somebody else was faster.
                Ok(None) => self.total = self.total.saturating_sub(file.cost()),
                Err(_) => {}
            }
        }
    }

    fn ownerless(&self, file: &SegmentFile) -> bool {
        file.name.state == State::Sealed
            || holder(&self.context.layout, file.writer, file.name).is_ok_and(|found| found == Holder::Nobody)
    }

    /// How many records a segment holds: its header and the next one's tell, and otherwise they are counted.
    fn records(&self, file: &SegmentFile) -> u64 {
        let stream = StreamId::new(file.writer, file.name.class);
        let layout = &self.context.layout;
        let header = |file: &SegmentFile| layout.header(stream, file.name.number, file.name.state);
        let next = self
            .files
            .iter()
            .filter(|next| next.writer == file.writer && next.name.class == file.name.class)
            .find(|next| next.name.number == file.name.number + 1);
        match (header(file), next.and_then(header)) {
            (Some(this), Some(next)) => next.first_seq.saturating_sub(this.first_seq),
            _ => walk::count(layout, stream, file.name),
        }
    }
}
