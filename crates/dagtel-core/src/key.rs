//! Who a fact is about: a DAG run, or one try of a task instance in it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::limits;

/// What names a DAG run. Trace id and the ids of all its spans are derived from it ([`crate::id`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunKey {
    /// The deployment, `default` unless the deployment has a name. Two deployments may run the same DAG.
    pub namespace: SmolStr,
    /// The DAG.
    pub dag_id: SmolStr,
    /// The run of the DAG, as the engine names it.
    pub run_id: SmolStr,
    /// 0 for the first time a run id runs, one more for each clearing of it (Airflow's `clear_number`).
    pub attempt: u32,
}

/// The namespace of a deployment that was given no name.
pub const DEFAULT_NAMESPACE: SmolStr = SmolStr::new_static("default");

/// The map index of a task instance that is not mapped (Airflow's convention).
pub const UNMAPPED: i32 = -1;

impl RunKey {
    /// The first attempt of a run in the default namespace.
    pub fn new(dag_id: impl Into<SmolStr>, run_id: impl Into<SmolStr>) -> Self {
        Self { namespace: DEFAULT_NAMESPACE, dag_id: dag_id.into(), run_id: run_id.into(), attempt: 0 }
    }

    /// The key with every part within [`limits::KEY_BYTES`], and how many parts were cut.
    ///
    /// A part that is too long keeps its beginning and ends in a digest of the whole, so that two long names that
    /// begin alike stay two keys. Ids are derived from the key after this.
    pub fn clipped(self) -> (Self, u32) {
        let mut cut = 0;
        let mut clip = |part: SmolStr| match limits::clip_key(&part) {
            Cow::Borrowed(_) => part,
            Cow::Owned(short) => {
                cut += 1;
                short.into()
            }
        };
        let key = Self {
            namespace: clip(self.namespace),
            dag_id: clip(self.dag_id),
            run_id: clip(self.run_id),
            attempt: self.attempt,
        };
        (key, cut)
    }
}

/// What names one try of a task instance within its run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TryKey {
    /// The task.
    pub task_id: SmolStr,
    /// The index of a mapped task instance, [`UNMAPPED`] for a task that is not mapped.
    pub map_index: i32,
    /// 1 for the first try. 0 only for a task instance that never ran (`upstream_failed`, skipped with its upstream).
    pub try_number: u32,
}

impl TryKey {
    /// The first try of a task that is not mapped.
    pub fn new(task_id: impl Into<SmolStr>) -> Self {
        Self { task_id: task_id.into(), map_index: UNMAPPED, try_number: 1 }
    }

    /// The key with the task id within [`limits::KEY_BYTES`], and whether it was cut. See [`RunKey::clipped`].
    pub fn clipped(mut self) -> (Self, u32) {
        if let Cow::Owned(short) = limits::clip_key(&self.task_id) {
            self.task_id = short.into();
            return (self, 1);
        }
        (self, 0)
    }
}
