//! `dagtel run`: opens and closes a DAG run from a shell.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use dagtel::core::event::{Event, Exception, Fact, RunChange, RunDetails, RunState, Truth};
use dagtel::core::id::RunIds;
use dagtel::{DagRun, Dagtel};
use serde_json::{Map, json};

use crate::exec::key::{self, Run, RunArgs};
use crate::{Outcome, terminal};

/// What is to be done with a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Open a run, and print the variables by which `dagtel exec` finds it: eval "$(dagtel run start --dag-id D)"
    Start(Start),
    /// Close a run
    Finish(Finish),
}

/// A run that begins.
#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    run: RunArgs,
    /// What kind of run: manual, scheduled, backfill
    #[arg(long, default_value = "manual")]
    run_type: String,
    /// A dependency between two tasks; may be repeated
    #[arg(long, value_name = "UPSTREAM:DOWNSTREAM", value_parser = edge)]
    edge: Vec<(String, String)>,
    /// The spool directory
    #[arg(long, env = dagtel_drain::DIR_VARIABLE)]
    spool: Option<PathBuf>,
    /// Print JSON instead of shell commands
    #[arg(long)]
    json: bool,
}

/// A run that ends.
#[derive(Debug, Args)]
pub(crate) struct Finish {
    #[command(flatten)]
    run: RunArgs,
    /// How it ended: success, failed, skipped, cancelled
    #[arg(long, value_parser = state, conflicts_with = "exit_code")]
    state: Option<RunState>,
    /// How it ended, as an exit code: 0 is success, all else failed
    #[arg(long, value_name = "CODE")]
    exit_code: Option<i32>,
    /// The spool directory
    #[arg(long, env = dagtel_drain::DIR_VARIABLE)]
    spool: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    match options {
        Options::Start(options) => start(options),
        Options::Finish(options) => finish(options),
    }
}

fn start(options: &Start) -> anyhow::Result<Outcome> {
    // A run that is opened is a new one, whatever run this shell is in already.
    let outside = |name: &str| key::environment(name).filter(|_| !matches!(name, key::RUN_ID | key::ATTEMPT));
    let run = options.run.resolve(&outside).map_err(anyhow::Error::msg)?;
    let mut described = DagRun::new(run.key.dag_id.clone(), run.key.run_id.clone())
        .namespace(run.key.namespace.clone())
        .attempt(run.key.attempt)
        .run_type(options.run_type.clone());
    for (upstream, downstream) in &options.edge {
        described = described.edge(upstream.clone(), downstream.clone());
    }
    if let Some(outer) = &run.outer {
        described = described.trigger(outer.clone());
    }
    // The variables are printed in any case: the commands of the run go on without telemetry too.
    let recorded = dagtel(options.spool.as_ref()).map(|dagtel| dagtel.start(described).hand_over());
    terminal::say(&variables(&run, options.json));
    recorded.context("the run is not recorded")?;
    Ok(Outcome::Ok)
}

fn finish(options: &Finish) -> anyhow::Result<Outcome> {
    let run = options.run.resolve(&key::environment).map_err(anyhow::Error::msg)?;
    if run.own {
        bail!("which run? Say --run-id, or set {} (dagtel run start prints it).", key::RUN_ID);
    }
    let failed = options.exit_code.is_some_and(|code| code != 0);
    let state = options.state.unwrap_or(if failed { RunState::Failed } else { RunState::Success });
    let exception = options.exit_code.filter(|code| *code != 0);
    let exception = exception.map(|code| Box::new(Exception::new(format!("exit:{code}"), "")));
    let details = RunDetails { exception, ..RunDetails::default() };
    let fact = Fact::Run { change: RunChange::Finished(state), details };
    let at = SystemTime::now().into();
    dagtel(options.spool.as_ref()).context("the end of the run is not recorded")?.record(Event {
        run: Arc::new(run.key),
        at,
        truth: Truth::Reported,
        fact,
    });
    Ok(Outcome::Ok)
}

fn dagtel(spool: Option<&PathBuf>) -> anyhow::Result<Dagtel> {
    let mut builder = Dagtel::builder("dagtel");
    if let Some(dir) = spool {
        builder = builder.spool(dir);
    }
    Ok(builder.reporter()?)
}

/// The variables of the run: as commands of a POSIX shell, or as JSON.
fn variables(run: &Run, as_json: bool) -> String {
    let variables = key::for_child(&run.key, None, &key::environment);
    if as_json {
        let mut object = Map::new();
        for (name, value) in variables {
            let value = value.map(|value| value.to_string_lossy().into_owned());
            object.insert(name.to_owned(), json!(value));
        }
        object.insert("trace_id".to_owned(), json!(RunIds::of(&run.key).trace_id.to_string()));
        return format!("{:#}\n", serde_json::Value::Object(object));
    }
    let mut out = String::new();
    for (name, value) in variables {
        let _ = match value {
            Some(value) => writeln!(out, "export {name}={}", quoted(&value.to_string_lossy())),
            None => writeln!(out, "unset {name}"),
        };
    }
    out
}

/// A word that a POSIX shell takes for exactly this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn edge(text: &str) -> Result<(String, String), String> {
    let (upstream, downstream) = text.split_once(':').ok_or("write it as UPSTREAM:DOWNSTREAM")?;
    Ok((upstream.to_owned(), downstream.to_owned()))
}

fn state(text: &str) -> Result<RunState, String> {
    let known = || RunState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    RunState::parse(text).ok_or_else(|| format!("use one of {}", known()))
}
