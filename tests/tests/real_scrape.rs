//! A real Prometheus with the shipped configuration asks an agent and a collector: every family of the published list with
//! its type and labels, no series of a run twice, and health that follows a collector that dies and comes back.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::families::{self, PythonWriter};
use dagtel_system_tests::prometheus::{Sample, check_metrics};
use dagtel_system_tests::wait::until;
use dagtel_system_tests::{Stack, prometheus};

const LONG: Duration = Duration::from_secs(30);
const JOB: &str = "dagtel-agent";

/// What an agent answers to these lines of a request.
fn ask(at: SocketAddr, lines: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("the agent listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket takes a timeout");
    write!(stream, "{lines}\r\nHost: a\r\nConnection: close\r\n\r\n").expect("the agent reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the agent answers in UTF-8");
    answer
}

/// How long it took until the health of the shipper was so, as Prometheus sees it.
fn wait_for_shipper(series: &prometheus::Client, health: f64) -> Duration {
    let (query, began) = ("component_health{component=\"shipper\"}", Instant::now());
    series.wait_for(query, |samples| matches!(samples, [one] if one.value == health), LONG);
    began.elapsed()
}

#[test]
fn prometheus_sees_agent_and_collector_by_one_configuration() {
    let Some(mut stack) = Stack::start("prometheus_sees_agent_and_collector") else { return };
    let spool = stack.directory().join("spool");
    let (agent, at) = Agent::start_serving_at(&spool, &stack.otlp_grpc(), stack.agent_port());
    let engine = Dagtel::builder("engine").spool(&spool).reporter().unwrap();
    let run = engine.start(DagRun::new("sales", "1"));
    run.start(TaskInstance::new("done").queue("fast")).success();
    let _open = run.start(TaskInstance::new("open").queue("fast"));
    let _python = PythonWriter::start(&spool);
    ask(at, "GET /nowhere HTTP/1.1");
    ask(at, "POST /metrics HTTP/1.1\r\nContent-Length: 0");

    let series = stack.series();
    series.wait_for("up == 1", |up| up.len() == 3, LONG);
    for family in families::published() {
        let query = format!("{}{{job=\"{JOB}\"}}", family.series());
        let found = series.wait_for(&query, |samples| !samples.is_empty(), LONG);
        let has = |sample: &Sample| family.labels.iter().all(|label| !sample.label(label).is_empty());
        assert!(found.iter().all(has), "{query} without one of {:?}: {found:?}", family.labels);
    }
    until("the kinds of all families", LONG, || {
        let kinds = series.kinds(JOB)?;
        let wrong = families::published().find(|family| {
            let known =
                if family.kind == "counter" { family.name.trim_end_matches("_total") } else { family.name };
            kinds.get(known).is_none_or(|kind| kind != family.kind)
        });
        wrong.map_or(Ok(()), |family| Err(format!("{family:?} among {kinds:?}")))
    });
    // What the agent counts of runs comes by the collector, and only by it.
    let ended = "airflow_ti_finish_total{dag_id=\"sales\",task_id=\"done\",state=\"success\"}";
    let ended = series.wait_for(ended, |samples| !samples.is_empty(), LONG);
    assert_eq!((ended.len(), ended[0].label("job"), ended[0].value), (1, "dagtel", 1.0), "{ended:?}");
    let page = ask(at, "GET /metrics HTTP/1.1");
    let (_, page) = page.split_once("\r\n\r\n").expect("an answer has a body");
    assert!(page.contains("airflow_ti_finish_total{"));
    check_metrics(page).expect("promtool finds nothing wrong with the agent's page");
    check_metrics(&stack.metrics_page().unwrap()).expect("nor with the collector's");

    wait_for_shipper(&series, 1.0);
    stack.collector.kill();
    let died = wait_for_shipper(&series, 0.0);
    stack.collector.start();
    println!(
        "Prometheus saw a dead collector after {died:?}, its return after {:?}",
        wait_for_shipper(&series, 1.0)
    );
    assert_eq!(agent.stop().0, Some(0));
}
