//! Tries that are processes: what they used and how they ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dagtel::core::catalog::metric::Metric;
use dagtel::core::metrics::Point;
use dagtel::core::signal::Span;
use dagtel::core::value::Value;
use dagtel::{DagRun, Dagtel, ProcessEnd, TaskInstance, proc};

const MIB: i64 = 1024 * 1024;

/// A process that holds so much memory, says so, and ends when its input does.
fn holding(mib: usize) -> Child {
    let script =
        format!("import sys\nheld = b'x' * ({mib} << 20)\nprint('ready', flush=True)\nsys.stdin.read()");
    let mut command = Command::new("python3");
    command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python3 is there");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it is piped");
    BufReader::new(out).read_line(&mut line).expect("it says something");
    child
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find_map(|(name, value)| (name == key).then_some(value))
}

fn peak(span: &Span) -> i64 {
    match attribute(span, "memory_peak_bytes") {
        Some(Value::Int(bytes)) => *bytes,
        other => panic!("no peak but {other:?}"),
    }
}

#[test]
fn mapped_siblings_are_tracked_apart_and_each_tells_its_peak() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let callback = told.clone();
    let (dagtel, mut memory) = Dagtel::builder("test")
        .memory_poll_interval(Duration::from_millis(10))
        .on_max_memory_mb(move |run, task, mib| {
            callback.lock().expect("nobody panics").push((run.dag_id.to_string(), task.map_index, mib));
        })
        .in_memory();
    let run = dagtel.start(DagRun::new("shop", "1"));
    let sizes = [30, 60, 90];
    let mut running: Vec<_> = (0..)
        .zip(sizes)
        .map(|(index, mib)| {
            let child = holding(mib);
            let mut task = run.start(TaskInstance::new("load").map_index(index).execution_mode("local"));
            task.track(child.id());
            (task, child)
        })
        .collect();
    for (task, mut child) in running.drain(..) {
        drop(child.stdin.take());
        let (status, rusage) = proc::wait(child).unwrap();
        task.exited(ProcessEnd::new(status).with_rusage(rusage));
    }
    run.success();
    let spans = memory.spans();
    for (index, mib) in (0..).zip(sizes) {
        let span = spans.iter().find(|span| span.name == format!("task_run.load[{index}]")).unwrap();
        let (peak, mib) = (peak(span), i64::try_from(mib).unwrap());
        assert!((mib * MIB..(mib + 25) * MIB).contains(&peak), "load[{index}]: {peak} for {mib} MiB");
        assert_eq!(attribute(span, "process.exit.code"), Some(&Value::Int(0)));
    }
    let mut told = told.lock().unwrap().clone();
    told.sort_by_key(|(_, index, _)| *index);
    let told: Vec<_> = told.iter().map(|(dag, index, mib)| (dag.as_str(), *index, *mib > 30.0)).collect();
    assert_eq!(told, [("shop", 0, true), ("shop", 1, true), ("shop", 2, true)]);
    let metrics = memory.metrics();
    let gauge = metrics.get(Metric::TaskMemoryPeak, &["shop", "load", "vmhwm", "local"]);
    assert!(matches!(gauge, Some(Point::Last(_, bytes)) if *bytes > 30 << 20), "{gauge:?}");
    let cpu = metrics.get(Metric::TaskCpuTime, &["shop", "load", "local"]);
    assert!(matches!(cpu, Some(Point::Histogram(times)) if times.count() == 3), "{cpu:?}");
}

#[test]
fn a_try_that_ends_otherwise_still_tells_what_its_process_used() {
    let (dagtel, mut memory) = Dagtel::builder("test").in_memory();
    let run = dagtel.start(DagRun::new("shop", "1"));
    let mut child = holding(40);
    let mut task = run.start("load");
    task.track(child.id());
    task.timed_out("too slow");
    child.stdin.take().expect("it is piped").flush().unwrap();
    child.wait().unwrap();
    run.failed();
    let spans = memory.spans();
    assert!(peak(spans.iter().find(|span| span.name == "task_run.load").unwrap()) > 40 * MIB);
}

#[test]
fn how_a_process_ended_is_told() {
    let (dagtel, mut memory) = Dagtel::builder("test").in_memory();
    let run = dagtel.start(DagRun::new("shop", "1"));
    for (name, script) in [("code", "exit 3"), ("signal", "kill -9 $$")] {
        let status = Command::new("sh").args(["-c", script]).status().unwrap();
        run.start(name).exited(ProcessEnd::new(status).with_last_lines("the last line\n".to_owned()));
    }
    run.failed();
    let spans = memory.spans();
    for (name, error) in [("code", "exit:3"), ("signal", "signal:SIGKILL")] {
        let span = spans.iter().find(|span| span.name == format!("task_run.{name}")).unwrap();
        assert_eq!(attribute(span, "error.type"), Some(&Value::from(error)));
        let exception = span.events.iter().find(|event| event.name == "exception").unwrap();
        assert!(exception.attributes.contains(&("exception.stacktrace".into(), "the last line\n".into())));
        assert_eq!(attribute(span, "cpu_time_s"), None, "what was not measured is not told");
    }
    assert!(memory.metrics().get(Metric::TaskOomKills, &["shop", "signal"]).is_none());
}
