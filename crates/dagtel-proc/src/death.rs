//! Why a process died.

use std::{fmt, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use rustix::process::Signal;

/// What a shell reports as exit code when its command was killed by signal `n`: this plus `n`.
const SHELL_SIGNALLED: i32 = 128;

/// Why a task failed. Its text is the value of `error.type`: `oom_killed`, `signal:SIGKILL`, `exit:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Death {
    /// The kernel killed it for want of memory.
    OomKilled,
    /// A signal ended it.
    Signal(i32),
    /// It ended itself with this code, which is not zero.
    Exit(i32),
}

impl Death {
    /// Judges how a process ended; `None` if it succeeded.
    ///
    /// `oom_kills` is how many processes the kernel killed for want of memory in the task's cgroup while the task ran
    /// ([`Usage::oom_kills`](crate::Usage::oom_kills)). It decides only about a SIGKILL, or about exit code 137, by
    /// which a shell passes on the SIGKILL of its command. A task that lives on after such a kill and then fails in
    /// another way says so by its own exit code. In a group that is shared with others, a kill of one of them counts
    /// too. A task killed by hand after such a kill in the same run counts as `oom_killed`: nothing tells the two
    /// apart.
    pub fn judge(status: ExitStatus, oom_kills: Option<u64>) -> Option<Self> {
        let by_memory = oom_kills.is_some_and(|kills| kills > 0);
        let kill = Signal::KILL.as_raw();
        match (status.signal(), status.code()) {
            (Some(signal), _) if signal == kill && by_memory => Some(Self::OomKilled),
            (Some(signal), _) => Some(Self::Signal(signal)),
            (None, Some(0)) => None,
            (None, Some(code)) if code == SHELL_SIGNALLED + kill && by_memory => Some(Self::OomKilled),
            (None, code) => Some(Self::Exit(code.unwrap_or(-1))),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OomKilled => f.write_str("oom_killed"),
            Self::Exit(code) => write!(f, "exit:{code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal:{name}"),
                None => write!(f, "signal:{number}"),
            },
        }
    }
}

/// The name of a signal on this system. Real-time signals have none.
pub fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [(Signal, &str); 29] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::CHILD, "SIGCHLD"),
        (Signal::CONT, "SIGCONT"),
        (Signal::STOP, "SIGSTOP"),
        (Signal::TSTP, "SIGTSTP"),
        (Signal::TTIN, "SIGTTIN"),
        (Signal::TTOU, "SIGTTOU"),
        (Signal::URG, "SIGURG"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::WINCH, "SIGWINCH"),
        (Signal::IO, "SIGIO"),
        (Signal::SYS, "SIGSYS"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_text() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let signal = ExitStatus::from_raw;
        let judged = |status, kills| Death::judge(status, kills).map(|death| death.to_string());
        for (status, kills, text) in [
            (exit(0), None, None),
            (exit(0), Some(1), None),
            (exit(1), None, Some("exit:1")),
            (exit(1), Some(1), Some("exit:1")),
            (exit(137), Some(0), Some("exit:137")),
            (exit(137), Some(1), Some("oom_killed")),
            (signal(9), None, Some("signal:SIGKILL")),
            (signal(9), Some(0), Some("signal:SIGKILL")),
            (signal(9), Some(2), Some("oom_killed")),
            (signal(15), Some(2), Some("signal:SIGTERM")),
            (signal(11), None, Some("signal:SIGSEGV")),
            (signal(44), None, Some("signal:44")),
        ] {
            assert_eq!(judged(status, kills).as_deref(), text, "{status:?} {kills:?}");
        }
    }
}
