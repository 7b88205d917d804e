//! `dagtel agent` as a process that tests start, kill and start again.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::command::dagtel;

fn arguments<'a>(command: &'a mut Command, spool: &Path, endpoint: &str) -> &'a mut Command {
    let timing = ["agent", "--metric-interval", "0.2", "--adoption", "1"];
    command.args(timing).args(["--endpoint", endpoint, "--spool"]).arg(spool)
}

/// A running agent. Killed when it is dropped.
#[derive(Debug)]
pub struct Agent(Child);

impl Agent {
    /// Starts one that drains `spool` to `endpoint`, and exports metrics every 0.2 s.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(spool: &Path, endpoint: &str) -> Self {
        Self::spawn(arguments(&mut dagtel(), spool, endpoint).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Starts one with these environment variables.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_environment(spool: &Path, endpoint: &str, variables: &[(&str, String)]) -> Self {
        let mut command = dagtel();
        arguments(&mut command, spool, endpoint).envs(variables.iter().map(|(name, value)| (name, value)));
        Self::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Starts one with more arguments and environment variables, whose messages go to the file `said`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with(
        spool: &Path,
        endpoint: &str,
        more: &[String],
        variables: &[(&str, String)],
        said: &Path,
    ) -> Self {
        let said = File::options().create(true).append(true).open(said).expect("the file can be opened");
        let mut command = dagtel();
        // Where the tests run in CI nothing would be sent to a gateway of usage events.
        command.env("CI", "").env("CONTINUOUS_INTEGRATION", "");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::spawn(arguments(&mut command, spool, endpoint).args(more).stdout(Stdio::null()).stderr(said))
    }

    /// Starts one that may have at most so many files open, and whose messages go to the file `said`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_descriptors(spool: &Path, endpoint: &str, descriptors: u32, said: &Path) -> Self {
        let said = File::create(said).expect("the file for its messages can be made");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")])
            .arg(dagtel().get_program());
        shell.env("DAGTEL_AGENT_HTTP_SERVER__ON", "false");
        shell.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").env_remove("OTEL_RESOURCE_ATTRIBUTES");
        Self::spawn(arguments(&mut shell, spool, endpoint).stdout(Stdio::null()).stderr(said))
    }

    /// Starts one, and returns where it serves `/metrics`.
    ///
    /// # Panics
    /// When it cannot be started, or does not serve.
    pub fn start_serving(spool: &Path, endpoint: &str) -> (Self, SocketAddr) {
        Self::start_serving_at(spool, endpoint, 0)
    }

    /// The same at a port of the caller's choice.
    ///
    /// # Panics
    /// When it cannot be started, or does not serve.
    pub fn start_serving_at(spool: &Path, endpoint: &str, port: u16) -> (Self, SocketAddr) {
        let mut command = dagtel();
        arguments(&mut command, spool, endpoint);
        Self::serve(command, port)
    }

    /// Starts one with nothing but its defaults, which exports metrics every 10 s, and returns where it serves `/metrics`.
    ///
    /// # Panics
    /// When it cannot be started, or does not serve.
    pub fn start_serving_by_default(spool: &Path, endpoint: &str) -> (Self, SocketAddr) {
        let mut command = dagtel();
        command.args(["agent", "--endpoint", endpoint, "--spool"]).arg(spool);
        Self::serve(command, 0)
    }

    fn serve(mut command: Command, port: u16) -> (Self, SocketAddr) {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("DAGTEL_AGENT_HTTP_SERVER__ON", "true")
            .env("DAGTEL_AGENT_HTTP_SERVER__PORT", port.to_string());
        let mut agent = Self::spawn(&mut command);
        let mut said = BufReader::new(agent.0.stderr.take().expect("its messages are piped")).lines();
        let address = loop {
            let line = said.next().expect("it says where it serves").expect("it writes text");
            let served = line.strip_prefix("serving http://").and_then(|rest| rest.strip_suffix("/metrics"));
            if let Some(address) = served {
                break address.parse().expect("it is an address");
            }
        };
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || said.for_each(drop));
        (agent, address)
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
        self.status("VmRSS:")
    }

    /// Kibibytes of memory that it had resident at most.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, word: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        let status = status.expect("Linux tells of a process in /proc");
        let line = status.lines().find_map(|line| line.strip_prefix(word)).expect("memory is among it");
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
