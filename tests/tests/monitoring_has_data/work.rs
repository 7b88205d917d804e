//! The DAGs that are run, the engine that reports itself, and the faults.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dagtel::metrics::{Counter, DurationGauge, Gauge, Histogram, UpDownCounter};
use dagtel::{DagRun, Dagtel, Guard, RunHandle, TaskHandle, TaskInstance};
use dagtel_proc::Cgroup;
use dagtel_system_tests::Stack;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::{dagtel, fixture, run};
use dagtel_system_tests::families::PythonWriter;
use opentelemetry_http::HttpClient as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::engine_loop;

/// The DAG whose dashboards are looked at, and its task.
pub(crate) const DAG: &str = "nightly";
pub(crate) const TASK: &str = "load";
/// More pools than a metric has room for.
const POOLS: usize = 2_010;
const MINUTE: Duration = Duration::from_secs(60);

/// What goes on until it is dropped.
pub(crate) struct Work {
    // In this order: who reports ends before who is reported to.
    _open: (TaskHandle, RunHandle, Dagtel),
    running: Child,
    _python: PythonWriter,
    stop: Arc<AtomicBool>,
    scheduler: Option<JoinHandle<()>>,
    _engine: (Dagtel, Guard),
    _agent: Agent,
}

impl Work {
    /// Runs everything that ends, and starts what goes on.
    pub(crate) fn start(stack: &Stack) -> Self {
        let spool = stack.directory().join("spool");
        let (agent, page) = Agent::start_serving_at(&spool, &stack.otlp_grpc(), stack.agent_port());
        let program = |arguments: &[&str]| {
            let mut command = dagtel();
            command
                .env("DAGTEL_SPOOL_DIR", &spool)
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        for recording in ["shop_dbt", "mixed_etl"] {
            run(&["replay", &fixture(&format!("{recording}.jsonl")), "--endpoint", &stack.otlp_grpc()]);
        }
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        run(&["demo", "--endpoint", &stack.otlp_grpc(), "--dir", sources]);
        let exec =
            ["exec", "--dag-id", DAG, "--task-id", TASK, "--operator", "sh", "--execution-mode", "local"];
        let commands: [(&str, &[&str]); 2] = [("true", &["true"]), ("false", &["false"])];
        for (run_id, command) in commands {
            let options = ["--run-id", run_id, "--track-memory", "--"];
            program(&[&exec, &options[..], command].concat()).status().unwrap();
        }
        out_of_memory(&mut program(
            &[&exec, &["--run-id", "oom", "--track-memory", "--", "python3", "-c", GREEDY][..]].concat(),
        ));
        let options =
            ["--run-id", "long", "--track-memory", "--memory-poll-interval", "0.2", "--", "sleep", "600"];
        let running = program(&[&exec, &options[..]].concat()).spawn().unwrap();
        let open = schedule(&spool);
        faults(page, &spool);
        let engine = engine(stack);
        let stop = Arc::new(AtomicBool::new(false));
        let scheduler = std::thread::spawn({
            let (stop, dagtel) = (stop.clone(), engine.0.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    engine_loop::run(&dagtel).unwrap();
                }
            }
        });
        Self {
            _open: open,
            running,
            _python: PythonWriter::start(&spool),
            stop,
            scheduler: Some(scheduler),
            _engine: engine,
            _agent: agent,
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(scheduler) = self.scheduler.take() {
            // A panic was printed by the panic hook.
            let _ = scheduler.join();
        }
        // `dagtel exec` passes this signal on to its command.
        let _ = kill_process(Pid::from_child(&self.running), Signal::TERM);
        let _ = self.running.wait();
    }
}

const GREEDY: &str = "held = [b'x' * (1 << 20) for _ in range(200)]";

/// Runs a command in a cgroup that has less memory than it takes, so that the kernel kills it.
fn out_of_memory(command: &mut Command) {
    let name = format!("dagtel-test-monitoring-{}", std::process::id());
    let group = Cgroup::create(&name, Some(64 << 20)).expect("root may make cgroups");
    let (mut child, joined) = group.spawn(command).expect("dagtel can be started");
    joined.expect("root may join its own group");
    child.wait().unwrap();
}

/// Scheduled runs as an engine with a scheduler tells them: late, with a queue and a retry. One goes on.
fn schedule(spool: &Path) -> (TaskHandle, RunHandle, Dagtel) {
    let dagtel = Dagtel::builder("scheduler").spool(spool).reporter().unwrap();
    let task = || TaskInstance::new(TASK).operator("sh").queue("fast").execution_mode("local");
    let begin = |run_id: &'static str| {
        let due = SystemTime::now() - MINUTE;
        let run = DagRun::new(DAG, run_id).run_type("scheduled").data_interval(due - MINUTE, due);
        let run = dagtel.start(run);
        run.scheduled(&task());
        run.queued(&task());
        run
    };
    let run = begin("first");
    run.start(task()).retry("the warehouse is closed");
    run.start(task().try_number(2)).success();
    run.success();
    let run = begin("second");
    run.start(task()).failed("the warehouse burnt down");
    run.failed();
    let run = begin("third");
    let open = run.start(task());
    (open, run, dagtel)
}

/// A line that is none, and a request that the agent's page refuses.
fn faults(page: SocketAddr, spool: &Path) {
    std::fs::write(spool.join("inbox/nonsense.jsonl"), "{\"event\":\"nonsense\"}\n").unwrap();
    let mut stream = TcpStream::connect(page).unwrap();
    stream
        .write_all(b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
}

/// An engine that drains for itself, in which the example's scheduler is to run: every metric of the registry, more pools than there is room
/// for, a task id that is too long, and an exporter that sends what is no OTLP.
fn engine(stack: &Stack) -> (Dagtel, Guard) {
    let builder =
        Dagtel::builder("engine").endpoint(stack.otlp_grpc()).spool(stack.directory().join("engine"));
    let (dagtel, guard) = builder.metric_interval(Duration::from_millis(500)).install().unwrap();
    tell_all(&dagtel);
    for pool in 0..POOLS {
        dagtel.metrics().pool_starving_tasks(&format!("pool {pool}")).set(0);
    }
    let run = dagtel.start(DagRun::new("cut", "1"));
    run.start(TaskInstance::new("x".repeat(3_000))).success();
    run.success();
    let nonsense =
        http::Request::post("http://outbox.invalid/v1/traces").body(Bytes::from_static(b"\xff\xff")).unwrap();
    let client = dagtel.outbox_client().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(client.send_bytes(nonsense)).unwrap().status(), 200);
    (dagtel, guard)
}

/// What a metric of each kind is told.
trait Told {
    fn tell(&self);
}

impl Told for Counter {
    fn tell(&self) {
        self.add(1);
    }
}

impl Told for UpDownCounter {
    fn tell(&self) {
        self.add(1);
    }
}

impl Told for Gauge {
    fn tell(&self) {
        self.set(1);
    }
}

impl Told for DurationGauge {
    fn tell(&self) {
        self.set(Duration::from_secs(1));
    }
}

impl Told for Histogram {
    fn tell(&self) {
        self.record(Duration::from_secs(1));
    }
}

/// Tells every metric that engines can report.
fn tell_all(dagtel: &Dagtel) {
    let metrics = dagtel.metrics();
    macro_rules! tell {
        ($(
            $method:ident: $kind:ident $name:literal $unit:literal { $($tag:ident),* } ( $($fixed:tt)* )
            $(+ $team:ident)? $legacy:literal $description:literal;
        )*) => {
            $(metrics.$method($(concat!("the ", stringify!($tag))),*).tell();)*
        };
    }
    dagtel::core::offered_metrics!(tell);
}
