//! Everything that is counted.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{error::AppendError, id::Class};

/// One count for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format knows two classes")]
pub struct PerClass {
    /// Of lifecycle.
    pub lifecycle: u64,
    /// Of detail.
    pub detail: u64,
}

impl PerClass {
    /// The count of one class.
    pub fn of(&self, class: Class) -> u64 {
        match class {
            Class::Lifecycle => self.lifecycle,
            Class::Detail => self.detail,
        }
    }

    /// Both together.
    pub fn sum(&self) -> u64 {
        self.lifecycle + self.detail
    }
}

/// A spool as it is, and what this process did with it since it opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes in segments now, in whole blocks: what the budget bounds.
    pub bytes: u64,
    /// Segments now.
    pub files: u64,
    /// Bytes in `quarantine/` now.
    pub quarantine_bytes: u64,
    /// Records taken.
    pub appended: PerClass,
    /// Items in the records taken.
    pub appended_items: PerClass,
    /// Records refused because the disk or the budget was full.
    pub dropped_full: PerClass,
    /// Records refused because they were too long.
    pub dropped_too_large: PerClass,
    /// Records refused or lost because of another error of the file system.
    pub dropped_io: PerClass,
    /// Records in segments that were removed for the budget, delivered or not.
    pub evicted: PerClass,
    /// Segments removed for the budget.
    pub evicted_segments: u64,
    /// Records read.
    pub read: u64,
    /// Records lost to damaged bytes, as the reader noticed.
    pub damaged: u64,
    /// Records that are not there any more, as the reader noticed: evicted or quarantined.
    pub missing: u64,
    /// Unfinished records at the end of dead writers' segments.
    pub torn: u64,
    /// Files moved to `quarantine/`.
    pub quarantined: u64,
    /// Syncs that failed, each of which costs a segment.
    pub failed_syncs: u64,
    /// Writes that failed.
    pub failed_writes: u64,
}

/// [`Stats`] while they change.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appended: Pair,
    pub(crate) appended_items: Pair,
    pub(crate) dropped_full: Pair,
    pub(crate) dropped_too_large: Pair,
    pub(crate) dropped_io: Pair,
    pub(crate) evicted: Pair,
    pub(crate) evicted_segments: Count,
    pub(crate) read: Count,
    pub(crate) damaged: Count,
    pub(crate) missing: Count,
    pub(crate) torn: Count,
    pub(crate) quarantined: Count,
    pub(crate) failed_syncs: Count,
    pub(crate) failed_writes: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pair([Count; 2]);

impl Pair {
    pub(crate) fn add(&self, class: Class, count: u64) {
        self.0[usize::from(class.code())].add(count);
    }

    fn get(&self) -> PerClass {
        PerClass { lifecycle: self.0[0].get(), detail: self.0[1].get() }
    }
}

impl Counters {
    pub(crate) fn refused(&self, class: Class, records: u64, error: AppendError) {
        match error {
            AppendError::Full { .. } => self.dropped_full.add(class, records),
            AppendError::TooLarge { .. } => self.dropped_too_large.add(class, records),
            AppendError::Io(_) => self.dropped_io.add(class, records),
        }
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            bytes: 0,
            files: 0,
            quarantine_bytes: 0,
            appended: self.appended.get(),
            appended_items: self.appended_items.get(),
            dropped_full: self.dropped_full.get(),
            dropped_too_large: self.dropped_too_large.get(),
            dropped_io: self.dropped_io.get(),
            evicted: self.evicted.get(),
            evicted_segments: self.evicted_segments.get(),
            read: self.read.get(),
            damaged: self.damaged.get(),
            missing: self.missing.get(),
            torn: self.torn.get(),
            quarantined: self.quarantined.get(),
            failed_syncs: self.failed_syncs.get(),
            failed_writes: self.failed_writes.get(),
        }
    }
}
