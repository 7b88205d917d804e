//! A DAG, as the demo's engine runs it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dagtel::Exception;

/// A DAG: its task instances, in an order in which none comes before its upstream.
#[derive(Debug)]
pub(super) struct Dag {
    pub(super) instances: Vec<Instance>,
}

/// One task instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) task_id: &'static str,
    pub(super) map_index: Option<i32>,
    pub(super) upstream: &'static [&'static str],
    /// Tries that it may have.
    pub(super) tries: u32,
    pub(super) work: Work,
}

/// What a task instance does.
#[derive(Debug)]
pub(super) enum Work {
    /// A shell command in a folder, told by `$1`, `$2`, … what to work on.
    Shell { script: &'static str, arguments: Vec<String>, folder: PathBuf },
    /// Nothing, when this variable is not set: there is nowhere to publish to.
    SkipUnless { variable: &'static str },
}

/// How a try ended.
#[derive(Debug)]
pub(super) enum Ended {
    Success,
    Skipped,
    Failed(Exception),
}

impl Dag {
    /// Each dependency between tasks, once.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let edges: BTreeSet<_> = self
            .instances
            .iter()
            .flat_map(|instance| instance.upstream.iter().map(|upstream| (*upstream, instance.task_id)))
            .collect();
        edges.into_iter()
    }
}
