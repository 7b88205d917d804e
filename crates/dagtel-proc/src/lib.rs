//! What a tree of processes really used, and why it died.
//!
//! [`Tracker`] looks at the trees of any number of tasks from one thread. [`wait`] and [`Cgroup`] get from the kernel
//! what it has kept itself. [`Death`] tells a kill for want of memory from any other. This crate knows processes, no
//! telemetry.
//!
//! ```
//! use std::process::Command;
//!
//! use dagtel_proc::{Death, Options, Tracker, wait};
//!
//! let tracker = Tracker::new();
//! let child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
//! let task = tracker.track(child.id(), Options::default());
//! let (status, rusage) = wait(child)?;
//! let mut usage = task.stop();
//! usage.add_rusage(&rusage);
//! let death = Death::judge(status, usage.oom_kills);
//! assert_eq!(death.map(|death| death.to_string()).as_deref(), Some("exit:3"));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Methods
//!
//! There is no one peak. Each [`Method`] errs in its own way, and every figure says by which it was found.
//! [`Peaks::best`] chooses the truest of those that there are.
//!
//! `cgroup`: the kernel's peak of a cgroup of the task's own.
//!   - Too much: cached pages of files that were read or written, which the kernel would give up first; kernel memory,
//!     such as the page tables of many forked processes.
//!   - Too little: pages that another group was first to touch, such as shared libraries; what was allocated before the
//!     process was moved in.
//!
//! `vmhwm`: at each look, what all processes hold, and beside it the one whose high-water mark rose furthest above.
//!   - Too much: shared pages count once in each process (not with [`Options::with_shares`]); a process whose memory
//!     fell and rose again between two looks.
//!   - Too little: several processes that had spikes between the same two looks; a process that came and went between
//!     two looks; what a process had before it executed its last program.
//!
//! `rusage`: the largest single process among the root and the descendants that were waited for, known at the end.
//!   - Too much: a child is born with the mark of its parent ([`Rusage::inherited`]).
//!   - Too little: everything but that one process.
//!
//! `sampled_pss`: the greatest sum of proportional set sizes at a look.
//!   - Too much: shares of processes that began or ended during the look.
//!   - Too little: every spike between two looks.
//!
//! `sampled_rss`: the greatest sum of resident sets at a look; what the Cosmos tracker reports.
//!   - Too much: shared pages count once in each process.
//!   - Too little: every spike between two looks.
//!
//! Where the tracked process is the one that tracks, all figures but processor time are of the whole process, with all
//! that it holds beside the task.
//!
//! Processor time is that of a cgroup of the task's own, if there is one. Else it is that of all living processes and
//! of what they have inherited from children they waited for, and of ended ones for which nobody waited, as they were
//! last seen. What `wait4` tells, or the group, replaces it if it is more. `/proc` counts in steps of 10 ms.
//!
//! # Cost
//!
//! A look reads three short files of each process in the tree, which stay open ([`limits::OPEN_FILES`]), and a fourth
//! only if the process had page faults since. Unrelated processes cost nothing.

mod account;
mod cgroup;
mod death;
mod gap;
pub mod limits;
mod method;
mod rusage;
mod source;
mod tracker;
mod usage;

pub use cgroup::{Cgroup, CgroupError};
pub use death::{Death, signal_name};
pub use gap::{Gap, Gaps};
pub use method::Method;
pub use rusage::{Rusage, wait};
pub use tracker::{Options, Tracked, Tracker};
pub use usage::{Peaks, Processes, Usage, mebibytes};
