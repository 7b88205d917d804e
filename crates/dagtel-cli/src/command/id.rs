//! `dagtel id`: the ids of a run, and of a try in it.

use clap::Args;
use dagtel_core::id::{RunIds, executor_span_id, task_span_id, traceparent};
use dagtel_core::key::{RunKey, TryKey, UNMAPPED};
use serde_json::{Map, Value, json};

use crate::{Outcome, terminal};

/// What names the run and the try.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The deployment
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The DAG
    #[arg(long)]
    dag_id: String,
    /// The run
    #[arg(long)]
    run_id: String,
    /// How many times the run was cleared before
    #[arg(long, default_value_t = 0)]
    attempt: u32,
    /// The task; without it only the ids of the run are printed
    #[arg(long)]
    task_id: Option<String>,
    /// The index of a mapped task instance
    #[arg(long, default_value_t = UNMAPPED, allow_negative_numbers = true, requires = "task_id")]
    map_index: i32,
    /// The try, from 1; 0 for a task instance that never ran
    #[arg(long, default_value_t = 1, requires = "task_id")]
    try_number: u32,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let Options { namespace, dag_id, run_id, attempt, task_id, map_index, try_number } = options;
    let key = RunKey {
        namespace: namespace.into(),
        dag_id: dag_id.into(),
        run_id: run_id.into(),
        attempt: *attempt,
    };
    let (key, _) = key.clipped();
    let ids = RunIds::of(&key);
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("namespace", json!(namespace));
    put("dag_id", json!(dag_id));
    put("run_id", json!(run_id));
    put("attempt", json!(attempt));
    let task = task_id.as_ref().map(|task_id| {
        let task = TryKey { task_id: task_id.into(), map_index: *map_index, try_number: *try_number };
        put("task_id", json!(task_id));
        put("map_index", json!(map_index));
        put("try_number", json!(try_number));
        task.clipped().0
    });
    put("trace_id", json!(ids.trace_id.to_string()));
    put("run_span_id", json!(ids.span_id.to_string()));
    if let Some(task) = &task {
        put("task_span_id", json!(task_span_id(&key, task).to_string()));
        put("executor_span_id", json!(executor_span_id(&key, task).to_string()));
    }
    put("traceparent_run", json!(traceparent(ids.trace_id, ids.span_id)));
    if let Some(task) = &task {
        put("traceparent_task", json!(traceparent(ids.trace_id, task_span_id(&key, task))));
    }
    terminal::say(&format!("{:#}\n", Value::Object(out)));
    Outcome::Ok
}
