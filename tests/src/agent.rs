//! `dagtel agent` as a process that tests start, kill and start again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::dagtel;

/// A running agent. Killed when it is dropped.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts one that drains `spool` to `endpoint`, and exports metrics every 0.2 s.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(spool: &Path, endpoint: &str) -> Self {
        let mut command = dagtel();
        command.args([
            "agent",
            "--metric-interval",
            "0.2",
            "--adoption",
            "1",
            "--endpoint",
            endpoint,
            "--spool",
        ]);
        Self::spawn(command.arg(spool).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().expect("dagtel can be started"))
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    /// Kibibytes of memory that it has resident.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("Linux tells of a process in /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS is among it");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// Asks it to end by SIGTERM, and waits until it has. Returns its exit code and how long it took.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn stop(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).expect("the agent can be signalled");
        let status = self.0.wait().expect("the agent can be waited for");
        (status.code(), began.elapsed())
    }

    fn end(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}
