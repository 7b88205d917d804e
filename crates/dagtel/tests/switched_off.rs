//! What is switched off by the configuration: nothing is recorded, and nothing fills the disk.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use dagtel::config::{Config, Environment};
use dagtel::{DagRun, Dagtel};
use dagtel_spool::{Options, Position, Spool};
use dagtel_testkit::Collector;

fn config(variables: &[(&str, &str)]) -> Config {
    Config::load(None, &variables.iter().copied().collect::<Environment>()).expect("they are good")
}

/// Records in a spool of the directory.
fn records(spool: &Path, part: &str) -> usize {
    let Ok(spool) = Spool::open(spool.join(part), Options::default()) else { return 0 };
    let mut reader = spool.reader();
    let streams = reader.streams().expect("it can be read");
    let read =
        |stream| reader.read(stream, Position::default(), 1 << 20).expect("it can be read").records.len();
    streams.iter().map(|stream| stream.id).map(read).sum()
}

#[test]
fn a_disabled_sdk_records_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let builder = || Dagtel::builder("engine").config(config(&[("OTEL_SDK_DISABLED", "true")])).spool(&spool);
    let (dagtel, guard) = builder().install().unwrap();
    assert!(!dagtel.is_on() && !builder().reporter().unwrap().is_on());
    dagtel.start(DagRun::new("d", "r")).success();
    dagtel.metrics().dagbag_size().set(5);
    assert!(dagtel.flush(Duration::from_secs(1)) && guard.shutdown().is_none());
    let (dagtel, worker) = builder().build().unwrap();
    assert!(!dagtel.is_on());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(worker.run(async {}));
    assert!(!report.drained && report.spans.produced == 0);
    assert!(!spool.exists(), "nothing was made");
}

#[test]
fn without_a_destination_the_outbox_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    let none = config(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]);
    let builder = Dagtel::builder("engine").config(none).metric_interval(Duration::from_millis(20));
    let (dagtel, guard) = builder.spool(dir.path()).install().unwrap();
    dagtel.metrics().dagbag_size().set(5);
    dagtel.start(DagRun::new("d", "r")).success();
    assert!(dagtel.flush(Duration::from_secs(10)), "it drains");
    // Another process of the directory does not know that nobody sends.
    let other = Dagtel::builder("other")
        .config(config(&[]))
        .spool(dir.path())
        .metric_interval(Duration::from_millis(20));
    let (other, others) = other.install().unwrap();
    other.metrics().dagbag_size().set(5);
    let report = guard.shutdown().unwrap();
    assert_eq!((report.spans.produced, report.metrics.produced, &*report.endpoint), (0, 0, "none"));
    drop((dagtel, other, others));
    let (none, guard) = Dagtel::builder("engine")
        .config(config(&[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]))
        .spool(dir.path())
        .install()
        .unwrap();
    let began = Instant::now();
    while records(dir.path(), "outbox") > 0 && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(records(dir.path(), "outbox"), 0);
    drop((none, guard));
}

#[test]
fn each_signal_goes_where_it_belongs() {
    let (dir, traces, metrics) = (tempfile::tempdir().unwrap(), Collector::start(), Collector::start());
    let apart = config(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces.endpoint()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &metrics.endpoint()),
    ]);
    let (dagtel, guard) = Dagtel::builder("engine").config(apart).spool(dir.path()).install().unwrap();
    dagtel.start(DagRun::new("d", "r")).success();
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.endpoint, format!("{}, {}", traces.endpoint(), metrics.endpoint()));
    let (of_traces, of_metrics) = (traces.taken(), metrics.taken());
    assert!(!of_traces.traces.is_empty() && of_traces.metrics.is_empty());
    assert!(of_metrics.traces.is_empty() && !of_metrics.metrics.is_empty());
}

#[test]
fn gauges_that_end_and_tags_that_are_disabled_are_so_for_statsd_too() {
    let (dir, daemon) = (tempfile::tempdir().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    daemon.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = daemon.local_addr().unwrap().port().to_string();
    let config = config(&[
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("DAGTEL_METRICS__STATSD_ON", "true"),
        ("DAGTEL_METRICS__STATSD_HOST", "127.0.0.1"),
        ("DAGTEL_METRICS__STATSD_PORT", &port),
        ("DAGTEL_METRICS__STATSD_DATADOG_ENABLED", "true"),
        ("DAGTEL_METRICS__DISABLED_TAGS", "operator,dagrun_id"),
        ("DAGTEL_METRICS__METRICS_BLOCK_LIST", "heartbeat"),
    ]);
    let (dagtel, guard) = Dagtel::builder("engine")
        .config(config)
        .metric_interval(Duration::from_millis(100))
        .spool(dir.path())
        .install()
        .unwrap();
    let metrics = dagtel.metrics();
    let pool = metrics.pool("p");
    pool.set(dagtel::metrics::PoolSlots { open: 3, ..Default::default() });
    metrics.scheduler_heartbeat().add(1);
    for operator in ["a", "b"] {
        metrics.resumable_job_fresh_submit(operator).add(1);
    }
    // Over its budget a metric has one series more.
    for file in 0..2005 {
        metrics.dag_processing_processor_timeouts(&file.to_string()).add(1);
    }
    // Datagrams until one has this line.
    let told_until = |wanted: &str| {
        let (mut lines, mut datagram, began) = (Vec::<String>::new(), [0; 2000], Instant::now());
        while !lines.iter().any(|line| line == wanted) {
            assert!(began.elapsed() < Duration::from_secs(10), "{wanted} is not among {} lines", lines.len());
            let Ok(bytes) = daemon.recv(&mut datagram) else { continue };
            lines.extend(std::str::from_utf8(&datagram[..bytes]).unwrap().lines().map(str::to_owned));
        }
        lines
    };
    // The series that holds the rest comes last of its metric, and once, because then nothing is added to it.
    let mut first = told_until("airflow.dag_processing.processor_timeouts:5|c|#overflow:true");
    metrics.dagbag_size().set(1);
    first.extend(told_until("airflow.dagbag_size:1|g"));
    let counted = first.iter().filter(|line| line.starts_with("airflow.dag_processing.processor_timeouts"));
    assert_eq!(counted.count(), 2001);
    for line in ["airflow.pool.open_slots:3|g|#pool_name:p", "airflow.resumable_job.fresh_submit:2|c"] {
        assert!(first.iter().any(|told| told == line), "{line}");
    }
    assert!(!first.iter().any(|line| line.contains("heartbeat")));
    drop(pool);
    metrics.dagbag_size().set(2);
    told_until("airflow.dagbag_size:2|g");
    metrics.dagbag_size().set(3);
    let later = told_until("airflow.dagbag_size:3|g");
    assert!(!later.iter().any(|line| line.contains("pool")), "{later:?}");
    guard.shutdown();
}
