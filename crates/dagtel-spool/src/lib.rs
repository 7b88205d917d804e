//! A bounded crash-safe directory of opaque records: many writing processes, one reading process.
//!
//! A process appends what it must not lose and goes on; another one, perhaps much later, reads it and removes what it is
//! done with. A spool knows nothing of what its records mean.
//!
//! ```
//! use dagtel_spool::{Class, Options, Position, Spool};
//!
//! # let dir = tempfile::tempdir()?;
//! let spool = Spool::open(dir.path().join("spool"), Options::default())?;
//! let writer = spool.writer();
//! writer.append(1, Class::Lifecycle, 1, b"hello")?;
//!
//! let mut reader = spool.reader();
//! for stream in reader.streams()? {
//!     let batch = reader.read(stream.id, Position::default(), 1024 * 1024)?;
//!     assert_eq!(batch.records[0].payload, b"hello");
//!     reader.release(stream.id, batch.next)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # On disk
//!
//! ```text
//! spool/                              0700; files 0600; no symbolic link is followed
//!   v1/<writer>/                      16 hex digits, drawn at the first append
//!     000000000001.lifecycle.seg      sealed: never written again
//!     000000000002.lifecycle.open     written by its writer, which holds its lock (flock)
//!     000000000001.detail.open
//!     000000000002.detail.tmp         being made; renamed to .open once it is locked and has its header
//!   quarantine/<writer>-<segment>     files with nothing readable: at most 64 MiB, the oldest go first
//!   reserve                           1 MiB that is given up when the disk is full
//!
//! segment = file header, record*
//! file header, 48 bytes
//!    0 magic      "SPOOLSEG"
//!    8 version    u16 = 1
//!   10 class      u8: 0 lifecycle, 1 detail
//!   11 zero       u8
//!   12 writer     u64, the directory's name
//!   20 segment    u64, the file's name
//!   28 first_seq  u64, the number of the first record in this segment
//!   36 created    u64, milliseconds since 1970
//!   44 crc        u32 over bytes 0..44
//! record = record header, payload
//! record header, 32 bytes
//!    0 magic      D5 52 45 43
//!    4 crc        u32 over the stream and segment (below), the record's offset in the file u64, bytes 8..32
//!    8 len        u32, of the payload, at most 4 MiB
//!   12 kind       u8, the user's
//!   13 class      u8, as the file's
//!   14 zero       u16
//!   16 items      u32, how many things the payload holds
//!   20 seq        u64, from 1, one more each record, over all segments of the stream
//!   28 crc        u32 over the payload
//! ```
//!
//! All numbers are little-endian. Every CRC is CRC-32/ISO-HDLC (`"123456789"` gives `CBF43926`). The CRC of a record
//! header goes on from the CRC of writer u64, segment u64 and class u8, as the names of directory and file tell them.
//! So a damaged file header costs no record, and bytes that look like a record, in a payload or at another place, are none.
//!
//! # Rules
//!
//! 1. A stream is the records of one class by one writer. One writer writes a file, and only by appending; a write that
//!    failed is cut off and the file is not written again.
//! 2. A writer makes and locks its next segment before it renames the last one, so a living writer always holds the lock
//!    of an `.open` file. Whoever gets that lock knows the writer dead; so it needs no process ids and survives `kill -9`.
//! 3. `first_seq` never goes down from segment to segment. Records of a segment with numbers from the next segment's
//!    `first_seq` on are void: they were written again after a failed sync. A reader gives each number once.
//! 4. A damaged payload costs its record; a damaged record header, the bytes up to the next valid one. What is gone shows
//!    by its numbers: as `damaged` if damaged bytes were there, else as `missing`.
//! 5. Bytes after the last whole record of a dead writer's `.open` file are an append that never returned: no record.
//! 6. After a failed sync the file is not synced nor written again; what was not known to be on disk goes to a new segment.
//! 7. Over the budget, the oldest sealed or ownerless segments of details go, of any writer; for a lifecycle record also
//!    the oldest of lifecycle. A detail that finds nothing to remove is refused. Removal is `unlink`, which needs no room.
//! 8. On a full disk (`ENOSPC`, `EDQUOT`) the reserve goes, then appends are refused for 100 ms at a time.
//! 9. A process whose id has changed since it opened the writer is a forked child: it begins a writer of its own.
//!
//! Locks and the visibility of appended bytes are those of a local file system; a spool does not belong on NFS.
//! Readers of a spool in another process must share its kernel.

mod budget;
mod clock;
mod error;
mod format;
mod fs;
mod id;
mod inspect;
mod layout;
pub mod limits;
mod liveness;
mod lock;
mod open;
mod options;
mod per_process;
pub mod progress;
mod quarantine;
mod reader;
pub mod sealed;
mod spool;
mod stats;
#[cfg(feature = "_testing")]
pub mod testing;
mod walk;
mod writer;

pub use clock::{Clock, SystemClock, process_id};
pub use error::{AppendError, OpenError};
pub use fs::{Fs, FsFile, Kind, Meta, RealFs};
pub use id::{Class, IdError, Position, StreamId, WriterId};
pub use inspect::{Damage, Listing, Report, check, inspect};
pub use lock::DirLock;
pub use open::prepare_directory;
pub use options::{Durability, Options};
pub use per_process::PerProcess;
pub use reader::{Batch, Reader, Record, StreamStatus};
pub use spool::Spool;
pub use stats::{PerClass, Stats};
pub use writer::{Receipt, Writer};
