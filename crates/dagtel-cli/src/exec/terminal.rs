//! The terminal, when the command has one: a process group of its own may only use it while it is the foreground group.

use std::io::{IsTerminal as _, stdin};

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{Pid, getpgrp};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// Lends the terminal to the child's group, and takes it back.
pub(super) struct Terminal {
    own: Pid,
}

impl Terminal {
    /// The terminal of standard input, if this process is in its foreground.
    pub(super) fn of_foreground() -> Option<Self> {
        let own = getpgrp();
        let foreground = stdin().is_terminal() && tcgetpgrp(stdin()) == Ok(own);
        foreground.then(|| {
            // Taking it back from the background is only allowed while this is blocked.
            let mut stops = SigSet::empty();
            stops.add(Signal::SIGTTOU);
            let _ = stops.thread_block();
            Self { own }
        })
    }

    pub(super) fn lend(&self, group: Pid) {
        let _ = tcsetpgrp(stdin(), group);
    }

    pub(super) fn take_back(&self) {
        let _ = tcsetpgrp(stdin(), self.own);
    }
}
