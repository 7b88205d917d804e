//! How the agent ends: when it is asked to, and when it cannot begin. And what `dagtel spool` says of what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_receiver::Answer;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::dagtel;
use dagtel_system_tests::wait::until;
use dagtel_testkit::{Collector, Taken, Value};

/// Agents in [`an_agent_that_is_asked_to_end_under_load_loses_nothing`].
const ENDS: usize = 50;
/// Tasks of a run.
const TASKS: usize = 5;
/// What the end of an agent may take: its deadline of 4 s, and a last step.
const DEADLINE: Duration = Duration::from_secs(5);
/// After this long a test that waits has hung.
const HUNG: Duration = Duration::from_secs(15);

fn reporter(spool: &Path) -> Dagtel {
    Dagtel::builder("w").spool(spool).reporter().expect("the spool can be used")
}

fn write_runs(dagtel: &Dagtel, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let run = dagtel.start(DagRun::new("many", number.to_string()));
        for task in 0..TASKS {
            run.start(TaskInstance::new("task").map_index(i32::try_from(task).unwrap_or_default())).success();
        }
        run.success();
    }
}

/// Writes runs while something else is done. Returns how many, and what that returned.
fn under_load<T>(spool: &Path, work: impl FnOnce() -> T) -> (usize, T) {
    let (dagtel, done) = (reporter(spool), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut runs = 0;
            while !done.load(Ordering::Relaxed) {
                write_runs(&dagtel, runs..runs + 1);
                runs += 1;
                // The load, spread over the whole time.
                std::thread::sleep(Duration::from_millis(5));
            }
            runs
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (writer.join().expect("the writer writes"), result)
    })
}

/// Waits until a last agent has delivered everything, and says what came.
fn wait_for_all(collector: &Collector, runs: usize) -> Taken {
    let tries = Value::Int(i64::try_from(runs * TASKS).unwrap_or_default());
    let taken = collector.wait_for(|taken| {
        taken.oracle().distinct >= runs * (TASKS + 1)
            && taken.value("airflow.ti.finish", &[("state", "success")]) == Some(tries)
    });
    let oracle = taken.oracle();
    println!("{runs} runs: produced {} spans, delivered {oracle:?}", runs * (TASKS + 1));
    assert_eq!((oracle.distinct, oracle.versions), (runs * (TASKS + 1), 0));
    taken
}

#[test]
fn an_agent_that_is_asked_to_end_under_load_loses_nothing() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (runs, ends) = under_load(spool.path(), || {
        let end = || {
            let agent = Agent::start(spool.path(), &collector.endpoint());
            collector.wait_for_requests(collector.requests() + 1);
            agent.stop()
        };
        (0..ENDS).map(|_| end()).collect::<Vec<_>>()
    });
    let longest = ends.iter().map(|(_, took)| *took).max().unwrap_or_default();
    println!("{ENDS} agents ended by SIGTERM under load; the longest took {:.2} s", longest.as_secs_f64());
    assert!(ends.iter().all(|(code, _)| *code == Some(0)), "{ends:?}");
    assert!(longest < DEADLINE, "the promise of docs and guarantees, not a measure of speed");
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    wait_for_all(&collector, runs);
}

#[test]
fn an_agent_whose_collector_hangs_ends_in_time_and_loses_nothing() {
    let (spool, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (runs, (code, took)) = under_load(spool.path(), || {
        collector.hold();
        let agent = Agent::start(spool.path(), &collector.endpoint());
        collector.wait_for_requests(1);
        agent.stop()
    });
    println!("with a collector that hangs the agent ended {:.2} s after SIGTERM", took.as_secs_f64());
    assert_eq!(code, Some(0));
    assert!(took < DEADLINE, "the promise of docs and guarantees, not a measure of speed");
    collector.let_go();
    let _agent = Agent::start(spool.path(), &collector.endpoint());
    wait_for_all(&collector, runs);
}

/// Runs a command that ends by itself. One that does not is killed, and the test fails.
fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("dagtel can be started");
    let began = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        if began.elapsed() > HUNG {
            // An error says that it has ended after all.
            let _ = child.kill();
            panic!("{command:?} runs on: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("its output can be read")
}

/// What is in a directory: files with their bytes, links and directories without.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut tree = BTreeMap::new();
    for path in fs::read_dir(dir).expect("it can be read").flatten().map(|entry| entry.path()) {
        let kind = path.symlink_metadata().expect("it is there").file_type();
        if kind.is_dir() {
            tree.extend(self::tree(&path));
        }
        tree.insert(path.clone(), kind.is_file().then(|| fs::read(&path).expect("it can be read")));
    }
    tree
}

#[test]
fn an_agent_that_cannot_begin_says_what_and_how_to_mend_it() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    fs::write(path("file"), "mine").unwrap();
    fs::create_dir_all(path("newer/journal/v2")).unwrap();
    fs::write(path("newer/journal/v2/segment"), "of the future").unwrap();
    fs::create_dir_all(path("elsewhere")).unwrap();
    fs::create_dir_all(path("linked")).unwrap();
    std::os::unix::fs::symlink(path("elsewhere"), path("linked/journal")).unwrap();
    fs::create_dir_all(path("good")).unwrap();
    let before = tree(place.path());
    let spool = |name: &str| vec!["--spool".to_owned(), path(name)];
    let with = |option: &str, value: &str| [spool("good"), vec![option.into(), value.into()]].concat();
    // The arguments, what is named, how to mend it, and the exit code.
    let rows = [
        (spool("file"), path("file"), "name another place", 1),
        (spool("file/below"), path("file/below"), "check the path", 1),
        (spool("newer"), path("newer/journal"), "use the newer program", 1),
        (spool("linked"), path("linked/journal"), "name the directory it points to", 1),
        (with("--endpoint", "nonsense"), "nonsense".into(), "like http://127.0.0.1:4317", 2),
        (with("--endpoint", "https://c:4317x"), "https://c:4317x".into(), "like http", 2),
        (with("--protocol", "http/json"), "http/json".into(), "use grpc or http/protobuf", 2),
        (Vec::new(), "no spool directory".into(), "--spool", 1),
    ];
    for (arguments, named, mend, code) in rows {
        let mut command = dagtel();
        for variable in ["HOME", "XDG_STATE_HOME", "DAGTEL_SPOOL_DIR", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            command.env_remove(variable);
        }
        let out = output(command.arg("agent").args(&arguments));
        let said = String::from_utf8_lossy(&out.stderr);
        println!("agent {} -> {:?}, {said}", arguments.join(" "), out.status.code());
        // clap says below it how to get help.
        let line = said.lines().next().unwrap_or_default();
        assert!(line.starts_with("error:") && line.contains(&named) && line.contains(mend), "{said}");
        let more = said.lines().skip(1).filter(|line| !line.is_empty());
        assert!(more.clone().count() == 0 || code == 2 && more.clone().count() == 1, "{said}");
        assert_eq!((out.status.code(), out.stdout.len()), (Some(code), 0));
    }
    assert_eq!(tree(place.path()), before, "nothing was made, changed or deleted");
}

/// Runs `dagtel spool` on a directory. Returns its exit code and what it printed.
fn spool(action: &[&str], dir: &Path) -> (Option<i32>, String) {
    let out = output(dagtel().arg("spool").args(action).arg(dir));
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A number that `dagtel spool check` tells of one of the spools.
fn told(dir: &Path, name: &str, what: &str) -> u64 {
    let lines = spool(&["check", "--json"], dir).1;
    let lines =
        lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"));
    let line = lines.into_iter().find(|line| line["spool"] == name);
    line.and_then(|line| line[what].as_u64()).unwrap_or_default()
}

#[test]
fn a_spool_in_use_can_be_looked_at() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (dir, _agent) = (dir.path(), Agent::start(dir.path(), &collector.endpoint()));
    let (runs, looks) = under_load(dir, || {
        collector.wait_for_requests(1);
        (0..10).map(|_| (spool(&["check"], dir), spool(&["inspect"], dir))).collect::<Vec<_>>()
    });
    for ((checked, report), (inspected, listing)) in &looks {
        assert_eq!((*checked, *inspected), (Some(0), Some(0)), "{report}{listing}");
        assert!(report.lines().all(|line| line.contains(" 0 damaged places")), "{report}");
        assert!(
            listing.lines().any(|line| line.starts_with("journal") && line.contains("writing")),
            "{listing}"
        );
    }
    let ((_, report), (_, listing)) = &looks[9];
    println!("{report}{listing}");
    wait_for_all(&collector, runs);
}

#[test]
fn a_damaged_record_is_told_and_costs_only_itself() {
    const RUNS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write_runs(&reporter(dir), 0..RUNS);
    let is_segment = |path: &Path, file: &Option<Vec<u8>>| {
        file.as_ref().is_some_and(|bytes| bytes.starts_with(b"SPOOLSEG"))
            && path.starts_with(dir.join("journal/v1"))
    };
    let segments: Vec<_> = tree(dir).into_iter().filter(|(path, file)| is_segment(path, file)).collect();
    let [(segment, Some(bytes))] = &segments[..] else { panic!("{:?}", tree(dir).keys()) };
    let records = told(dir, "journal", "records");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    fs::write(segment, &damaged).unwrap();
    let before = tree(dir);
    let (code, report) = spool(&["check"], dir);
    println!("{report}");
    assert_eq!(code, Some(1));
    assert!(
        report.contains("1 damaged places") && report.contains(&segment.display().to_string()),
        "{report}"
    );
    assert_eq!((told(dir, "journal", "damaged"), told(dir, "journal", "records")), (1, records - 1));
    let (code, listing) = spool(&["inspect"], dir);
    assert_eq!((code, listing.lines().count()), (Some(0), 1), "{listing}");
    assert_eq!(tree(dir), before, "looking changes nothing");
    let collector = Collector::start();
    let _agent = Agent::start(dir, &collector.endpoint());
    let others = (RUNS - 1) * (TASKS + 1);
    let taken = collector.wait_for(|taken| taken.oracle().distinct >= others);
    println!("{records} records, one damaged: {:?} of {} spans", taken.oracle(), RUNS * (TASKS + 1));
    assert_eq!((taken.oracle().copies, taken.oracle().versions), (0, 0));
}

#[test]
fn what_a_collector_refused_is_replayed_once() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let dir = dir.path();
    write_runs(&reporter(dir), 0..1);
    assert_eq!(spool(&["replay"], dir).0, Some(0), "there is nothing to replay");
    collector.answer_traces([Answer::Refuse { message: "not today".into() }]);
    let agent = Agent::start(dir, &collector.endpoint());
    until("a dead letter", HUNG, || match told(dir, "dead", "records") {
        1 => Ok(()),
        other => Err(format!("{other} dead letters")),
    });
    let refused = told(dir, "dead", "items");
    assert_eq!(agent.stop().0, Some(0));
    let (code, said) = spool(&["replay"], dir);
    println!("{said}");
    assert_eq!((code, said), (Some(0), format!("1 requests with {refused} items are back in the outbox\n")));
    let (code, said) = spool(&["replay"], dir);
    assert_eq!((code, &*said), (Some(0), "0 requests with 0 items are back in the outbox\n"));
    let _agent = Agent::start(dir, &collector.endpoint());
    let taken = collector.wait_for(|taken| taken.oracle().distinct == TASKS + 1);
    assert_eq!(taken.oracle(), dagtel_testkit::Oracle::each_once(TASKS + 1));
}

#[test]
fn what_was_replayed_is_not_replayed_again_while_the_agent_runs() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let dir = dir.path();
    write_runs(&reporter(dir), 0..1);
    collector.answer_traces([Answer::Refuse { message: "not today".into() }]);
    let _agent = Agent::start(dir, &collector.endpoint());
    collector.wait_for_requests(1);
    until(
        "a dead letter",
        HUNG,
        || if told(dir, "dead", "records") == 1 { Ok(()) } else { Err("none".into()) },
    );
    assert!(spool(&["replay"], dir).1.starts_with("1 requests"));
    assert!(spool(&["replay"], dir).1.starts_with("0 requests"));
}
