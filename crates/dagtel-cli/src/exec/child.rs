//! A child in a process group of its own: signals go through to it, and what it does comes back.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};

use dagtel_proc::Rusage;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use signal_hook::consts::{SIGCHLD, SIGCONT};
use signal_hook::iterator::Signals;

use super::signals::{self, forwarded};
use super::terminal::Terminal;

/// Everything that must be ready before the child is there, so that no signal gets lost.
pub(super) struct Nursery {
    signals: Signals,
    terminal: Option<Terminal>,
}

/// A child that runs.
pub(super) struct Running {
    child: Child,
    group: Pid,
    nursery: Nursery,
}

impl Nursery {
    pub(super) fn new() -> io::Result<Self> {
        let signals = Signals::new(forwarded().chain([SIGCHLD]))?;
        Ok(Self { signals, terminal: Terminal::of_foreground() })
    }

    /// Starts a child by `spawn`, which gets the command ready to be in a group of its own.
    pub(super) fn start(
        self,
        command: &mut Command,
        spawn: impl FnOnce(&mut Command) -> io::Result<Child>,
    ) -> io::Result<Running> {
        let child = spawn(command.process_group(0))?;
        let group = Pid::from_child(&child);
        if let Some(terminal) = &self.terminal {
            terminal.lend(group);
            // It may have asked for the terminal before it had it, and stand still since.
            signals::forward(group, SIGCONT);
        }
        Ok(Running { child, group, nursery: self })
    }
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end, and meanwhile forwards signals to its group. When it stops, so does this process: whoever
    /// controls jobs sees one job.
    pub(super) fn wait(mut self) -> io::Result<(ExitStatus, Rusage)> {
        'running: loop {
            let arrived: Vec<i32> = self.nursery.signals.wait().collect();
            for signal in arrived {
                match signal {
                    SIGCHLD if self.has_ended()? => break 'running,
                    SIGCHLD => self.follow_stop()?,
                    SIGCONT => self.go_on(),
                    signal => signals::forward(self.group, signal),
                }
            }
        }
        if let Some(terminal) = &self.nursery.terminal {
            terminal.take_back();
        }
        dagtel_proc::wait(self.child)
    }

    /// Whether it is dead; it is left to be reaped, which is how its resources become known.
    fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(self.group), options)?.is_some())
    }

    fn follow_stop(&self) -> io::Result<()> {
        let stopped = waitid(WaitId::Pid(self.group), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG)?;
        if stopped.is_some_and(|status| status.stopped()) {
            if let Some(terminal) = &self.nursery.terminal {
                terminal.take_back();
            }
            let _ = kill_process(getpid(), Signal::STOP);
        }
        Ok(())
    }

    fn go_on(&self) {
        if let Some(terminal) = &self.nursery.terminal {
            terminal.lend(self.group);
        }
        signals::forward(self.group, SIGCONT);
    }
}
