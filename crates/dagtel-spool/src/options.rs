//! How a spool is used: its bounds and what an append waits for.

use std::time::Duration;

/// What an append has waited for when it returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: records gather in memory and are written at once after 5 ms or 64 KiB, or by a flush.
    /// A killed process loses those.
    Batched,
    /// `write(2)`: the kernel has the record. A killed process loses nothing, a machine that stops what the kernel had
    /// not written yet.
    #[default]
    Process,
    /// As `Process`; besides, files and directories are synced every 500 ms, which bounds what a stopped machine loses.
    Interval,
    /// `fdatasync(2)`: the disk has the record.
    Always,
}

impl Durability {
    pub(crate) fn syncs(self) -> bool {
        matches!(self, Self::Interval | Self::Always)
    }
}

/// The bounds of a spool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Bytes of all segments. Writers may go over it by a segment each.
    pub budget_bytes: u64,
    /// Bytes after which a segment is sealed and the next one begun.
    pub segment_bytes: u64,
    /// The age at which an append seals a segment and begins the next one.
    pub segment_age: Duration,
    /// What an append waits for.
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget_bytes: 512 * 1024 * 1024,
            segment_bytes: 4 * 1024 * 1024,
            segment_age: Duration::from_secs(30),
            durability: Durability::default(),
        }
    }
}

impl Options {
    /// Bytes of all segments.
    #[must_use]
    pub fn with_budget_bytes(mut self, bytes: u64) -> Self {
        self.budget_bytes = bytes;
        self
    }

    /// Bytes after which a segment is sealed.
    #[must_use]
    pub fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// The age at which a segment is sealed.
    #[must_use]
    pub fn with_segment_age(mut self, age: Duration) -> Self {
        self.segment_age = age;
        self
    }

    /// What an append waits for.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}
