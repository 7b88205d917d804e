//! The event of a task instance.

use std::time::Duration;

use super::{Status, is_cosmos};
use crate::allowed;
use crate::json::{Dict, Value};

/// What is known of a task instance that ended.
#[derive(Clone, Debug)]
pub struct TaskInstanceFacts<'a> {
    /// How it ended.
    pub status: Status,
    /// The class of the operator.
    pub operator_name: &'a str,
    /// The Python module of the operator.
    pub module: &'a str,
    /// Whether the operator derives from Cosmos's base class of all dbt operators.
    pub is_dbt_operator: bool,
    /// `dbt_runner`, `subprocess`, or the user's own word.
    pub invocation_mode: Option<&'a str>,
    /// Where the operator does its work, if the engine says so itself; else its module tells.
    pub execution_mode: Option<&'a str>,
    /// Where dbt's connection comes from.
    pub profile: Option<Profile<'a>>,
    /// The index of a mapped task instance; negative or none for one that is not mapped.
    pub map_index: Option<i32>,
    /// The words of the dbt command. Only dbt's own words and names of flags are sent.
    pub dbt_command: &'a [&'a str],
    /// Whether `dbt deps` runs first.
    pub install_deps: Option<bool>,
    /// Whether the operator has a callback.
    pub has_callback: bool,
    /// How long it ran.
    pub duration: Option<Duration>,
}

/// Where the connection of dbt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "Cosmos has these two ways")]
pub enum Profile<'a> {
    /// From an Airflow connection.
    Mapping {
        /// The class that maps it.
        class: Option<&'a str>,
        /// The type of database.
        database: Option<&'a str>,
    },
    /// From a `profiles.yml`.
    YamlFile {
        /// The type of database that the file names, if somebody has read it.
        database: Option<&'a str>,
    },
}

/// The metrics of a task instance, in the original's order; `None` when it is none of Cosmos.
pub fn task_instance_metrics(task: &TaskInstanceFacts<'_>) -> Option<Dict> {
    if !is_cosmos(task.module) && !task.is_dbt_operator {
        return None;
    }
    let (strategy, class, database) = match task.profile {
        Some(Profile::Mapping { class, database }) => (Some("mapping"), class, database),
        Some(Profile::YamlFile { database }) => (Some("yaml_file"), None, database),
        None => (None, None, None),
    };
    let mut metrics = Dict::new();
    let mut add = |name: &str, value: Value| metrics.insert(name.to_owned(), value);
    add("status", task.status.as_str().into());
    add("operator_name", task.operator_name.into());
    add("is_cosmos_operator_subclass", (task.is_dbt_operator && !is_cosmos(task.module)).into());
    add("invocation_mode", task.invocation_mode.into());
    add("execution_mode", task.execution_mode.or_else(|| execution_mode(task.module)).into());
    add("profile_strategy", strategy.into());
    add("profile_mapping_class", class.into());
    add("database", database.into());
    add("is_mapped_task", task.map_index.is_some_and(|index| index >= 0).into());
    if task.is_dbt_operator {
        if let Some(command) = allowed::dbt_command(task.dbt_command.iter().copied()) {
            add("dbt_command", command.into());
        }
        if let Some(install_deps) = task.install_deps {
            add("install_deps", install_deps.into());
        }
    }
    add("has_callback", (task.is_dbt_operator && task.has_callback).into());
    if let Some(duration) = task.duration {
        add("duration", duration.as_secs_f64().into());
    }
    Some(metrics)
}

/// Where an operator of this module does its work: `local` of `cosmos.operators.local`.
pub fn execution_mode(module: &str) -> Option<&str> {
    module.strip_prefix("cosmos.operators.")?.split('.').next().filter(|mode| !mode.is_empty())
}
