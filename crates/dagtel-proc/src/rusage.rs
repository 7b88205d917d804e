//! What the kernel tells of a child that has ended.

use std::{
    io,
    process::{Child, ExitStatus},
    time::Duration,
};

use wait4::Wait4 as _;

/// What `wait4` tells of a child and of all its descendants that were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rusage {
    /// Bytes of the largest resident set that any single one of these processes ever had.
    pub max_rss: u64,
    /// Bytes that this may owe to the parent: its own high-water mark. A child borrows its parent's memory, or has a
    /// copy of it, until it executes its program, and the kernel counts that as the child's.
    pub inherited: u64,
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
}

/// Waits for a child that this process started, and returns how it ended with what it used. Its standard input is
/// closed first, as by [`Child::wait`].
///
/// # Errors
///
/// Whatever `wait4` says; `ECHILD` if the child was waited for before.
pub fn wait(mut child: Child) -> io::Result<(ExitStatus, Rusage)> {
    let ended = loop {
        match child.wait4() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    let rusage = Rusage {
        max_rss: ended.rusage.maxrss,
        inherited: crate::source::own_mark().unwrap_or(0),
        user: ended.rusage.utime,
        system: ended.rusage.stime,
    };
    Ok((ended.status, rusage))
}
