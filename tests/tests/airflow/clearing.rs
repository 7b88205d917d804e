//! Tasks of a run that is on are cleared: the rows of before are one attempt, those of after another.

use std::fs;
use std::time::Duration;

use dagtel_system_tests::airflow::{Airflow, Rows, TryRow};
use dagtel_system_tests::wait;

use crate::deployment::Deployment;
use crate::shown::{Attempt, row};
use crate::{RUNS_END, slow};

const DAG: &str = "held";
const RUN: &str = "cleared";

#[test]
fn clearing_tasks_of_a_run_that_is_on_ends_an_attempt_and_begins_another() {
    if !slow("clearing_tasks_of_a_run_that_is_on_ends_an_attempt_and_begins_another") {
        return;
    }
    let Some(deployment) = Deployment::start("airflow_clearing", |_| Vec::new()) else { return };
    let airflow = &deployment.airflow;
    airflow.trigger(DAG, RUN);
    let before =
        wait_for(airflow, &[("first", 1, "success"), ("beside", 1, "success"), ("holds", 1, "running")]);
    // One that has ended and one that runs: Airflow kills the latter.
    airflow.clear_tasks(DAG, RUN, &["beside", "holds"]);
    wait_for(airflow, &[("beside", 2, "success"), ("holds", 2, "running")]);
    fs::write(airflow.home().join("released"), "").unwrap();
    let rows = airflow.wait_for_runs(&[(DAG, RUN, 1)], RUNS_END);
    let last = row(&rows, DAG, RUN);
    assert_eq!(last.state, "success");
    let first = Attempt::that_was_cleared(&rows, row(&before, DAG, RUN), last);
    let names = |attempt: &Attempt| -> Vec<String> {
        attempt.tries.keys().map(|key| format!("{} try {}", key.task_id, key.try_number)).collect()
    };
    let shown = deployment.check_attempt(first, &[]);
    assert_eq!(names(&shown.attempt), ["beside try 1", "first try 1", "holds try 1"]);
    let shown = deployment.check_attempt(Attempt::of(&rows, last), &[]);
    assert_eq!(names(&shown.attempt), ["beside try 2", "holds try 2", "last try 1"]);
}

/// The rows once these tasks have this try number and this state.
fn wait_for(airflow: &Airflow, tasks: &[(&str, u32, &str)]) -> Rows {
    wait::until("the tasks to get so far", Duration::from_secs(120), || {
        let rows = airflow.rows();
        let is = |row: &TryRow, (task_id, try_number, state): &(&str, u32, &str)| {
            row.task_id == *task_id && row.try_number == *try_number && row.state.as_deref() == Some(state)
        };
        if tasks.iter().all(|task| rows.instances.iter().any(|row| is(row, task))) {
            return Ok(rows);
        }
        let now = rows.instances.iter().map(|row| (&row.task_id, row.try_number, &row.state));
        Err(format!("{:?}", now.collect::<Vec<_>>()))
    })
}
