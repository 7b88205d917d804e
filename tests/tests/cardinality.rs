//! S6: an engine whose DAG ids, run ids and error texts are all distinct does not fill the agent's memory, nor its page.
//!
//! 6,000 DAGs by default; 1,000,000 with `RUN_SLOW_TESTS=1`, which is meant for `--release`. Times are printed, not
//! asserted.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use dagtel::core::limits::TAG_SETS;
use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::exposition::Exposition;
use dagtel_system_tests::wait::until;

/// After this long the test has hung.
const HUNG: Duration = Duration::from_secs(600);
const PAGE_BYTES: usize = 8 << 20;
/// From start to end, the code included, which is 13 MiB more in a debug build.
const RESIDENT_KIB: u64 = 128 << 10;
/// The same of a few DAGs, which have as many series: what is more of a million is what a busy second leaves open.
const RESIDENT_KIB_OF_FEW: u64 = 96 << 10;
/// The engine waits while so many segments wait for the agent: this is no test of a full disk.
const SEGMENTS: usize = 16;

/// The body of the page, and how long it took to come.
fn scrape(at: SocketAddr) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(at).expect("the agent listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("the agent reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the agent answers");
    let took = began.elapsed();
    let answer = String::from_utf8(answer).expect("the page is UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    (body.to_owned(), took)
}

fn segments(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { segments(&entry.path()) } else { 1 }).sum()
}

fn engine(spool: &Path, dags: u64) {
    let dagtel = Dagtel::builder("engine").spool(spool).reporter().expect("the spool can be used");
    for dag in 0..dags {
        let run = dagtel.start(DagRun::new(format!("dag-{dag}"), format!("run-{dag}")));
        run.start(TaskInstance::new("task")).failed(format!("no row {dag}"));
        run.failed();
        while dag % 1000 == 0 && segments(&spool.join("journal")) > SEGMENTS {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_million_dags_stay_within_memory_and_page() {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    let (dags, most) = if slow { (1_000_000, RESIDENT_KIB) } else { (6000, RESIDENT_KIB_OF_FEW) };
    pour(dags, most, Agent::start_serving_by_default);
}

#[test]
fn exporting_every_series_five_times_a_second_takes_little_more_memory() {
    pour(6000, RESIDENT_KIB_OF_FEW, Agent::start_serving);
}

/// Runs so many DAGs beside an agent, which may take so many kibibytes.
fn pour(dags: u64, kib: u64, start: fn(&Path, &str) -> (Agent, SocketAddr)) {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let receiver = ReceiverThread::start(ReceiverOptions::any_port(), |_: Received| Answer::Accept);
    let receiver = receiver.expect("a free port");
    let endpoint = format!("http://{}", receiver.grpc_addr().expect("it listens"));
    let (agent, at) = start(spool.path(), &endpoint);
    let counted = format!("\nairflow_ti_start_total{{overflow=\"true\"}} {}.0\n", dags - TAG_SETS as u64);
    let (began, mut took, mut largest) = (Instant::now(), Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| engine(spool.path(), dags));
        until("all tries counted", HUNG, || {
            let (page, after) = scrape(at);
            took.push(after);
            largest = largest.max(page.len());
            if page.contains(&counted) { Ok(()) } else { Err(format!("{} bytes", page.len())) }
        });
    });
    let all = began.elapsed();
    took.sort_unstable();
    let page = Exposition::parse(&scrape(at).0, false).expect("the page is well-formed");
    let mut series: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, labels) in page.samples.keys() {
        if name.starts_with("airflow_") && labels.get("le").is_none_or(|bound| bound == "+Inf") {
            *series.entry(name).or_default() += 1;
        }
    }
    let most = series.values().max().copied().unwrap_or_default();
    println!(
        "{dags} DAGs in {all:?}: at most {most} series of a metric, {} omitted; a page of {:.1} MB in p50 {:?}, at most \
         {:?} ({} scrapes); the agent had {:.1} MiB resident at most",
        page.value("dagtel_page_series_omitted", &[]).unwrap_or_default(),
        largest as f64 / 1e6,
        took[took.len() / 2],
        took[took.len() - 1],
        took.len(),
        agent.peak_kib() as f64 / 1024.0
    );
    assert!(most == TAG_SETS + 1 && largest <= PAGE_BYTES, "{series:?}");
    assert!(agent.peak_kib() <= kib, "{} KiB of {kib}", agent.peak_kib());
    assert_eq!(agent.stop().0, Some(0));
}
