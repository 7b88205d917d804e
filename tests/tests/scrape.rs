//! The agent's `/metrics`: every family of the published list with its type and labels, from real sources; health that
//! follows a collector that dies and comes back; rows S1 and S2 (hostile clients), S7 (hostile labels); scrapes while
//! tasks run.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use dagtel::core::limits::TAG_BYTES;
use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::exposition::Exposition;
use dagtel_system_tests::families::{self, Published, PythonWriter};
use dagtel_system_tests::{parts, prometheus, wait::until};
use dagtel_testkit::Collector;

const LONG: Duration = Duration::from_secs(20);

fn open(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).expect("the agent listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket takes a timeout");
    stream
}

/// What comes back for the bytes of a request, until the agent closes.
fn talk(at: SocketAddr, request: &[u8]) -> String {
    let mut stream = open(at);
    // The agent may refuse and close before everything is written.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(at: SocketAddr, path: &str, accept: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let answer = talk(at, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), body.to_owned())
}

fn page(at: SocketAddr) -> Result<Exposition, String> {
    let (status, text) = get(at, "/metrics", "");
    if status == 200 { Exposition::parse(&text, false) } else { Err(format!("{status}: {text}")) }
}

fn reporter(spool: &Path) -> Dagtel {
    Dagtel::builder("w").spool(spool).reporter().expect("the spool can be used")
}

#[test]
fn every_published_family_is_there_with_type_and_labels() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (agent, at) = Agent::start_serving(dir.path(), &collector.endpoint());
    let run = reporter(dir.path());
    let run = run.start(DagRun::new("sales", "1"));
    run.start(TaskInstance::new("done").queue("fast")).success();
    let open = run.start(TaskInstance::new("open").queue("fast"));
    until("no python yet", LONG, || {
        page(at).and_then(|page| match page.value("component_health", &[("component", "shipper")]) {
            Some(1.0) if page.kinds.keys().all(|name| !name.starts_with("python")) => Ok(()),
            found => Err(format!("{found:?}")),
        })
    });
    get(at, "/nowhere", "");
    talk(at, b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let python = PythonWriter::start(dir.path());
    let shown = until("a whole page", LONG, || {
        let page = page(at)?;
        let all = page.value("dag_processor_cache_size", &[]) == Some(3.0)
            && page.value("airflow_ti_finish_total", &[("state", "success")]) == Some(1.0)
            && page.value("astro_agent_client_queue_stats", &[("queue", "fast"), ("state", "running")])
                == Some(1.0)
            && page.labels("python_info").len() == 1;
        if all { Ok(page) } else { Err(format!("{:?}", page.samples)) }
    });
    for family in families::published() {
        let Published { name, kind, .. } = family;
        assert!(shown.is(name, kind), "{name} is no {kind}");
        assert!(!shown.helps[name].is_empty());
        let series = shown.labels(&family.series());
        assert!(!series.is_empty(), "{name} has no series");
        for label in family.labels {
            assert!(
                series.iter().all(|labels| labels.contains_key(label)),
                "{name} without {label}: {series:?}"
            );
        }
    }
    let health = |component| shown.value("component_health", &[("component", component)]);
    let known = ["drainer", "inbox", "scrape_server", "shipper", "etl", "dag_processor"].map(health);
    assert_eq!(known, [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(shown.value("heartbeat_requests_received_total", &[]), Some(2.0));
    let refused = [("route", "/metrics"), ("error_type", "method_not_allowed")];
    assert_eq!(shown.value("matched_proxy_errors_total", &refused), Some(1.0));
    assert_eq!(get(at, "/healthz", "").0, 200);
    assert_eq!(get(at, "/readyz", ""), (200, "ready\n".to_owned()));
    check_open_metrics(at);
    drop(python);
    until("python gone", LONG, || {
        page(at).and_then(|page| match page.labels("python_info").len() {
            0 => Ok(()),
            left => Err(format!("{left} left")),
        })
    });
    open.success();
    assert_eq!(agent.stop().0, Some(0));
}

/// The other format says the same, and the real tool finds nothing to object to.
fn check_open_metrics(at: SocketAddr) {
    let (_, open) = get(at, "/metrics", "application/openmetrics-text");
    let open = Exposition::parse(&open, true).expect("the page is OpenMetrics");
    assert!(open.is("heartbeat_requests", "counter") && open.is("airflow_ti_finish", "counter"));
    if parts::requested() {
        let (_, classic) = get(at, "/metrics", "");
        prometheus::check_metrics(&classic).expect("promtool finds nothing wrong");
    }
}

#[test]
fn health_follows_a_collector_that_dies_and_comes_back() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let endpoint = collector.endpoint();
    let address = endpoint.trim_start_matches("http://").parse().expect("it is one of this host");
    let (_agent, at) = Agent::start_serving(dir.path(), &endpoint);
    let wait_for = |wanted: f64| {
        let began = Instant::now();
        until("the health of the shipper", LONG, || {
            let found = page(at)?.value("component_health", &[("component", "shipper")]);
            if found == Some(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
        });
        began.elapsed()
    };
    wait_for(1.0);
    drop(collector);
    let died = wait_for(0.0);
    assert_eq!(get(at, "/readyz", "").0, 503);
    assert_eq!(get(at, "/healthz", "").0, 200);
    let _collector = Collector::start_at(address);
    println!("a dead collector was seen after {died:?}, its return after {:?}", wait_for(1.0));
    let errors = page(at).unwrap().value("heartbeat_requests_error_total", &[]);
    assert!(errors.is_some_and(|errors| errors >= 1.0), "{errors:?}");
}

#[test]
fn hostile_requests_are_refused_and_closed() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (_agent, at) = Agent::start_serving(dir.path(), &collector.endpoint());
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let header = |size: usize| {
        format!("GET /metrics HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(size)).into_bytes()
    };
    let many: Vec<_> = (0..33).map(|n| format!("a{n}=1")).collect();
    let rows: [(&str, Vec<u8>, &str); 10] = [
        ("headers of 8 KiB and 1", header(8 * 1024 + 1), "431"),
        ("headers of 1 MiB", header(1 << 20), "431"),
        ("a target of 2 KiB and 1", target(&format!("/metrics?{}", "x".repeat(2049 - 9))), "414"),
        ("33 query values", target(&format!("/metrics?{}", many.join("&"))), "400"),
        ("bad UTF-8, encoded", target("/metrics?a=%ff"), "400"),
        ("bad UTF-8", b"GET /metrics?\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "400"),
        ("POST", b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_vec(), "405"),
        ("a body", b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".to_vec(), "400"),
        ("HTTP/0.9", b"GET /metrics\r\n\r\n".to_vec(), "400"),
        ("noise", vec![0, 159, 146, 150, 13, 10, 13, 10], "400"),
    ];
    for (what, request, status) in rows {
        let began = Instant::now();
        let answer = talk(at, &request);
        println!("{what}: {:?} after {:?}", answer.lines().next(), began.elapsed());
        assert!(answer.starts_with("HTTP/1.1 ") && answer.get(9..12) == Some(status), "{what}: {answer}");
    }
    let twice = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2)
        + "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(talk(at, twice.as_bytes()).matches("200 OK").count(), 3);
    assert_eq!(get(at, "/healthz", "").0, 200);
}

#[test]
fn slow_clients_keep_nobody_out_and_are_closed() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (_agent, at) = Agent::start_serving(dir.path(), &collector.endpoint());
    let mut slow: Vec<_> = (0..900).map(|_| open(at)).collect();
    let (began, mut took) = (Instant::now(), Vec::new());
    for round in 0..100 {
        if round % 25 == 0 {
            slow.iter_mut().for_each(|stream| drop(stream.write_all(b"G")));
        }
        let asked = Instant::now();
        assert_eq!(get(at, "/metrics", "").0, 200);
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    println!("100 honest scrapes beside 900 slow clients: p50 {:?}, p99 {:?}", took[49], took[98]);
    let open_now = page(at).unwrap().value("process_open_fds", &[]).unwrap();
    println!("descriptors of the agent meanwhile: {open_now}");
    assert!(open_now < 150.0, "64 connections and what the agent has open otherwise: {open_now}");
    for mut stream in slow {
        // Ends with an error or an end, or fails by its timeout.
        let ended = stream.read(&mut [0; 1024]);
        let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "a slow client was not closed");
    }
    println!("all slow clients were closed {:?} after they came", began.elapsed());
}

#[test]
fn hostile_labels_come_out_as_they_went_in() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (_agent, at) = Agent::start_serving(dir.path(), &collector.endpoint());
    let names = ["q\"uote", "back\\slash", "new\nline", "nul\0", "é🚀", "}{,=\"", "\\n", "\u{fffd}"];
    let run = reporter(dir.path()).start(DagRun::new("hostile", "1"));
    names.iter().for_each(|name| run.start(TaskInstance::new(*name)).success());
    run.start(TaskInstance::new("x".repeat(1 << 20))).success();
    let bad = b"{\"event\":\"task.started\",\"at\":1,\"dag_id\":\"hostile\",\"run_id\":\"1\",\"task_id\":\"\xff\xfe\"}\n";
    std::fs::write(dir.path().join("inbox/bad.jsonl"), bad).unwrap();
    let shown = until("all tasks", LONG, || {
        let page = page(at)?;
        let tasks = page.labels("airflow_ti_start_total").len();
        // What is no UTF-8 is no line, and counted.
        let bad = [("signal", "events"), ("reason", "bad_line")];
        let bad = page.value("dagtel_dropped_total", &bad);
        if tasks > names.len() && bad == Some(1.0) {
            Ok(page)
        } else {
            Err(format!("{tasks} tasks, {bad:?}"))
        }
    });
    for name in names {
        assert_eq!(shown.value("airflow_ti_start_total", &[("task_id", name)]), Some(1.0), "{name:?}");
    }
    let longest =
        shown.labels("airflow_ti_start_total").into_iter().map(|labels| labels["task_id"].len()).max();
    assert_eq!(longest, Some(TAG_BYTES), "a text of 1 MiB is cut");
}

/// How many tries started, if the page is of one moment: no count is less than it was, and no more tries ended than started.
/// (That histograms agree with themselves was seen when the page was read.)
fn untorn(page: &Exposition, before: f64) -> f64 {
    let sum = |of: &str| {
        page.samples.iter().filter(|((name, _), _)| name == of).map(|(_, value)| value).sum::<f64>()
    };
    let (starts, ends) = (sum("airflow_ti_start_total"), sum("airflow_ti_finish_total"));
    assert!(before <= starts && ends <= starts, "{before} starts before, {starts} now, {ends} ends");
    starts
}

/// 5 s by default, 30 s with `RUN_SLOW_TESTS=1`. Times are printed, not asserted; those of `--release` count.
#[test]
fn scrapes_while_tasks_run() {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    let time = Duration::from_secs(if slow { 30 } else { 5 });
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (_agent, at) = Agent::start_serving(dir.path(), &collector.endpoint());
    let work = std::thread::spawn({
        let dagtel = reporter(dir.path());
        move || {
            let (began, mut tasks) = (Instant::now(), 0_u32);
            while began.elapsed() < time {
                let run = dagtel.start(DagRun::new(format!("dag{}", tasks % 7), tasks.to_string()));
                for index in 0..100 {
                    run.start(TaskInstance::new("task").map_index(index)).success();
                }
                run.success();
                tasks += 100;
                // Ten thousand a second.
                let due = Duration::from_micros(100) * tasks;
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            (tasks, began.elapsed())
        }
    });
    let (mut took, mut started, mut bytes, began) = (Vec::new(), 0.0, 0, Instant::now());
    while !work.is_finished() {
        let asked = Instant::now();
        let (status, text) = get(at, "/metrics", "");
        took.push(asked.elapsed());
        assert_eq!(status, 200);
        let shown = Exposition::parse(&text, false).expect("the page is whole");
        started = untorn(&shown, started);
        bytes = bytes.max(text.len());
        // A hundred a second.
        let due = Duration::from_millis(10) * u32::try_from(took.len()).expect("they are few");
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    let scraped = began.elapsed();
    let (tasks, time) = work.join().unwrap();
    took.sort_unstable();
    let (scrapes, rate) = (took.len(), f64::from(tasks) / time.as_secs_f64());
    println!(
        "{:.0} scrapes a second of at most {bytes} bytes while {rate:.0} tasks a second ran: p50 {:?}, p99 {:?}, at most {:?}",
        scrapes as f64 / scraped.as_secs_f64(),
        took[scrapes / 2],
        took[scrapes * 99 / 100],
        took[scrapes - 1]
    );
    until("all tasks counted", LONG, || {
        let page = page(at)?;
        let starts: f64 = page
            .samples
            .iter()
            .filter(|((name, _), _)| name == "airflow_ti_start_total")
            .map(|(_, n)| n)
            .sum();
        if starts == f64::from(tasks) { Ok(()) } else { Err(format!("{starts} of {tasks}")) }
    });
}
