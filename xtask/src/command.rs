//! Running other programs: with the log in a file and a sign of life on the terminal, or straight through.

use crate::{
    cache,
    failure::{Failure, Result, at},
};
use std::{
    env, fs,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a long build says that it is alive, and how often its end is looked for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
const TAIL_LINES: usize = 30;

/// A piece of long work on one part: its name and its log file.
pub(crate) struct Job {
    name: String,
    log: PathBuf,
    started: Instant,
}

impl Job {
    /// Announces the work; `usual` says how long it takes on a small machine.
    pub(crate) fn start(name: &str, what: &str, usual: &str) -> Result<Self> {
        let log = cache::logs()?.join(format!("{name}.log"));
        fs::write(&log, "").map_err(at("Starting the log", &log))?;
        eprintln!("  {name}: {what}; usually {usual}; log: {}", log.display());
        Ok(Self { name: name.to_owned(), log, started: Instant::now() })
    }

    /// Runs one command of the job. Its output goes to the log, the end of which is shown when it fails.
    pub(crate) fn run(&self, step: &str, command: &mut Command) -> Result<()> {
        eprintln!("  {}: {step} ({} s so far)", self.name, self.started.elapsed().as_secs());
        let status = self.wait(command)?;
        if status.success() {
            return Ok(());
        }
        eprintln!("--- the end of {} ---\n{}", self.log.display(), tail(&self.log));
        Err(Failure(format!(
            "{}: the step \"{step}\" failed ({status}); `{}` wrote what is shown above, the whole log is {}.",
            self.name,
            command.get_program().display(),
            self.log.display()
        )))
    }

    fn wait(&self, command: &mut Command) -> Result<ExitStatus> {
        let log =
            || OpenOptions::new().append(true).open(&self.log).map_err(at("Opening the log", &self.log));
        command.stdin(Stdio::null()).stdout(log()?).stderr(log()?);
        let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
        let mut said = Instant::now();
        loop {
            match child.try_wait().map_err(|error| Failure(format!("Waiting for {}: {error}.", self.name)))? {
                Some(status) => return Ok(status),
                None => thread::sleep(LOOK),
            }
            if said.elapsed() >= SIGN_OF_LIFE {
                said = Instant::now();
                eprintln!("  {}: still at work ({} s so far)", self.name, self.started.elapsed().as_secs());
            }
        }
    }

    pub(crate) fn done(&self) {
        eprintln!("  {}: done in {} s", self.name, self.started.elapsed().as_secs());
    }
}

/// Runs a command whose output the person sees as it comes.
pub(crate) fn run_through(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{}` failed ({status}).", line(command)))) }
}

/// Runs a command and gives its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("`{}` failed ({}): {}", line(command), output.status, complaint.trim())))
}

/// The cargo that started xtask, so that a chosen toolchain stays chosen.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(crate::source_root()).args(arguments);
    cargo
}

/// The program's path if a directory of `PATH` has it.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
}

pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Failure {
    Failure(format!("`{}` could not be started: {error}. Is it installed and on the PATH?", line(command)))
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
