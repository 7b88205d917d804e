//! A whole Airflow with Cosmos and dbt: what its database has is what Jaeger shows.

mod checks;
mod clearing;
mod deployment;
mod kills;
mod opt_outs;
mod outage;
mod own_metrics;
mod own_telemetry;
mod shown;
mod straits;

use std::fs;
use std::time::{Duration, Instant};

use dagtel_system_tests::airflow::python;
use dagtel_system_tests::parts::requested;

use self::deployment::Deployment;
use self::shown::{Shown, events, row, text};

const RUN: &str = "first";
/// Two processors run some forty tasks, each a Python process, four of which are dbt.
const RUNS_END: Duration = Duration::from_secs(240);

#[test]
fn every_task_instance_of_airflows_database_is_one_span_as_it_is_there() {
    let began = Instant::now();
    let Some(deployment) = Deployment::start("airflow", |_| Vec::new()) else { return };
    let airflow = &deployment.airflow;
    println!("Airflow is up after {:.1} s", began.elapsed().as_secs_f64());
    for dag_id in ["fails", "kinds", "dbt_dag", "dbt_task_group"] {
        airflow.trigger(dag_id, RUN);
    }
    for run_id in ["one", "two"] {
        airflow.trigger("twins", run_id);
    }
    let rows = airflow.wait_for_runs(&[("fails", RUN, 0)], RUNS_END);
    let failed = deployment.check(&rows, row(&rows, "fails", RUN), &[]);
    killed_tries_say_so(&failed);
    fs::write(airflow.home().join("mended"), "").unwrap();
    airflow.clear_failed("fails", RUN);

    let all = [
        ("kinds", RUN, 0),
        ("dbt_dag", RUN, 0),
        ("dbt_task_group", RUN, 0),
        ("twins", "one", 0),
        ("twins", "two", 0),
    ];
    let rows = airflow.wait_for_runs(&[&all[..], &[("fails", RUN, 1)]].concat(), RUNS_END);
    println!("all runs have ended after {:.1} s", began.elapsed().as_secs_f64());
    deployment.check(&rows, row(&rows, "fails", RUN), &[]);
    for (dag_id, run_id, _) in [all[1], all[2], all[3], all[4]] {
        deployment.check(&rows, row(&rows, dag_id, run_id), &[]);
    }
    let kinds = deployment.check(&rows, row(&rows, "kinds", RUN), &["task_run.inner", "by_hand"]);
    children_nest(&kinds);
    pauses_are_events(&kinds);
    processor_time_is_that_of_all_processes(&kinds);
    deployment.memory_is_known(&kinds);
    deployment.every_end_is_counted(&rows);
    deployment.components_tell_of_themselves();
    deployment.usage_events_are_those_of_the_original(0);
    println!("everything is checked after {:.1} s", began.elapsed().as_secs_f64());
}

/// The plugin's own tests, in the environment that has Airflow.
#[test]
fn the_plugins_own_tests_pass() {
    if !requested() {
        return eprintln!("skipped: the real parts are not asked for (run `cargo xtask test`)");
    }
    let output = python().args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).output();
    let output = output.expect("Python can be started");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// A task that was killed told its start only: its process is gone, whatever Airflow makes of it later.
fn killed_tries_say_so(failed: &Shown) {
    let killed = failed.span("task_run.killed");
    assert_eq!((text(killed, "state"), text(killed, "error.type")), ("failed", "process_lost"));
    let once = failed.trace.spans.iter().filter(|span| span.operation == "task_run.killed_once");
    let once: Vec<_> = once.map(|span| (text(span, "state"), text(span, "error.type"))).collect();
    assert_eq!(once, [("up_for_retry", "process_lost"), ("success", "")]);
    let broken = failed.span("task_run.breaks");
    assert_eq!(text(broken, "error.type"), "RuntimeError");
    assert!(events(broken).contains(&"exception"));
    assert_eq!(text(failed.span("task_run.after"), "state"), "upstream_failed");
}

/// What a task starts is under the task: a command by `dagtel exec`, and spans of opentelemetry-python.
fn children_nest(kinds: &Shown) {
    for (inner, outer) in [("task_run.inner", "task_run.wrapped"), ("by_hand", "task_run.traced")] {
        assert_eq!(kinds.span(inner).parent(), Some(&*kinds.span(outer).id), "{inner} is under {outer}");
    }
}

fn pauses_are_events(kinds: &Shown) {
    for task in ["task_run.waits", "task_run.looks"] {
        let events = events(kinds.span(task));
        assert!(events.contains(&"deferred") && events.contains(&"resumed"), "{task}: {events:?}");
    }
}

/// A task that gave its worker back has used what all its processes have: the first worked for 1.5 s.
fn processor_time_is_that_of_all_processes(kinds: &Shown) {
    let seconds = kinds.span("task_run.waits").tags["cpu_time_s"].as_f64().expect("a number");
    println!("waits: {seconds:.2} s of processor time");
    assert!(seconds > 1.5);
}

/// Whether the long class is asked for.
fn slow(name: &str) -> bool {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    if !slow {
        eprintln!("{name}: skipped: it takes minutes (set RUN_SLOW_TESTS=1)");
    }
    slow
}
