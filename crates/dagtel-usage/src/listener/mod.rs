//! From what a listener is told about a run or a task instance that ended to the metrics of its event.
//!
//! Plain data in, ordered metrics out; `None` for what has nothing to do with Cosmos.

mod dag_run;
mod task_instance;

pub use dag_run::{DagRunFacts, DagTasks, dag_hash, dag_run_metrics, execution_modes};
pub use task_instance::{Profile, TaskInstanceFacts, execution_mode, task_instance_metrics};

/// The type of the event of a DAG run.
pub const DAG_RUN: &str = "dag_run";
/// The type of the event of a task instance.
pub const TASK_INSTANCE: &str = "task_instance";

/// How a run or a task instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is an event for these two and no other")]
pub enum Status {
    /// `success`
    Success,
    /// `failed`, also when another try follows.
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

/// Whether an operator of this module is one of Cosmos.
pub fn is_cosmos(module: &str) -> bool {
    module.starts_with("cosmos.")
}
