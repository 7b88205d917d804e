//! The file with the facts of an event.

use std::time::Duration;

use dagtel_usage::json::Dict;
use dagtel_usage::listener::{
    DagRunFacts, DagTasks, Profile, Status, TaskInstanceFacts, dag_run_metrics, is_cosmos,
    task_instance_metrics,
};
use dagtel_usage::metadata;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The metrics, and names of facts that did not become one; `None` where Cosmos is not concerned.
type Metrics = Option<(Dict, Vec<String>)>;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusWord {
    Success,
    Failed,
}

impl From<StatusWord> for Status {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Success => Self::Success,
            StatusWord::Failed => Self::Failed,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DagRunFile {
    dag_id: String,
    status: StatusWord,
    task_modules: Vec<String>,
    dag_hash: Option<String>,
    metadata: Option<String>,
}

impl DagRunFile {
    /// Reads the file and makes the metrics.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn metrics(text: &str) -> Result<Metrics, String> {
        let file: Self = parse(text)?;
        let more = match &file.metadata {
            Some(compressed) => {
                metadata::decompress(compressed).map_err(|error| format!("metadata: {error}"))?
            }
            None => Dict::new(),
        };
        let metrics = dag_run_metrics(&DagRunFacts {
            dag_id: &file.dag_id,
            dag_hash: file.dag_hash.as_deref(),
            status: file.status.into(),
            tasks: DagTasks::of(file.task_modules.iter().map(String::as_str)),
            metadata: file.metadata.as_deref(),
        });
        Ok(metrics.map(|metrics| {
            // A key of the metadata cannot override a metric of the run either.
            let left_out = more.iter().filter(|(key, value)| metrics.get(*key) != Some(*value));
            let removed = left_out.map(|(key, _)| key.clone()).collect();
            (metrics, removed)
        }))
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    Mapping,
    YamlFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskInstanceFile {
    status: StatusWord,
    operator_name: String,
    module: String,
    #[serde(default)]
    is_cosmos_operator_subclass: bool,
    invocation_mode: Option<String>,
    execution_mode: Option<String>,
    profile_strategy: Option<Strategy>,
    profile_mapping_class: Option<String>,
    database: Option<String>,
    map_index: Option<i32>,
    #[serde(default)]
    dbt_command: Vec<String>,
    install_deps: Option<bool>,
    #[serde(default)]
    has_callback: bool,
    duration: Option<f64>,
}

impl TaskInstanceFile {
    /// Reads the file and makes the metrics.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn metrics(text: &str) -> Result<Metrics, String> {
        let file: Self = parse(text)?;
        let duration = file.duration.map(Duration::try_from_secs_f64).transpose();
        let duration = duration.map_err(|_| "duration: it is no number of seconds from 0".to_owned())?;
        let command: Vec<&str> = file.dbt_command.iter().map(String::as_str).collect();
        let metrics = task_instance_metrics(&TaskInstanceFacts {
            status: file.status.into(),
            operator_name: &file.operator_name,
            module: &file.module,
            is_dbt_operator: is_cosmos(&file.module) || file.is_cosmos_operator_subclass,
            invocation_mode: file.invocation_mode.as_deref(),
            execution_mode: file.execution_mode.as_deref(),
            profile: file.profile(),
            map_index: file.map_index,
            dbt_command: &command,
            install_deps: file.install_deps,
            has_callback: file.has_callback,
            duration,
        });
        Ok(metrics.map(|metrics| {
            let no_command = !file.dbt_command.is_empty() && !metrics.contains_key("dbt_command");
            (metrics, no_command.then(|| "dbt_command".to_owned()).into_iter().collect())
        }))
    }

    fn profile(&self) -> Option<Profile<'_>> {
        let database = self.database.as_deref();
        Some(match self.profile_strategy? {
            Strategy::Mapping => Profile::Mapping { class: self.profile_mapping_class.as_deref(), database },
            Strategy::YamlFile => Profile::YamlFile { database },
        })
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
