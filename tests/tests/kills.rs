//! One run of 2,000 task instances while its workers, the agent and the collector are killed at random.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dagtel::core::id::RunIds;
use dagtel::core::key::RunKey;
use dagtel::{DagRun, Dagtel, Listener as _, TaskInstance};
use dagtel_system_tests::Stack;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::jaeger::Span;

const TASKS: usize = 2000;
/// Task instances that one worker process runs.
const SHARE: usize = 50;
/// Every third worker is killed, every sixth time the agent, every twelfth the collector.
const KILL_WORKER: usize = 3;
const KILL_AGENT: usize = 6;
const KILL_COLLECTOR: usize = 12;
/// Tells this test binary that it is a worker: which tasks it runs, as `task:try` separated by commas.
const WORKER: &str = "DAGTEL_TEST_WORKER";
const SOON: Duration = Duration::from_secs(90);

/// What a worker said before it ended or was killed.
#[derive(Default)]
struct Said {
    started: BTreeSet<(usize, u32)>,
    ended: BTreeSet<(usize, u32)>,
}

#[test]
fn two_thousand_tasks_are_whole_in_jaeger_whatever_is_killed() {
    let Some(mut stack) = Stack::start("kills") else { return };
    let spool = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut agent = Some(Agent::start(spool.path(), &stack.otlp_grpc()));
    let scheduler = Dagtel::builder("scheduler").spool(spool.path()).reporter().unwrap();
    let run = scheduler.start(DagRun::new("kills", "run"));

    let mut said = Said::default();
    let mut waiting: Vec<(usize, u32)> = (0..TASKS).map(|task| (task, 1)).collect();
    let (mut workers, mut kills) = (0, BTreeMap::<&str, usize>::new());
    while !waiting.is_empty() {
        workers += 1;
        let share: Vec<_> = waiting.drain(..SHARE.min(waiting.len())).collect();
        let kill = workers % KILL_WORKER == 0;
        let (ended, open) = work(spool.path(), &share, kill, &mut said);
        if kill {
            *kills.entry("workers").or_default() += 1;
        }
        // What was open when the worker died is tried again, what it had not begun is begun by another one.
        let left = share.into_iter().filter(|task| !ended.contains(task));
        waiting
            .extend(left.map(|(task, n)| if open.contains(&(task, n)) { (task, n + 1) } else { (task, n) }));
        if workers % KILL_AGENT == 0 {
            agent.take().into_iter().for_each(Agent::kill);
            agent = Some(Agent::start(spool.path(), &stack.otlp_grpc()));
            *kills.entry("agents").or_default() += 1;
        }
        if workers % KILL_COLLECTOR == 0 {
            stack.collector.kill();
            stack.collector.start();
            *kills.entry("collectors").or_default() += 1;
        }
    }
    run.success();

    let ids = RunIds::of(&RunKey::new("kills", "run"));
    let expected = said.started.len() + 1;
    let trace = stack.traces().wait_for_trace(&ids.trace_id.to_string(), |t| t.spans.len() >= expected, SOON);
    let distinct: BTreeSet<_> = trace.spans.iter().map(|span| span.id.as_str()).collect();
    let warnings: usize = trace.spans.iter().map(|span| span.warnings.len()).sum();
    println!(
        "{workers} workers, killed {kills:?}: produced {expected} spans, shown {}, distinct {}, warnings {warnings}, \
         {:.1} s",
        trace.spans.len(),
        distinct.len(),
        began.elapsed().as_secs_f64()
    );
    assert_eq!((trace.spans.len(), distinct.len(), warnings), (expected, expected, 0));
    let states: BTreeMap<_, _> = trace.spans.iter().filter_map(state).collect();
    for (task, try_number) in &said.ended {
        let state = states.get(&(*task as u64, u64::from(*try_number)));
        assert_eq!(state, Some(&"success"), "task[{task}], try {try_number}: its end was acknowledged");
    }
    counters_are_exact(&stack, said.started.len());
}

/// Which try a span is of, and the state it ended in.
fn state(span: &Span) -> Option<((u64, u64), &str)> {
    let (task, n) = (span.tags.get("map_index")?.as_u64()?, span.tags.get("try_number")?.as_u64()?);
    Some(((task, n), span.tags.get("state")?.as_str()?))
}

/// Prometheus counts every try once, also after all that.
fn counters_are_exact(stack: &Stack, tries: usize) {
    for metric in ["airflow_ti_start_total", "airflow_ti_finish_total"] {
        let query = format!(r#"sum({metric}{{dag_id="kills"}})"#);
        let exact = |samples: &[dagtel_system_tests::prometheus::Sample]| {
            samples.iter().any(|sample| sample.value == tries as f64)
        };
        let samples = stack.series().wait_for(&query, exact, SOON);
        println!("{query} = {}, {tries} tries", samples[0].value);
    }
}

type Tries = BTreeSet<(usize, u32)>;

/// Lets a worker process run its share, and kills it on the way if asked to. Returns what it ended and what it left open.
fn work(spool: &Path, share: &[(usize, u32)], kill: bool, said: &mut Said) -> (Tries, Tries) {
    let tasks: Vec<_> = share.iter().map(|(task, n)| format!("{task}:{n}")).collect();
    let mut child = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--exact", "as_a_worker_process", "--nocapture"])
        .env(WORKER, tasks.join(","))
        .env("DAGTEL_SPOOL_DIR", spool)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a test can start itself");
    let (started, ended) = listen(&mut child, kill.then_some(share.len() + share.len() / 3));
    let open = started.difference(&ended).copied().collect();
    said.started.extend(&started);
    said.ended.extend(&ended);
    (ended, open)
}

/// What the worker says, until it ends or is killed after so many words.
fn listen(child: &mut Child, kill_after: Option<usize>) -> (Tries, Tries) {
    let out = std::io::BufReader::new(child.stdout.take().expect("its output is a pipe"));
    let (mut started, mut ended, mut words) = (Tries::new(), Tries::new(), 0);
    for line in out.lines().map_while(Result::ok) {
        let Some((word, rest)) = line.split_once(' ') else { continue };
        let Some((task, n)) = rest.split_once(':') else { continue };
        let (Ok(task), Ok(n)) = (task.parse(), n.parse()) else { continue };
        match word {
            "started" => started.insert((task, n)),
            "ended" => ended.insert((task, n)),
            _ => continue,
        };
        words += 1;
        if kill_after == Some(words) {
            child.kill().expect("a child can be killed");
        }
    }
    child.wait().expect("a child can be waited for");
    (started, ended)
}

/// Not a test of its own: what [`work`] runs.
#[test]
fn as_a_worker_process() {
    let Ok(tasks) = std::env::var(WORKER) else { return };
    let dagtel = Dagtel::builder("worker").reporter().unwrap();
    let run = DagRun::new("kills", "run");
    for (task, n) in tasks.split(',').filter_map(|task| task.split_once(':')) {
        let try_number = n.parse().unwrap();
        let instance = TaskInstance::new("task").map_index(task.parse().unwrap()).try_number(try_number);
        dagtel.on_task_instance_running(&run, &instance);
        println!("\nstarted {task}:{n}");
        // A little real work, so that kills meet open tries.
        std::hint::black_box((0..20_000u64).fold(0, |sum: u64, x| sum.wrapping_mul(31).wrapping_add(x)));
        dagtel.on_task_instance_success(&run, &instance);
        println!("\nended {task}:{n}");
    }
}
