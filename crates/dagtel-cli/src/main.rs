//! The `dagtel` command.

mod agent;
mod command;
mod demo;
mod exec;
mod input;
mod recording;
mod seconds;
mod show;
mod terminal;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// OpenTelemetry for DAG runs: traces, metrics, and what became of them.
#[derive(Debug, Parser)]
#[command(name = "dagtel", version, after_help = EXIT_CODES)]
struct Cli<C: Subcommand> {
    #[command(subcommand)]
    command: C,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all well; 1 something could not be done or delivered; 2 wrong usage, or a recording with bad lines \
(the good lines are still told). `dagtel exec` \
ends as its command does; 127 and 126 say that there is no such command, or that it cannot be run.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a small DAG of real processes and show its trace and its metrics
    Demo(demo::Options),
    /// Tell recorded DAG runs again: same ids, recorded times
    Replay(command::replay::Options),
    /// Receive OTLP on this host and show what comes in
    View(command::view::Options),
    #[command(flatten)]
    Task(Task),
    /// Open and close a DAG run from a shell
    #[command(subcommand)]
    Run(command::run::Options),
    /// Drain spool directories and ship what is in them, for as long as it runs
    Agent(Box<agent::Options>),
    /// Say what would be sent where, and test it: connects to every destination and sends a request without data
    Doctor(Box<command::doctor::Options>),
    /// Count the series of metrics: what was folded, which label makes them many, what a configuration would leave
    Cardinality(Box<command::cardinality::Options>),
    /// Look at a spool directory, or replay what no receiver took
    Spool(command::spool::Options),
    /// See what the anonymous usage events of Cosmos say
    #[command(subcommand)]
    Usage(command::usage::Options),
    /// Read and write the compressed metadata of a DAG
    #[command(subcommand)]
    Metadata(command::metadata::Options),
    /// Print the ids of a run, and of a try in it, as JSON
    Id(command::id::Options),
    /// Print the JSON Schema of an event line
    Schema,
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// What is around every task. It is read by itself: getting all the other commands ready takes 0.1 ms.
#[derive(Debug, Subcommand)]
enum Task {
    /// Run a command as a task of a DAG run
    Exec(Box<exec::Options>),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed,
    BadInput,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == "exec") {
        return Cli::<Task>::parse().command.run();
    }
    let outcome = match Cli::<Command>::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Replay(options) => command::replay::run(&options),
        Command::View(options) => command::view::run(&options),
        Command::Task(task) => return task.run(),
        Command::Run(options) => command::run::run(&options),
        Command::Agent(options) => agent::run(&options),
        Command::Doctor(options) => command::doctor::run(&options),
        Command::Cardinality(options) => command::cardinality::run(&options),
        Command::Spool(options) => command::spool::run(&options),
        Command::Usage(options) => command::usage::run(&options),
        Command::Metadata(options) => command::metadata::run(&options),
        Command::Id(options) => Ok(command::id::run(&options)),
        Command::Schema => Ok(print_schema()),
        Command::Completions { shell } => Ok(print_completions(shell)),
    };
    match outcome {
        Ok(Outcome::Ok) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::BadInput) => ExitCode::from(2),
        Err(error) => {
            terminal::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

impl Task {
    fn run(self) -> ExitCode {
        let Self::Exec(options) = self;
        exec::run(&options)
    }
}

fn print_schema() -> Outcome {
    let schema = dagtel_core::event::line::schema();
    terminal::say(&format!("{:#}\n", schema.to_value()));
    Outcome::Ok
}

fn print_completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::<Command>::command(), "dagtel", &mut script);
    // Whoever reads the script may stop early; there is nobody to tell.
    let _ = std::io::stdout().write_all(&script);
    Outcome::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<Command>::command().debug_assert();
        Cli::<Task>::command().debug_assert();
    }
}
