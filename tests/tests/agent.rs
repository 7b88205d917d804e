//! The agent: what other processes wrote is delivered, whatever dies.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dagtel::{DagRun, Dagtel, Listener as _, Severity, TaskInstance};
use dagtel_system_tests::agent::Agent;
use dagtel_testkit::{Collector, Logged, Spanned, Taken, Value};
use opentelemetry_proto::tonic::common::v1::any_value;

/// Names the scenario that this test binary plays as a child process.
const CHILD: &str = "DAGTEL_TEST_CHILD";

/// Kills of the agent in [`an_agent_that_is_killed_again_and_again_loses_nothing`].
const KILLS: usize = 200;
/// How long the last agent may take for what those that were killed left to be done.
const BACKLOG: Duration = Duration::from_secs(120);
/// Processes in [`short_lived_processes_need_nobody_to_be_there`].
const PROCESSES: usize = 200;
/// Frames that may come twice for each kill, and spans in a frame.
const FRAMES_A_KILL: usize = 4;
const FRAME: usize = 512;

#[test]
fn what_a_python_process_wrote_is_delivered_without_it() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/python/etl.py");
    for run in [&["good"][..], &["bad", "--fail"]] {
        let mut python = Command::new("python3");
        let python = python.arg(script).args(run).env("DAGTEL_SPOOL_DIR", spool.path());
        assert!(python.status().expect("python3 is there").success());
    }
    let agent = Agent::start(spool.path(), &collector.endpoint());
    let taken = collector.wait_for(|taken| taken.spans().count() == 6);
    let failed =
        taken.spans().filter(|span| span.span.status.as_ref().is_some_and(|status| status.code == 2));
    assert_eq!(failed.count(), 2, "the run and the task that failed");
    let taken = collector.wait_for(|taken| taken.logs().count() == 3);
    for line in taken.logs() {
        let record = line.record;
        let of = |span: &Spanned<'_>| {
            (&span.span.trace_id, &span.span.span_id) == (&record.trace_id, &record.span_id)
        };
        let task = taken.spans().find(of).expect("a line has the ids of its task's span");
        assert_eq!(text(task.span, "task_id"), Some("pack"));
        let failed = task.span.status.as_ref().is_some_and(|status| status.code == 2);
        let body = record.body.as_ref().and_then(|body| body.value.as_ref());
        let Some(any_value::Value::StringValue(body)) = body else { panic!("{record:?}") };
        if record.severity_text == "ERROR" {
            assert!(
                failed && body.starts_with("not packed\nTraceback") && body.ends_with("asked to fail"),
                "{body}"
            );
        } else {
            assert!(record.severity_text == "INFO" && body.starts_with("packing "), "{body}");
        }
    }
    drop(agent);
}

#[test]
fn a_killed_process_is_told_as_lost_within_five_seconds() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    let mut child = play("three_open_tries", spool.path());
    await_line(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    let lost = |taken: &Taken| {
        let lost = taken.spans().filter(|span| text(span.span, "error.type") == Some("process_lost"));
        lost.filter(|span| span.span.name.starts_with("task_run.")).count()
    };
    let taken = collector.wait_for(|taken| lost(taken) == 3);
    let seconds = killed.elapsed().as_secs_f64();
    println!("3 open tries of a killed process told as lost after {seconds:.2} s");
    assert!(seconds < 5.0, "the promise of docs and guarantees, not a measure of speed");
    let root = collector.wait_for(|taken| !taken.named("dag_run.lost").is_empty());
    let root = root.named("dag_run.lost")[0].span.span_id.clone();
    for span in taken.spans().filter(|span| span.span.name.starts_with("task_run.")) {
        assert_eq!(span.span.parent_span_id, root);
    }
}

#[test]
fn an_agent_that_is_killed_again_and_again_loses_nothing() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let began = Instant::now();
    let dagtel = Dagtel::builder("writer").spool(spool.path()).reporter().unwrap();
    let done = AtomicBool::new(false);
    let runs = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut runs = 0;
            while !done.load(Ordering::Relaxed) {
                write_run(&dagtel, runs);
                runs += 1;
                // The load, spread over the whole time: about 2,000 tries a second.
                std::thread::sleep(Duration::from_millis(5));
            }
            runs
        });
        let mut seed = 7u64;
        for _ in 0..KILLS {
            let agent = Agent::start(spool.path(), &collector.endpoint());
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The point of the kill is what is random here.
            std::thread::sleep(Duration::from_millis(5 + (seed >> 33) % 150));
            agent.kill();
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    let (tries, spans) = (runs * TASKS, runs * (TASKS + 1));
    let taken = collector.wait_for_within(BACKLOG, |taken| {
        finished(taken) == Some(tries as i64) && taken.oracle().distinct >= spans
    });
    let oracle = taken.oracle();
    println!(
        "{KILLS} kills: produced {spans} spans, delivered {} distinct, {} copies, {} other versions; ti.finish {:?} of \
         {tries}; {:.1} s",
        oracle.distinct,
        oracle.copies,
        oracle.versions,
        finished(&taken),
        began.elapsed().as_secs_f64()
    );
    assert_eq!((oracle.distinct, oracle.versions), (spans, 0));
    assert!(oracle.copies <= KILLS * FRAMES_A_KILL * FRAME);
    // Each try logged one line; no crash of a drainer makes another one of it.
    let taken = collector.wait_for_within(BACKLOG, |taken| lines(taken).len() >= tries);
    let (sent, lines) = (taken.logs().count(), lines(&taken));
    let spans: BTreeSet<_> = lines.iter().map(|(span_id, ..)| span_id).collect();
    println!("of {tries} lines, {} distinct came, {} copies", lines.len(), sent - lines.len());
    assert_eq!((lines.len(), spans.len()), (tries, tries));
    assert!(sent - lines.len() <= KILLS * FRAMES_A_KILL * FRAME);
}

/// What tells lines apart, span id, time and text: those of a request that came again are the same.
fn lines(taken: &Taken) -> BTreeSet<(Vec<u8>, u64, String)> {
    let key = |line: Logged<'_>| {
        (line.record.span_id.clone(), line.record.time_unix_nano, format!("{:?}", line.record.body))
    };
    taken.logs().map(key).collect()
}

/// Tasks of a run.
const TASKS: usize = 10;

fn write_run(dagtel: &Dagtel, number: usize) {
    let run = dagtel.start(DagRun::new("many", number.to_string()));
    for task in 0..TASKS {
        let task = run.start(TaskInstance::new("task").map_index(i32::try_from(task).unwrap_or_default()));
        task.log(Severity::Info, "doing it");
        task.success();
    }
    run.success();
}

#[test]
fn short_lived_processes_need_nobody_to_be_there() {
    let spool = tempfile::tempdir().unwrap();
    let time = |scenario| {
        let began = Instant::now();
        let mut child = play(scenario, spool.path());
        await_line(&mut child);
        assert!(child.wait().unwrap().success());
        began.elapsed()
    };
    let (mut with, mut without): (Vec<_>, Vec<_>) =
        (0..PROCESSES).map(|_| (time("short_task"), time("no_telemetry"))).unzip();
    with.sort();
    without.sort();
    let quantile =
        |times: &[Duration], share: f64| times[(PROCESSES as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{PROCESSES} processes with nobody draining: p50 {:.2} ms with telemetry, {:.2} ms without; p99 {:.2} and {:.2}",
        quantile(&with, 0.5),
        quantile(&without, 0.5),
        quantile(&with, 0.99),
        quantile(&without, 0.99)
    );
    let collector = Collector::start();
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    let taken = collector.wait_for(|taken| taken.oracle().distinct >= PROCESSES);
    assert_eq!((taken.oracle().distinct, taken.oracle().versions), (PROCESSES, 0));
}

#[test]
fn an_agent_goes_on_where_an_engine_stopped_shipping() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let engine = Dagtel::builder("engine").spool(spool.path()).endpoint(collector.endpoint());
    let (dagtel, guard) = engine.install().unwrap();
    write_run(&dagtel, 1);
    assert!(guard.shutdown().unwrap().is_complete());
    write_run(&Dagtel::builder("task").spool(spool.path()).reporter().unwrap(), 2);
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    let spans = 2 * (TASKS + 1);
    let taken = collector.wait_for(|taken| taken.oracle().distinct >= spans);
    let oracle = taken.oracle();
    assert_eq!((oracle.distinct, oracle.copies, oracle.versions), (spans, 0, 0));
}

#[test]
fn a_second_agent_stands_by_and_takes_over() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let first = Agent::start(spool.path(), &collector.endpoint());
    let second = Agent::start(spool.path(), &collector.endpoint());
    first.kill();
    let mut child = play("one_run", spool.path());
    await_line(&mut child);
    child.wait().unwrap();
    let taken = collector.wait_for(|taken| taken.spans().count() >= 2);
    assert_eq!((taken.oracle().distinct, taken.oracle().versions), (2, 0));
    let (code, took) = second.stop();
    println!("the agent ended {:.2} s after SIGTERM", took.as_secs_f64());
    assert_eq!(code, Some(0));
}

/// How many tries have finished, by the last reading of the counter.
fn finished(taken: &Taken) -> Option<i64> {
    match taken.value("airflow.ti.finish", &[("state", "success")])? {
        Value::Int(count) => Some(count),
        _ => None,
    }
}

fn text<'a>(span: &'a opentelemetry_proto::tonic::trace::v1::Span, key: &str) -> Option<&'a str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Starts this test binary as the child process of a scenario.
fn play(scenario: &str, spool: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", "as_a_child_process", "--nocapture"])
        .env(CHILD, scenario)
        .env("DAGTEL_SPOOL_DIR", spool)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a test can start itself")
}

/// Waits until the child says that it is where the scenario wants it.
fn await_line(child: &mut Child) {
    use std::io::BufRead as _;
    let out = std::io::BufReader::new(child.stdout.as_mut().expect("its output is a pipe"));
    let there = out.lines().map_while(Result::ok).any(|line| line.ends_with("child is there"));
    assert!(there, "the child ended before it was where the scenario wants it");
}

/// Not a test of its own: what [`play`] runs.
#[test]
fn as_a_child_process() {
    let Ok(scenario) = std::env::var(CHILD) else { return };
    // A journal alone, as a task process has it: the agent does the rest.
    let telemetry = scenario != "no_telemetry";
    let dagtel = if telemetry { Dagtel::builder("child").reporter().unwrap() } else { Dagtel::off() };
    match scenario.as_str() {
        "short_task" | "no_telemetry" => {
            let run = DagRun::new("short", "run");
            let task = TaskInstance::new("task").map_index(i32::try_from(std::process::id()).unwrap());
            dagtel.on_task_instance_running(&run, &task);
            dagtel.on_task_instance_success(&run, &task);
        }
        "three_open_tries" => {
            let run = dagtel.start(DagRun::new("lost", "run"));
            let tries: Vec<_> = ["a", "b", "c"].map(|task| run.start(TaskInstance::new(task))).into();
            println!("child is there");
            // Until it is killed.
            loop {
                std::thread::park();
                std::hint::black_box(&tries);
            }
        }
        _ => {
            let run = dagtel.start(DagRun::new("one", "run"));
            run.start("task").success();
            run.success();
        }
    }
    println!("child is there");
}
