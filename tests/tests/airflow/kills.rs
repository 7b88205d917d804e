//! Whatever is killed with SIGKILL while Airflow runs, what its database has in the end is what Jaeger shows.

use std::fs;
use std::time::{Duration, Instant};

use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::airflow::Airflow;
use dagtel_system_tests::wait;

use crate::deployment::{Deployment, Variable};
use crate::shown::row;
use crate::{RUN, RUNS_END, slow};

/// A scheduler that comes back looks soon for what the dead one left.
const LOOK_SOON: [(&str, &str); 4] = [
    ("AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL", "5"),
    ("AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD", "5"),
    ("AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC", "1"),
    ("AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT", "20"),
];

#[test]
fn whatever_is_killed_every_row_is_one_span() {
    if !slow("whatever_is_killed_every_row_is_one_span") {
        return;
    }
    let variables = LOOK_SOON.map(|(name, value)| -> Variable { (name, value.to_owned()) });
    let Some(mut deployment) = Deployment::start("airflow_kills", |_| variables.into()) else { return };
    let runs: Vec<String> = (0..4).map(|number| format!("run_{number}")).collect();
    for run_id in &runs {
        deployment.airflow.trigger("twins", run_id);
    }
    deployment.airflow.trigger("fails", RUN);
    wait_for_running(&deployment.airflow, 1);
    deployment.agent.take().into_iter().for_each(Agent::kill);
    kill_a_task(&deployment);
    deployment.start_agent();
    wait_for_running(&deployment.airflow, 1);
    deployment.stack.collector.kill();
    deployment.airflow.scheduler.kill();
    deployment.stack.collector.start();
    deployment.airflow.scheduler.start();
    println!("killed: an agent, a task, the collector and the scheduler");
    let began = Instant::now();
    let ends: Vec<_> =
        runs.iter().map(|run_id| ("twins", run_id.as_str(), 0)).chain([("fails", RUN, 0)]).collect();
    let rows = deployment.airflow.wait_for_runs(&ends, RUNS_END);
    println!("all runs have ended {:.1} s later", began.elapsed().as_secs_f64());
    for (dag_id, run_id, _) in &ends {
        deployment.check(&rows, row(&rows, dag_id, run_id), &[]);
    }
}

fn wait_for_running(airflow: &Airflow, tasks: usize) {
    wait::until("running tasks", Duration::from_secs(60), || {
        let rows = airflow.rows();
        let running = rows.instances.iter().filter(|row| row.state.as_deref() == Some("running")).count();
        if running >= tasks { Ok(()) } else { Err(format!("{running} tasks are running")) }
    });
}

/// Kills the process of any task that runs now: one that holds a file of the inbox, whose name has its id.
fn kill_a_task(deployment: &Deployment) {
    let is_task = |pid: &str| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|name| name.starts_with(b"airflow worker -- "))
    };
    let killed = wait::until("a task to kill", Duration::from_secs(60), || {
        let files = fs::read_dir(deployment.inbox()).map_err(|error| error.to_string())?;
        let names = files.flatten().filter_map(|file| file.file_name().into_string().ok());
        let mut pids = names.filter_map(|name| Some(name.split('-').nth(1)?.to_owned()));
        let pid = pids.find(|pid| is_task(pid)).ok_or("no task runs")?;
        let status = std::process::Command::new("kill").args(["-9", &pid]).status();
        if status.is_ok_and(|status| status.success()) { Ok(pid) } else { Err(format!("{pid} is gone")) }
    });
    println!("killed the task's process {killed}");
}
