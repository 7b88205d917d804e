//! `dagtel exec` and `dagtel run` with an agent beside them: what becomes of commands as telemetry.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dagtel_proc::Cgroup;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::dagtel;
use dagtel_system_tests::wait::until;
use dagtel_testkit::{Collector, Spanned, Taken, Value, texts};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use rustix::process::{Pid, Signal, kill_process};

/// Commands that are run, so many side by side.
const COMMANDS: usize = 1_000;
const SIDE_BY_SIDE: usize = 8;

struct Rig {
    spool: tempfile::TempDir,
    collector: Collector,
    _agent: Agent,
}

impl Rig {
    fn start() -> Self {
        let (spool, collector) = (tempfile::tempdir().expect("a temporary directory"), Collector::start());
        let agent = Agent::start(spool.path(), &collector.endpoint());
        Self { spool, collector, _agent: agent }
    }

    fn dagtel(&self, arguments: &[&str]) -> Command {
        let mut command = dagtel();
        command.env("DAGTEL_SPOOL_DIR", self.spool.path()).args(arguments);
        command
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str]) -> Option<i32> {
        self.dagtel(arguments).stderr(Stdio::null()).status().expect("dagtel can be started").code()
    }

    fn wait_for_spans(&self, spans: usize) -> Taken {
        self.collector.wait_for(|taken| taken.oracle().distinct >= spans)
    }
}

fn one<'a>(taken: &'a Taken, name: &str) -> Spanned<'a> {
    let found = taken.named(name);
    assert_eq!(found.len(), 1, "spans named {name}");
    found[0]
}

fn attribute<'a>(span: Spanned<'a>, key: &str) -> Option<&'a str> {
    texts(&span.span.attributes).into_iter().find_map(|(name, value)| (name == key).then_some(value))
}

fn number(span: Spanned<'_>, key: &str) -> Option<i64> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue;
    let found = span.span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        IntValue(value) => Some(*value),
        _ => None,
    }
}

fn is_error(span: Spanned<'_>) -> bool {
    span.span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
}

#[test]
fn commands_become_spans_that_say_how_they_ended() {
    let rig = Rig::start();
    let exec = |task: &str, command: &[&str]| {
        let options =
            ["exec", "--dag-id", "ends", "--task-id", task, "--operator", "sh", "--log-lines", "2", "--"];
        rig.run(&[&options, command].concat())
    };
    assert_eq!(exec("well", &["true"]), Some(0));
    assert_eq!(exec("code", &["sh", "-c", "echo one; echo two; echo three >&2; exit 3"]), Some(3));
    assert_eq!(exec("signal", &["sh", "-c", "kill -USR1 $$"]), None);
    assert_eq!(exec("absent", &["no-such-command"]), Some(127));
    let taken = rig.wait_for_spans(8);
    let expected = [
        ("well", None, 0),
        ("code", Some("exit:3"), 3),
        ("signal", Some("signal:SIGUSR1"), 138),
        ("absent", Some("exit:127"), 127),
    ];
    for (task, error, code) in expected {
        let span = one(&taken, &format!("task_run.{task}"));
        assert_eq!((attribute(span, "error.type"), is_error(span)), (error, error.is_some()), "{task}");
        if task != "absent" {
            assert_eq!(number(span, "process.exit.code"), Some(code), "{task}");
            let used = span.span.attributes.iter().any(|attribute| attribute.key == "cpu_time_s");
            assert!(used, "{task}: the time it used is known without asking");
        }
        assert_eq!(attribute(span, "process.command_args"), None, "arguments are not recorded unless asked");
    }
    let failed = one(&taken, "task_run.code").span;
    let exception =
        texts(&failed.events.iter().find(|event| event.name == "exception").expect("why").attributes);
    let trace = exception.get("exception.stacktrace").expect("the last lines");
    // Two streams are copied by two threads, so the lines of one may overtake those of the other.
    assert_eq!(trace.lines().count(), 2, "{trace}");
    assert_eq!(taken.named("dag_run.ends").len(), 4, "each is a run of its own");
}

#[test]
fn a_thousand_commands_side_by_side_leave_a_thousand_spans_and_nothing_else() {
    let rig = Rig::start();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < COMMANDS {
                    let exec = ["exec", "--dag-id", "many", "--task-id", "short", "--", "true"];
                    assert_eq!(rig.run(&exec), Some(0));
                }
            });
        }
    });
    let taken = rig
        .collector
        .wait_for_within(Duration::from_secs(60), |taken| taken.oracle().distinct >= 2 * COMMANDS);
    let oracle = taken.oracle();
    println!("{COMMANDS} commands, {SIDE_BY_SIDE} side by side: {oracle:?}");
    assert_eq!((taken.named("task_run.short").len(), oracle.distinct), (COMMANDS, 2 * COMMANDS));
    assert_eq!(zombies(), 0);
    until("every journal to be read and removed", Duration::from_secs(15), || {
        let writers = fs::read_dir(rig.spool.path().join("journal/v1")).map_err(|e| e.to_string())?.count();
        if writers == 0 { Ok(()) } else { Err(format!("{writers} writers")) }
    });
}

/// Children of this process that nobody waited for.
fn zombies() -> usize {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("Linux lists processes in /proc").flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    let zombie = |stat: &String| {
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        let mut fields = rest.split(' ');
        fields.next() == Some("Z") && fields.next() == Some(&own)
    };
    stats.filter(zombie).count()
}

#[test]
fn a_wrapper_that_is_killed_leaves_the_command_alone_and_its_span_tells() {
    let rig = Rig::start();
    let dir = tempfile::tempdir().unwrap();
    let (ready, go, done) = (dir.path().join("ready"), dir.path().join("go"), dir.path().join("done"));
    let script = r#"echo > "$1"; while [ ! -e "$2" ]; do sleep 0.02; done; echo > "$3""#;
    let words = [&ready, &go, &done].map(|path| path.to_str().expect("a temporary path is UTF-8"));
    let exec = [
        "exec",
        "--dag-id",
        "killed",
        "--task-id",
        "lonely",
        "--track-memory",
        "--",
        "sh",
        "-c",
        script,
        "sh",
    ];
    let mut wrapper: Child = rig.dagtel(&[&exec, &words[..]].concat()).spawn().unwrap();
    wait_for_file(&ready);
    kill_process(Pid::from_child(&wrapper), Signal::KILL).unwrap();
    wrapper.wait().unwrap();
    // The command is still there, and does its work.
    fs::write(&go, "").unwrap();
    wait_for_file(&done);
    let taken = rig.wait_for_spans(2);
    let span = one(&taken, "task_run.lonely");
    assert_eq!(
        (attribute(span, "error.type"), attribute(span, "state")),
        (Some("process_lost"), Some("lost"))
    );
    assert_eq!(attribute(one(&taken, "dag_run.killed"), "state"), Some("lost"));
}

fn wait_for_file(path: &Path) {
    until("a file of the command's", Duration::from_secs(15), || {
        if path.exists() { Ok(()) } else { Err(format!("{} is not there", path.display())) }
    });
}

#[test]
fn a_shell_script_is_a_dag_run_with_links_and_memory() {
    let rig = Rig::start();
    let work = tempfile::tempdir().unwrap();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/shell/orders.sh");
    let program = dagtel().get_program().to_owned();
    let path = std::env::var("PATH").expect("there is a PATH");
    let folder = Path::new(&program).parent().expect("it is in a folder").display().to_string();
    let status = Command::new(&script)
        .arg(work.path())
        .env("PATH", format!("{folder}:{path}"))
        .env("DAGTEL_SPOOL_DIR", rig.spool.path())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read_to_string(work.path().join("sums")).unwrap().lines().count(), 7);
    let taken = rig.wait_for_spans(5);
    let run = one(&taken, "dag_run.orders_sh").span;
    assert_eq!(attribute(one(&taken, "dag_run.orders_sh"), "state"), Some("success"));
    let span = |task: &str| one(&taken, &format!("task_run.{task}"));
    for (task, upstreams) in [
        ("extract_north", vec![]),
        ("extract_south", vec![]),
        ("join", vec!["extract_north", "extract_south"]),
        ("check", vec!["join"]),
    ] {
        let found = span(task).span;
        assert_eq!((&found.trace_id, &found.parent_span_id), (&run.trace_id, &run.span_id));
        let links: Vec<_> = found.links.iter().map(|link| link.span_id.clone()).collect();
        let expected: Vec<_> = upstreams.iter().map(|upstream| span(upstream).span.span_id.clone()).collect();
        assert_eq!(links, expected, "links of {task}");
        // Such a short command may be gone before it was looked at; then nothing is said.
        let peak = number(span(task), "memory_peak_bytes");
        assert!(peak.is_none_or(|peak| peak > 100_000), "peak of {task}: {peak:?}");
    }
    let taken =
        rig.collector.wait_for(|taken| taken.value("airflow.ti.finish", &[("task_id", "check")]).is_some());
    for task in ["extract_north", "extract_south", "join", "check"] {
        let tags = [("dag_id", "orders_sh"), ("task_id", task)];
        let gauge = taken.value("airflow.task.memory.peak", &tags);
        assert_eq!(gauge, number(span(task), "memory_peak_bytes").map(Value::Int), "{task}");
        assert!(
            matches!(taken.value("airflow.task.cpu.time", &tags), Some(Value::Histogram(1, _))),
            "{task}"
        );
    }
}

#[test]
fn a_command_within_a_command_is_its_child() {
    let rig = Rig::start();
    let inner = rig.dagtel(&[]).get_program().to_str().expect("the path of the tests is UTF-8").to_owned();
    let outer =
        ["exec", "--dag-id", "nested", "--task-id", "outer", "--", &inner, "exec", "--task-id", "inner"];
    let other = ["--", &inner, "exec", "--dag-id", "other", "--task-id", "apart", "--", "true"];
    assert_eq!(rig.run(&[&outer[..], &other[..]].concat()), Some(0));
    let taken = rig.wait_for_spans(5);
    let (run, outer) = (one(&taken, "dag_run.nested").span, one(&taken, "task_run.outer").span);
    let (inner, apart) = (one(&taken, "task_run.inner").span, one(&taken, "dag_run.other").span);
    assert_eq!(outer.parent_span_id, run.span_id);
    assert_eq!((&inner.trace_id, &inner.parent_span_id), (&run.trace_id, &outer.span_id));
    assert_ne!(apart.trace_id, run.trace_id);
    assert_eq!(apart.links[0].span_id, inner.span_id, "a run of another DAG is linked to what started it");
}

#[test]
fn what_a_running_command_uses_is_told_while_it_runs() {
    let rig = Rig::start();
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let script = r#"while [ ! -e "$1" ]; do sleep 0.02; done"#;
    let exec =
        ["exec", "--dag-id", "long", "--task-id", "runs", "--track-memory", "--memory-poll-interval", "0.1"];
    let command = ["--", "sh", "-c", script, "sh", go.to_str().expect("a temporary path is UTF-8")];
    let mut wrapper = rig.dagtel(&[&exec[..], &command[..]].concat()).spawn().unwrap();
    let tags = [("dag_id", "long"), ("task_id", "runs"), ("method", "sampled_rss")];
    let usage = |taken: &Taken| taken.value("airflow.task.memory.usage", &tags);
    let taken = rig.collector.wait_for(|taken| usage(taken).is_some());
    assert!(matches!(usage(&taken), Some(Value::Int(100_000..))), "{:?}", usage(&taken));
    fs::write(&go, "").unwrap();
    assert!(wrapper.wait().unwrap().success());
}

#[test]
fn a_kill_for_want_of_memory_is_told_from_any_other() {
    let rig = Rig::start();
    let name = format!("dagtel-test-exec-{}", std::process::id());
    let group = match Cgroup::create(&name, Some(64 << 20)) {
        Ok(group) if group.oom_kills().is_some() => group,
        Ok(_) => return println!("skipped: nothing counts kills for want of memory here"),
        Err(error) => return println!("skipped: {error}"),
    };
    let exec = |task: &str, command: &[&str]| {
        let options = ["exec", "--dag-id", "oom", "--run-id", "r", "--task-id", task, "--"];
        let mut command = rig.dagtel(&[&options, command].concat());
        let (mut child, joined) = group.spawn(&mut command).expect("dagtel can be started");
        joined.expect("root may join its own group");
        child.wait().expect("it can be waited for")
    };
    let greedy = "held = [b'x' * (1 << 20) for _ in range(200)]";
    assert_eq!(exec("greedy", &["python3", "-c", greedy]).signal(), Some(9));
    assert_eq!(exec("killed", &["sh", "-c", "kill -9 $$"]).signal(), Some(9));
    let taken = rig.wait_for_spans(2);
    assert_eq!(attribute(one(&taken, "task_run.greedy"), "error.type"), Some("oom_killed"));
    assert_eq!(attribute(one(&taken, "task_run.killed"), "error.type"), Some("signal:SIGKILL"));
    let taken =
        rig.collector.wait_for(|taken| taken.value("airflow.ti.finish", &[("task_id", "killed")]).is_some());
    let kills = |task| taken.value("airflow.task.oom_kills", &[("task_id", task)]);
    assert_eq!((kills("greedy"), kills("killed")), (Some(Value::Int(1)), None));
}
