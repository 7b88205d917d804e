//! What Airflow's database has.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::{Airflow, PYTHON, source};
use crate::{parts, wait};

/// What the database has.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Rows {
    /// DAG runs.
    pub runs: Vec<RunRow>,
    /// The last try of each task instance.
    pub instances: Vec<TryRow>,
    /// Tries before the last one.
    pub history: Vec<TryRow>,
    /// Dependencies, by DAG.
    pub edges: BTreeMap<String, Vec<(String, String)>>,
}

/// A DAG run. Times are in microseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the columns have Airflow's names")]
pub struct RunRow {
    pub dag_id: String,
    pub run_id: String,
    pub state: String,
    pub clear_number: u32,
    pub queued_at: Option<u64>,
    pub start_date: Option<u64>,
    pub end_date: Option<u64>,
}

/// A try of a task instance. Times are in microseconds since 1970.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the columns have Airflow's names")]
pub struct TryRow {
    pub dag_id: String,
    pub run_id: String,
    pub task_id: String,
    pub map_index: i32,
    pub try_number: u32,
    pub state: Option<String>,
    pub start_date: Option<u64>,
    pub end_date: Option<u64>,
    pub queued_dttm: Option<u64>,
    pub scheduled_dttm: Option<u64>,
}

impl Airflow {
    /// What its database has now.
    ///
    /// # Panics
    /// When the database cannot be read.
    #[track_caller]
    pub fn rows(&self) -> Rows {
        self.read_rows(&[])
    }

    /// The rows once this run has ended. Whoever measures waits so: it takes next to no processor time.
    ///
    /// # Panics
    /// When that takes longer than `limit`, whole seconds.
    #[track_caller]
    pub fn wait_for_run(&self, dag_id: &str, run_id: &str, limit: Duration) -> Rows {
        self.read_rows(&[dag_id, run_id, &limit.as_secs().to_string()])
    }

    #[track_caller]
    fn read_rows(&self, wait_for: &[&str]) -> Rows {
        let mut python = Command::new(parts::find(&PYTHON));
        python.arg(source("tests/airflow/rows.py")).arg(self.home.join("airflow.db")).args(wait_for);
        let output = python.output().expect("Python can be started");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the database cannot be read: {complaint}");
        serde_json::from_slice(&output.stdout).expect("rows.py prints JSON")
    }

    /// The rows once each of these runs (DAG and run id) has ended as often as said.
    ///
    /// # Panics
    /// When that takes too long.
    #[track_caller]
    pub fn wait_for_runs(&self, runs: &[(&str, &str, u32)], limit: Duration) -> Rows {
        wait::until("the runs to end", limit, || {
            let rows = self.rows();
            let ended = |(dag_id, run_id, cleared): &&(&str, &str, u32)| {
                let row = rows.runs.iter().find(|row| row.dag_id == *dag_id && row.run_id == *run_id);
                row.is_some_and(|row| {
                    ["success", "failed"].contains(&&*row.state) && row.clear_number == *cleared
                })
            };
            if runs.iter().all(|run| ended(&run)) {
                return Ok(rows);
            }
            let open = rows.instances.iter().filter(|row| row.end_date.is_none());
            let open: Vec<_> =
                open.map(|row| format!("{}.{} {:?}", row.dag_id, row.task_id, row.state)).collect();
            Err(format!("not ended: {open:?}"))
        })
    }
}
