//! The families that agents are known to show, and a process that reports those which an agent cannot have of itself.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A family on the page of the agents that the names come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// Its name, with `_total` when it is a counter.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<&'static str>,
}

impl Published {
    /// The name of a series of the family that there always is.
    pub fn series(&self) -> String {
        let suffix = if ["histogram", "summary"].contains(&self.kind) { "_count" } else { "" };
        format!("{}{suffix}", self.name)
    }
}

/// Every published family.
///
/// # Panics
/// When the list is damaged.
pub fn published() -> impl Iterator<Item = Published> {
    include_str!("../tests/agent_families.tsv").lines().map(|line| {
        let [name, kind, labels] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Published { name, kind, labels: labels.split(',').filter(|label| !label.is_empty()).collect() }
    })
}

/// A Python process with the published writer: a component `etl` that is well, and a DAG processor that is not.
#[derive(Debug)]
pub struct PythonWriter(Child);

const SCRIPT: &str = "
import sys
from dagtel_events import Events
event = Events(sys.argv[1], 'd', 'r')
event.heartbeat('etl')
values = [dict(name=f'dag_processor_{name}', value=3) for name in ('heartbeat_dags_sent_total',
    'results_queue_depth', 'cache_hits_total', 'cache_misses_total', 'cache_size')]
other = Events(sys.argv[1], 'd', 'r')
other.write(dict(event='metrics', component='dag_processor', healthy=False, values=values))
sys.stdin.read()
";

impl PythonWriter {
    /// Starts it. It lives until this is dropped.
    ///
    /// # Panics
    /// When there is no `python3`.
    pub fn start(spool: &Path) -> Self {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python");
        let child = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(spool)
            .env("PYTHONPATH", examples)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .spawn();
        Self(child.expect("python3 is installed"))
    }
}

impl Drop for PythonWriter {
    fn drop(&mut self) {
        // It reads to the end of its input, and ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
