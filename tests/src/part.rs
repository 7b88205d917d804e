//! One started program: its log, its readiness, its end.

use crate::http;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{self, File},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 40;

/// A program that can be started, killed and started again with the same ports and directories.
#[derive(Debug)]
pub struct Part {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Where it runs; its log goes there too.
    pub(crate) directory: PathBuf,
    /// It is ready when all of these answer.
    pub(crate) probes: Vec<Probe>,
    pub(crate) child: Option<Child>,
}

/// A question that a ready part answers.
#[derive(Debug)]
pub(crate) enum Probe {
    /// This address answers a GET with success.
    Http(String),
    /// Somebody listens on this port of 127.0.0.1.
    Tcp(u16),
}

/// Why a start failed; a taken port is worth another try with other ports.
pub(crate) struct StartError {
    pub(crate) port_taken: bool,
    pub(crate) message: String,
}

impl Part {
    /// Starts the program and waits until it is ready.
    ///
    /// # Panics
    /// When it is running already, ends early or is not ready within a minute; the message has the end of its log.
    #[track_caller]
    pub fn start(&mut self) {
        if let Err(error) = self.try_start() {
            panic!("{}", error.message);
        }
    }

    pub(crate) fn try_start(&mut self) -> Result<(), StartError> {
        assert!(!self.is_running(), "{} is running already; end it by kill() or stop() first.", self.name);
        // The log of an earlier start stays: it tells how the part ended.
        let earlier = self.log().len();
        self.spawn();
        let started = Instant::now();
        loop {
            let answer = self.probes.iter().try_for_each(Probe::ask);
            // Asked after the probes: were the port another program's, they would have been answered by that one.
            if !self.is_running() {
                let log = self.log().split_off(earlier);
                let message = format!("{} ended before it was ready. {}", self.name, self.log_tail());
                return Err(StartError { port_taken: log.contains("address already in use"), message });
            }
            match answer {
                Ok(()) => return Ok(()),
                Err(last) if started.elapsed() > START_LIMIT => {
                    let message =
                        format!("{} was not ready within a minute: {last}. {}", self.name, self.log_tail());
                    return Err(StartError { port_taken: false, message });
                }
                Err(_) => thread::sleep(LOOK),
            }
        }
    }

    fn spawn(&mut self) {
        let log = self.log_file();
        let output = || File::options().create(true).append(true).open(&log).expect("the log can be opened");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        match child {
            Ok(child) => self.child = Some(child),
            Err(error) => {
                panic!("{} could not be started from {}: {error}.", self.name, self.program.display())
            }
        }
    }

    /// Ends it at once, as `kill -9` does; nothing is written or sent any more.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself, which is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM) and waits; kills it when it takes more than ten seconds.
    pub fn stop(&mut self) {
        self.ask_to_end();
        let asked = Instant::now();
        while self.is_running() && asked.elapsed() < STOP_LIMIT {
            thread::sleep(LOOK);
        }
        self.kill();
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn ask_to_end(&mut self) {
        if self.is_running()
            && let Some(child) = &self.child
        {
            // Fails only if it has just ended.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id, while it has been started and not ended by this harness.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Everything it wrote so far, earlier starts included.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log under a heading that names the part.
    pub(crate) fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        format!("The end of its log:\n--- {} ---\n{tail}\n", self.log_file().display())
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.name))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Probe {
    fn ask(&self) -> Result<(), String> {
        match self {
            Self::Http(url) => http::text(&http::agent(), url, &[]).map(drop),
            Self::Tcp(port) => TcpStream::connect(("127.0.0.1", *port))
                .map(drop)
                .map_err(|error| format!("nobody listens on port {port}: {error}")),
        }
    }
}
