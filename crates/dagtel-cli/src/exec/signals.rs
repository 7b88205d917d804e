//! Which signals are forwarded, and how a process ends by the same one as its child.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, kill_process, setrlimit};
use signal_hook::consts as signal;

/// Every signal that can be caught and is not about a fault of this very process.
const FORWARDED: [i32; 23] = [
    signal::SIGHUP,
    signal::SIGINT,
    signal::SIGQUIT,
    signal::SIGTRAP,
    signal::SIGABRT,
    signal::SIGUSR1,
    signal::SIGUSR2,
    signal::SIGPIPE,
    signal::SIGALRM,
    signal::SIGTERM,
    signal::SIGCONT,
    signal::SIGTSTP,
    signal::SIGTTIN,
    signal::SIGTTOU,
    signal::SIGURG,
    signal::SIGXCPU,
    signal::SIGXFSZ,
    signal::SIGVTALRM,
    signal::SIGPROF,
    signal::SIGWINCH,
    signal::SIGIO,
    signal::SIGSYS,
    signal::SIGBUS,
];

/// Those of them that are not ignored. What is ignored (`nohup`) stays so: the child inherits that, and a handler in this
/// process would undo it. Rust's runtime itself ignores SIGPIPE, which the child does not inherit.
pub(super) fn forwarded() -> impl Iterator<Item = i32> {
    let ignored =
        fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored(&status)).unwrap_or(0);
    FORWARDED.into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}

/// The mask in the line `SigIgn:` (proc_pid_status(5)): bit 0 is signal 1.
fn ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Sends a signal to every process of the child's group.
pub(super) fn forward(group: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // A group that is gone needs no signal.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Ends this process by a signal, so that whoever waits for it sees what became of the child. No core is dumped: the
/// child has dumped its own.
pub(super) fn end_by(signal: i32) {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = kill_process(getpid(), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        // As `nohup` leaves it: SIGHUP is signal 1.
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t00\n"), Some(1));
        assert_eq!(ignored("Name:\tx\n"), None);
    }
}
