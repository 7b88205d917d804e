//! The project's own commands. `cargo xtask test` is the one to remember: it fetches or builds the real
//! collector, Jaeger, Prometheus, Kafka and Airflow once, then runs every test against them.

mod airflow;
mod bench;
mod cache;
mod ci;
mod collector;
mod command;
mod failure;
mod fuzz;
mod jaeger;
mod kafka;
mod parts;
mod prometheus;
mod test;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::{env, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "dagtel's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make the real collector, Jaeger, Prometheus, Kafka and Airflow available, getting each once into the cache
    Setup,
    /// Run every test, those against the real parts included
    Test {
        /// Passed on to `cargo test`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run a whole Airflow, with Cosmos and dbt, under the plugin, and check what arrives against its database
    Airflow,
    /// Build the fuzz targets and run each for a while; what they find is kept in the cache
    Fuzz {
        /// How long each runs
        #[arg(long, default_value_t = fuzz::SECONDS)]
        seconds: u64,
    },
    /// Run every benchmark beside its peer and write docs/performance.md
    Bench,
    /// Run everything that a change must pass, cheap checks first
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Setup => parts::set_up().map(|parts| parts.print()),
        Task::Test { arguments } => test::run(&arguments),
        Task::Airflow => airflow::run(),
        Task::Fuzz { seconds } => fuzz::run(seconds),
        Task::Bench => bench::run(),
        Task::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the source tree, wherever the command was started from.
fn source_root() -> PathBuf {
    // Cargo says it again at run time: two checkouts that share a build directory share this binary too.
    let xtask = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(xtask).parent().expect("xtask lies one directory below the root").to_owned()
}
