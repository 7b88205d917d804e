//! `dagtel usage`: what a usage event would say, and where it would go.

mod facts;
mod show;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use dagtel::usage::{Consent, Environment, Gateway, StandardMetrics, UsageEvent};
use dagtel_usage::json::Dict;
use dagtel_usage::limits::METADATA_JSON_BYTES;
use dagtel_usage::listener::{DAG_RUN, TASK_INSTANCE};
use dagtel_usage::{NotSent, Refusal, allowed};

use self::facts::{DagRunFile, TaskInstanceFile};
use crate::input::{self, Input};
use crate::{Outcome, terminal};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Show what would be sent where, and why not if not; sends nothing
    #[command(after_help = FILES)]
    Preview(Preview),
}

const FILES: &str = "\
The file is a JSON object. What stands before the semicolon must be in it.
  dag_run
    dag_id, status (success, failed), task_modules (the Python module of
    each task's operator);
    dag_hash, metadata (compressed, as it is on the DAG)
  task_instance
    status (success, failed), operator_name, module;
    is_cosmos_operator_subclass, invocation_mode, execution_mode,
    profile_strategy (mapping, yaml_file), profile_mapping_class, database,
    map_index, dbt_command (a list of words), install_deps, has_callback,
    duration (seconds)

For example:
  {\"dag_id\": \"sales\", \"status\": \"success\",
   \"task_modules\": [\"cosmos.operators.local\"]}";

/// Which event of what, and what the engine would be set to.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// The event
    #[arg(long, value_enum)]
    event: EventType,
    /// The facts; - for standard input
    #[arg(long)]
    file: PathBuf,
    /// The gateway that the engine is set to: https://host/path/{telemetry_version}/{event_type}?{query_string}
    #[arg(long, value_name = "TEMPLATE")]
    gateway: Option<Gateway>,
    /// Without the route to the collector
    #[arg(long)]
    no_collector: bool,
    /// The setting enable_telemetry of the engine's configuration
    #[arg(long, value_name = "VALUE")]
    enable_telemetry: Option<String>,
    /// As an engine that sends from CI as well
    #[arg(long)]
    force_in_ci: bool,
    /// The version of the product that embeds the engine
    #[arg(long, default_value = "unknown")]
    product_version: String,
    /// The version of the engine
    #[arg(long, default_value = "unknown")]
    engine_version: String,
    /// The version of the engine's runtime
    #[arg(long, default_value = "unknown")]
    runtime_version: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum EventType {
    DagRun,
    TaskInstance,
}

/// What would become of an event.
struct Shown {
    event: UsageEvent,
    /// Metrics that would be left out, because they are not on the list or not of their shape.
    removed: Vec<String>,
    refusal: Option<Refusal>,
    gateway: Option<Gateway>,
    collector: bool,
    now: SystemTime,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let Options::Preview(preview) = options;
    let text = match input::text(&preview.file, METADATA_JSON_BYTES)? {
        Input::Text(text) => text,
        Input::Bad(problem) => return Ok(preview.refuse(&problem)),
    };
    let read = match preview.event {
        EventType::DagRun => DagRunFile::metrics(&text),
        EventType::TaskInstance => TaskInstanceFile::metrics(&text),
    };
    let shown = match read {
        Err(problem) => return Ok(preview.refuse(&problem)),
        Ok(None) => None,
        Ok(Some((metrics, unknown))) => Some(preview.shown(metrics, unknown)?),
    };
    let text = if preview.json {
        show::json(shown.as_ref())
    } else {
        show::text(shown.as_ref(), &terminal::theme())
    };
    terminal::say(&text);
    Ok(Outcome::Ok)
}

impl Preview {
    fn refuse(&self, problem: &str) -> Outcome {
        let name = input::name(&self.file);
        terminal::complain(&format!(
            "{name}: {problem}; see `dagtel usage preview --help` for what it holds"
        ));
        Outcome::BadInput
    }

    /// `removed`: what did not even become a metric.
    fn shown(&self, metrics: Dict, mut removed: Vec<String>) -> Result<Shown, NotSent> {
        let versions = [&self.product_version, &self.engine_version, &self.runtime_version];
        let [product, engine, runtime] = versions.map(String::as_str);
        let event_type = match self.event {
            EventType::DagRun => DAG_RUN,
            EventType::TaskInstance => TASK_INSTANCE,
        };
        let mut event = UsageEvent::new(event_type, &StandardMetrics::new(product, engine, runtime), metrics);
        removed.extend(allowed::keep_allowed(&mut event)?);
        let consent =
            Consent { enable_telemetry: self.enable_telemetry.clone(), force_in_ci: self.force_in_ci };
        Ok(Shown {
            event,
            removed,
            refusal: consent.refusal(&Environment::process()),
            gateway: self.gateway.clone(),
            collector: !self.no_collector,
            now: SystemTime::now(),
        })
    }
}

impl Shown {
    /// Why the event would not go to the gateway.
    fn not_to_gateway(&self) -> Option<String> {
        if let Some(refusal) = self.refusal {
            return Some(sentence(&refusal.to_string()));
        }
        let Some(gateway) = &self.gateway else { return Some(sentence(&NotSent::NoGateway.to_string())) };
        dagtel_usage::url(gateway, &self.event)
            .is_none()
            .then(|| "The URL would be longer than is accepted.".to_owned())
    }

    /// Why the event would not go to the collector.
    fn not_to_collector(&self) -> Option<String> {
        let switched_off =
            || (!self.collector).then(|| "The route to the collector is switched off.".to_owned());
        self.refusal.map(|refusal| sentence(&refusal.to_string())).or_else(switched_off)
    }

    fn url(&self) -> Option<String> {
        dagtel_usage::url(self.gateway.as_ref()?, &self.event)
    }
}

/// A message as a full sentence.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
