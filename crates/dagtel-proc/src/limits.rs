//! Every limit of this crate.

use std::time::Duration;

/// The interval of the Cosmos tracker, and the default here.
pub const INTERVAL: Duration = Duration::from_millis(500);
/// Looks are never closer together.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// Nor further apart.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Processes that are followed in one tree; the others are counted.
pub const PROCESSES: usize = 4096;
/// Files below `/proc` that one tracker keeps open, all its tasks together. It never takes more than an eighth of what
/// the process may open; what is not kept open is opened at each look.
pub const OPEN_FILES: usize = 192;
/// How long the end of a task may take: after this time its last look goes on to no further process.
pub const LAST_LOOK: Duration = Duration::from_millis(1);
/// Bytes that are read of one file below `/proc`.
pub const FILE_BYTES: usize = 256 * 1024;
/// How long the removal of a cgroup may wait for the kernel to finish with the processes that ended in it.
pub const REMOVAL: Duration = Duration::from_millis(500);
