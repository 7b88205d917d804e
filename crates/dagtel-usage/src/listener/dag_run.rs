//! The event of a DAG run.

use std::collections::BTreeSet;

use md5::{Digest as _, Md5};

use super::{Status, is_cosmos};
use crate::json::{Dict, Value};
use crate::{allowed, metadata};

/// What is known of a DAG run that ended.
#[derive(Clone, Debug)]
pub struct DagRunFacts<'a> {
    /// The DAG. Only its hash is sent.
    pub dag_id: &'a str,
    /// The engine's own hash of the DAG's content (Airflow 2), which is sent instead of that of its id.
    pub dag_hash: Option<&'a str>,
    /// How the run ended.
    pub status: Status,
    /// The tasks of the DAG.
    pub tasks: DagTasks<'a>,
    /// The compressed metadata that was put on the DAG.
    pub metadata: Option<&'a str>,
}

/// The tasks of a DAG, as far as an event says anything of them. A mapped task counts once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DagTasks<'a> {
    /// How many there are.
    pub count: usize,
    /// How many of them are Cosmos's.
    pub cosmos: usize,
    /// Where those do their work: see [`execution_modes`].
    pub execution_modes: Vec<&'a str>,
}

impl<'a> DagTasks<'a> {
    /// From the Python module of each task's operator.
    pub fn of(modules: impl IntoIterator<Item = &'a str>) -> Self {
        let modules: Vec<&str> = modules.into_iter().collect();
        let cosmos = modules.iter().filter(|module| is_cosmos(module)).count();
        Self { count: modules.len(), cosmos, execution_modes: execution_modes(modules) }
    }
}

/// The metrics of a DAG run, in the original's order; `None` when none of its tasks is one of Cosmos.
///
/// Of the metadata only the twelve known keys are taken, so it cannot override the metrics before it, as it can in the
/// original. Metadata that cannot be read is a warning.
pub fn dag_run_metrics(run: &DagRunFacts<'_>) -> Option<Dict> {
    if run.tasks.cosmos == 0 {
        return None;
    }
    let own = [
        ("dag_hash", run.dag_hash.map_or_else(|| dag_hash(run.dag_id), str::to_owned).into()),
        ("status", run.status.as_str().into()),
        ("task_count", run.tasks.count.into()),
        ("cosmos_task_count", run.tasks.cosmos.into()),
        ("execution_modes", run.tasks.execution_modes.join("__").into()),
    ];
    let mut metrics: Dict =
        own.into_iter().map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect();
    let more = metadata::decompress_or_empty(run.metadata);
    metrics.extend(more.into_iter().filter(|(key, _)| allowed::is_metadata(key)));
    Some(metrics)
}

/// The MD5 of a DAG's id, in hexadecimal digits: by it receivers tell DAGs apart. Whoever can guess the id can
/// confirm it.
pub fn dag_hash(dag_id: &str) -> String {
    Md5::digest(dag_id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The distinct execution modes of Cosmos's operators among these modules, sorted: the third part of each, for instance
/// `local` of `cosmos.operators.local`. A module with fewer parts, at which the original stumbles, has none.
pub fn execution_modes<'a>(modules: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let modes =
        modules.into_iter().filter(|module| is_cosmos(module)).filter_map(|module| module.split('.').nth(2));
    modes.collect::<BTreeSet<_>>().into_iter().collect()
}
