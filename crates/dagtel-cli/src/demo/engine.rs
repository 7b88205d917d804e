//! A DAG engine in miniature: starts what is ready, retries what failed, skips what follows a skip. All that it does
//! for telemetry is to say so to dagtel.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use dagtel::{DagRun, Dagtel, Exception, RunHandle, TaskInstance};

use super::dag::{Dag, Ended, Instance, Work};

/// Processes at one time.
const SLOTS: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Success,
    Skipped,
    Failed,
}

/// Runs the DAG to its end. Returns the run's trace id.
pub(super) fn execute(dagtel: &Dagtel, run: DagRun, dag: &Dag) -> Option<String> {
    let run = dagtel.start(run);
    let mut states = vec![State::Waiting; dag.instances.len()];
    thread::scope(|scope| {
        let (ended, endings) = mpsc::channel();
        loop {
            settle(&run, dag, &mut states);
            let running = states.iter().filter(|state| **state == State::Running).count();
            let ready: Vec<_> = (0..states.len()).filter(|i| is_ready(dag, &states, *i)).collect();
            if running == 0 && ready.is_empty() {
                break;
            }
            for index in ready.into_iter().take(SLOTS - running) {
                states[index] = State::Running;
                let (run, ended, instance) = (&run, ended.clone(), &dag.instances[index]);
                run.queued(&describe(instance, 1));
                scope.spawn(move || {
                    // The engine waits for as many endings as it started.
                    let _ = ended.send((index, work(run, instance)));
                });
            }
            if let Ok((index, state)) = endings.recv() {
                states[index] = state;
            }
        }
    });
    if states.contains(&State::Failed) {
        run.failed()
    } else {
        run.success()
    }
    run.traceparent().and_then(|header| header.split('-').nth(1).map(str::to_owned))
}

fn describe(instance: &Instance, try_number: u32) -> TaskInstance {
    let operator =
        if matches!(instance.work, Work::Shell { .. }) { "ShellOperator" } else { "BranchOperator" };
    let task = TaskInstance::new(instance.task_id)
        .try_number(try_number)
        .upstream(instance.upstream.iter().copied())
        .operator(operator)
        .execution_mode("local")
        .queue("default");
    match instance.map_index {
        Some(index) => task.map_index(index),
        None => task,
    }
}

/// Runs the tries of one instance until one does not fail, or there are no more.
fn work(run: &RunHandle, instance: &Instance) -> State {
    for try_number in 1..=instance.tries {
        let task = run.start(describe(instance, try_number));
        match perform(&instance.work) {
            Ended::Success => {
                task.success();
                return State::Success;
            }
            Ended::Skipped => {
                task.skipped();
                return State::Skipped;
            }
            Ended::Failed(error) if try_number < instance.tries => task.retry(error),
            Ended::Failed(error) => task.failed(error),
        }
    }
    State::Failed
}

fn perform(work: &Work) -> Ended {
    match work {
        Work::SkipUnless { variable } if std::env::var_os(variable).is_none() => Ended::Skipped,
        Work::SkipUnless { .. } => Ended::Success,
        Work::Shell { script, arguments, folder } => shell(script, arguments, folder),
    }
}

fn shell(script: &str, arguments: &[String], folder: &std::path::Path) -> Ended {
    let output = Command::new("sh")
        .args(["-e", "-c", script, "sh"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Ended::Success,
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let message = stderr.trim().lines().last().unwrap_or("the command said nothing").to_owned();
            let kind = match (output.status.code(), output.status.signal()) {
                (Some(code), _) => format!("exit:{code}"),
                (None, Some(signal)) => format!("signal:{signal}"),
                (None, None) => "exit".into(),
            };
            Ended::Failed(Exception::new(kind, message))
        }
        Err(error) => Ended::Failed(Exception::from(&error)),
    }
}

/// Whether everything before an instance succeeded.
fn is_ready(dag: &Dag, states: &[State], index: usize) -> bool {
    states[index] == State::Waiting && upstream(dag, states, index).all(|state| state == State::Success)
}

fn upstream(dag: &Dag, states: &[State], index: usize) -> impl Iterator<Item = State> {
    let wanted = dag.instances[index].upstream;
    dag.instances
        .iter()
        .zip(states)
        .filter(|(instance, _)| wanted.contains(&instance.task_id))
        .map(|(_, state)| *state)
}

/// Settles what will never run: after a skip it is skipped, after a failure it has a failed upstream.
fn settle(run: &RunHandle, dag: &Dag, states: &mut [State]) {
    for index in 0..states.len() {
        if states[index] != State::Waiting {
            continue;
        }
        let counts: HashMap<bool, usize> = upstream(dag, states, index)
            .filter(|state| matches!(state, State::Failed | State::Skipped))
            .fold(HashMap::new(), |mut counts, state| {
                *counts.entry(state == State::Failed).or_default() += 1;
                counts
            });
        if counts.contains_key(&true) {
            run.upstream_failed(describe(&dag.instances[index], 0));
            states[index] = State::Failed;
        } else if counts.contains_key(&false) {
            run.skip(describe(&dag.instances[index], 0));
            states[index] = State::Skipped;
        }
    }
}
