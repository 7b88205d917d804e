//! Every limit of the spool that no option changes.

/// Bytes of one record's payload. A longer one is refused: [`AppendError::TooLarge`](crate::AppendError).
pub const PAYLOAD_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of all files in `quarantine/`; beyond it the oldest are removed.
pub const QUARANTINE_BYTES: u64 = 64 * 1024 * 1024;
/// Files in `quarantine/`; beyond it the oldest are removed.
pub const QUARANTINE_FILES: usize = 1024;
/// Bytes of the file `reserve`, which is given up first when the disk is full.
pub const RESERVE_BYTES: u64 = 1024 * 1024;
/// Bytes that gather in memory at [`Durability::Batched`](crate::Durability) before they are written at once.
pub const BATCH_BYTES: usize = 64 * 1024;
/// Milliseconds after which gathered bytes are written at the latest.
pub const BATCH_MILLIS: u64 = 5;
/// Milliseconds after which written bytes are synced at the latest, at [`Durability::Interval`](crate::Durability).
pub const SYNC_MILLIS: u64 = 500;
/// Bytes kept in memory until they are synced; an append beyond it syncs at once.
pub const UNSYNCED_BYTES: usize = 4 * 1024 * 1024;
/// Milliseconds between two attempts while the disk or the budget is full.
pub const RETRY_MILLIS: u64 = 100;

/// Directories of writers up to twice which each new writer looks what the spool holds; beyond, so many or up to twice as
/// many look on the way to as many again. Where the file system does not count directories (Btrfs; ext4 beyond 65,000), one
/// of so many looks.
pub(crate) const LOOKERS: u64 = 16;
/// What a file occupies at least, and in steps of: the block of the usual file systems.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// Bytes that a reader fetches at once.
pub(crate) const WINDOW_BYTES: usize = 128 * 1024;
/// Attempts at something that another process may undo at the same moment.
pub(crate) const ATTEMPTS: usize = 16;
