//! `dagtel exec`: any command becomes a task of a DAG run, and behaves as if nothing were around it.

mod child;
pub(crate) mod key;
mod output;
mod signals;
mod terminal;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use clap::Args;
use dagtel::core::catalog::attribute;
use dagtel::core::key::{TryKey, UNMAPPED};
use dagtel::proc::Cgroup;
use dagtel::{DagRun, Dagtel, Exception, ProcessEnd, RunHandle, TaskHandle, TaskInstance};

use self::child::{Nursery, Running};
use self::key::{Run, RunArgs};
use self::output::Tee;
use crate::seconds::interval;
use crate::terminal as screen;

/// What shells answer when there is no such command, and when it is one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// What is answered when nothing was run.
const USAGE: u8 = 2;

/// Cosmos's `debug_memory_poll_interval_seconds`.
const POLL_INTERVAL: &str = "DAGTEL_DEBUG_MEMORY_POLL_INTERVAL_SECONDS";

/// A command, and which task it is.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    run: RunArgs,
    /// The task
    #[arg(long)]
    task_id: String,
    /// The try, from 1
    #[arg(long, default_value_t = 1)]
    try_number: u32,
    /// The index of a mapped task instance
    #[arg(long, default_value_t = UNMAPPED, allow_negative_numbers = true)]
    map_index: i32,
    /// The tasks it waited for, separated by commas; "" when it waits for none
    #[arg(long, value_name = "TASK_IDS")]
    upstream: Option<String>,
    /// What kind of work it is: a tag of operator_successes and operator_failures
    #[arg(long)]
    operator: Option<String>,
    /// Where the work is done: a tag of all metrics of tries
    #[arg(long)]
    execution_mode: Option<String>,
    /// Follow what the command and all its descendants use while it runs
    #[arg(long)]
    track_memory: bool,
    /// Seconds between two looks at the memory, 0.5 if not said [env: DAGTEL_DEBUG_MEMORY_POLL_INTERVAL_SECONDS]
    #[arg(long, value_name = "SECONDS", value_parser = interval)]
    memory_poll_interval: Option<Duration>,
    /// Give the command a cgroup of its own, which knows its true peak of memory and whether memory ran out
    #[arg(long)]
    cgroup: bool,
    /// Record the lines that the command writes as log records, at most so many, and keep the last of them for the span of a
    /// failure. Its output then goes through pipes
    #[arg(long, value_name = "N")]
    log_lines: Option<usize>,
    /// Record the command's arguments. They may hold secrets
    #[arg(long)]
    record_arguments: bool,
    /// The spool directory
    #[arg(long, env = dagtel_drain::DIR_VARIABLE)]
    spool: Option<PathBuf>,
    /// Say on standard error which trace this is, and what could not be recorded
    #[arg(long, short)]
    verbose: bool,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let run = match options.run.resolve(&key::environment) {
        Ok(run) => run,
        Err(error) => {
            screen::complain(&error);
            return ExitCode::from(USAGE);
        }
    };
    let end = execute(options, &run);
    // Whatever was recorded is on disk by now.
    match (end.signal(), end.code()) {
        (Some(signal), _) => {
            signals::end_by(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
        (None, code) => ExitCode::from(u8::try_from(code.unwrap_or(1)).unwrap_or(1)),
    }
}

fn execute(options: &Options, run: &Run) -> ExitStatus {
    let dagtel = options.dagtel();
    let run_handle = open_run(&dagtel, run);
    let task = options.key();
    // Told before the command is there: whatever happens then, there was a try.
    let handle = run_handle.start_with(|| options.describe(run, &task));
    let end = match options.start(run, &task) {
        Ok(started) => started.follow(options, handle),
        Err((code, error)) => {
            screen::complain(&format!("{}: {error}", options.command[0].to_string_lossy()));
            handle.failed(Exception::new(format!("exit:{code}"), error.to_string()));
            exit_status(code)
        }
    };
    match end.success() {
        _ if !run.own => {}
        true => run_handle.success(),
        false => run_handle.failed(),
    }
    end
}

/// The run of which the command is a task: one of its own unless somebody else opens it.
fn open_run(dagtel: &Dagtel, run: &Run) -> RunHandle {
    let key = &run.key;
    let described = DagRun::new(key.dag_id.clone(), key.run_id.clone())
        .namespace(key.namespace.clone())
        .attempt(key.attempt);
    if !run.own {
        return dagtel.join(described);
    }
    let described = described.run_type("manual");
    dagtel.start(match &run.outer {
        Some(outer) => described.trigger(outer.clone()),
        None => described,
    })
}

impl Options {
    /// Telemetry, or none when it cannot be had: that is no reason not to run a command.
    fn dagtel(&self) -> Dagtel {
        let mut builder = Dagtel::builder("dagtel");
        if let Some(interval) = self.poll_interval() {
            builder = builder.memory_poll_interval(interval);
        }
        if let Some(dir) = &self.spool {
            builder = builder.spool(dir);
        }
        builder.reporter().unwrap_or_else(|error| {
            self.say(&format!("nothing is recorded: {error}"));
            Dagtel::off()
        })
    }

    /// An unreadable variable is no reason not to run a command; an unreadable option is a mistake of who types it.
    fn poll_interval(&self) -> Option<Duration> {
        let from_environment = || {
            let text = key::environment(POLL_INTERVAL)?;
            interval(&text).inspect_err(|error| self.say(&format!("{POLL_INTERVAL}={text:?}: {error}"))).ok()
        };
        self.memory_poll_interval.or_else(from_environment)
    }

    fn key(&self) -> TryKey {
        let task_id = self.task_id.as_str().into();
        TryKey { task_id, map_index: self.map_index, try_number: self.try_number }.clipped().0
    }

    fn describe(&self, run: &Run, task: &TryKey) -> TaskInstance {
        let program = Path::new(&self.command[0]).file_name().unwrap_or(&self.command[0]);
        let mut described = TaskInstance::new(task.task_id.clone())
            .map_index(task.map_index)
            .try_number(task.try_number)
            .attribute(attribute::PROCESS_EXECUTABLE_NAME, program.to_string_lossy().into_owned());
        if let Some(upstream) = &self.upstream {
            let ids = upstream.split(',').filter(|id| !id.is_empty());
            described = described.upstream(ids.map(str::to_owned));
        }
        if let Some(operator) = &self.operator {
            described = described.operator(operator.clone());
        }
        if let Some(mode) = &self.execution_mode {
            described = described.execution_mode(mode.clone());
        }
        if let Ok(host) = rustix::system::uname().nodename().to_str() {
            described = described.attribute(attribute::HOSTNAME, host.to_owned());
        }
        if self.record_arguments {
            let arguments = self.command.iter().map(|word| word.to_string_lossy().into_owned().into());
            let arguments: Vec<dagtel::core::value::SmolStr> = arguments.collect();
            described = described.attribute(attribute::PROCESS_COMMAND_ARGS, arguments);
        }
        // A run of its own is linked to what is around it instead.
        match &run.outer {
            Some(outer) if !run.own => described.attribute(attribute::TRACEPARENT, outer.clone()),
            _ => described,
        }
    }

    /// Starts the command, or says by which code a shell tells that it could not.
    fn start(&self, run: &Run, task: &TryKey) -> Result<Started, (u8, std::io::Error)> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        for (name, value) in key::for_child(&run.key, Some(task), &key::environment) {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(dir) = &self.spool {
            command.env(dagtel_drain::DIR_VARIABLE, dir);
        }
        if self.log_lines.is_some() {
            output::prepare(&mut command);
        }
        self.say(&format!("trace {}", dagtel::core::id::RunIds::of(&run.key).trace_id));
        let own = self.cgroup.then(own_cgroup).flatten();
        let nursery = Nursery::new().map_err(|error| (NOT_EXECUTABLE, error))?;
        let running = nursery.start(&mut command, |command| match &own {
            Some(group) => {
                let (child, joined) = group.spawn(command)?;
                joined
                    .unwrap_or_else(|error| screen::note(&format!("dagtel: no cgroup of its own: {error}")));
                Ok(child)
            }
            None => command.spawn(),
        });
        match running {
            Ok(running) => {
                // The group that it shares with others knows at least whether memory ran out in it.
                let cgroup = own.or_else(|| Cgroup::of(running.pid()).ok());
                Ok(Started { running, cgroup })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err((NOT_FOUND, error)),
            Err(error) => Err((NOT_EXECUTABLE, error)),
        }
    }

    fn say(&self, text: &str) {
        if self.verbose {
            screen::note(&format!("dagtel: {text}"));
        }
    }
}

/// A cgroup, or a word why there is none: who asks for one wants to know.
fn own_cgroup() -> Option<Cgroup> {
    let name = format!("dagtel-exec-{}", std::process::id());
    Cgroup::create(&name, None)
        .inspect_err(|error| screen::note(&format!("dagtel: no cgroup of its own: {error}")))
        .ok()
}

/// The command as it runs.
struct Started {
    running: Running,
    cgroup: Option<Cgroup>,
}

impl Started {
    /// Follows it to its end and reports that.
    fn follow(mut self, options: &Options, mut handle: TaskHandle) -> ExitStatus {
        let tee = options.log_lines.map(|lines| Tee::start(self.running.child(), lines, handle.logger()));
        if options.track_memory {
            handle.track(self.running.pid());
        }
        let pid = self.running.pid();
        let waited = self.running.wait();
        let last_lines = tee.map(Tee::finish).unwrap_or_default();
        match waited {
            Ok((status, rusage)) => {
                let mut end =
                    ProcessEnd::new(status).with_pid(pid).with_rusage(rusage).with_last_lines(last_lines);
                if let Some(cgroup) = &self.cgroup {
                    end = end.with_cgroup(cgroup);
                }
                handle.exited(end);
                status
            }
            Err(error) => {
                handle.failed(&error);
                exit_status(NOT_EXECUTABLE)
            }
        }
    }
}

/// As of a process that ended with this code (wait(2)).
fn exit_status(code: u8) -> ExitStatus {
    ExitStatus::from_raw(i32::from(code) << 8)
}
