//! What usage events cost, beside what the original pays: `cargo bench -p dagtel-usage`.
//!
//! Handing over is compared with the original's blocking request, 15.5 ms in the median of 300 against a local server
//! (astronomer-cosmos 1.15.1, CPython 3.11.7, two cores of an AMD EPYC). Compressing is compared with Python in this
//! run.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dagtel_usage::json::Dict;
use dagtel_usage::limits::QUEUE;
use dagtel_usage::listener::{Profile, Status, TASK_INSTANCE, TaskInstanceFacts, task_instance_metrics};
use dagtel_usage::metadata::{compress, decompress, to_json};
use dagtel_usage::{Consent, Emitter, Environment, Gateway, StandardMetrics};

/// The original's blocking request.
const ORIGINAL: Duration = Duration::from_micros(15_500);
const ROUNDS: usize = 300;

/// Makes the 20 KB case and its compressed text ROUNDS times, and prints the median of each in nanoseconds.
const PYTHON: &str = r#"
import base64, json, statistics, sys, time, zlib
d = {f"model.project.model_{i:04d}": {"rows": i * i, "ok": i % 3 == 0, "path": f"models/staging/stg_{i % 17}.sql"}
     for i in range(214)}
pack = lambda: base64.b64encode(zlib.compress(json.dumps(d).encode("utf-8"), level=9)).decode("utf-8")
unpack = lambda: json.loads(zlib.decompress(base64.b64decode(text.encode("ascii"))).decode("utf-8"))
def median(f):
    times = []
    for _ in range(int(sys.argv[1])):
        begin = time.perf_counter_ns()
        f()
        times.append(time.perf_counter_ns() - begin)
    return int(statistics.median(times))
text = pack()
print(median(pack), median(unpack), text)
"#;

fn main() {
    hand_off();
    codec();
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn timed<T>(call: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    std::hint::black_box(call());
    begin.elapsed()
}

fn hand_off() {
    let emitter = emitter(gateway());
    let started = timed(|| emitter.start());
    let first = timed(|| emit(&emitter));
    let mut times = Vec::new();
    for _ in 0..20 {
        assert!(emitter.flush(Duration::from_secs(60)), "the server takes everything");
        times.extend((0..QUEUE).map(|_| timed(|| assert!(emit(&emitter), "the queue has room"))));
    }
    assert!(emitter.flush(Duration::from_secs(60)), "the server takes everything");
    let (slowest, calls) = (times.iter().max().copied().unwrap_or_default(), times.len());
    let middle = median(times);
    println!("an event handed over, consent asked and metrics made: {middle:?} in the median of {calls}");
    println!(
        "    {:.0} times less than the original's {ORIGINAL:?}",
        ORIGINAL.as_secs_f64() / middle.as_secs_f64()
    );
    println!("    the first {first:?}, the slowest {slowest:?}, the thread's start before all {started:?}");
    println!("    {:?}", emitter.stats());

    let opted_out = Environment::new(|name| (name == dagtel_usage::DO_NOT_TRACK).then(|| "1".into()));
    let standard = StandardMetrics::new("1.15.1", "3.0.2", "3.11.7");
    let off = Emitter::new(Consent::default(), standard, Some(gateway()), opted_out);
    let times = (0..10_000).map(|_| timed(|| emit(&off))).collect();
    println!("an event while opted out: {:?}", median(times));
}

fn emitter(gateway: Gateway) -> Emitter {
    let standard = StandardMetrics::new("1.15.1", "3.0.2+astro.1", "3.11.7");
    let nothing_set = Environment::new(|name| match name {
        // Looked up as in a process, so that it costs as much; a benchmark in CI is not what is measured.
        "CI" => None,
        name => std::env::var_os(name),
    });
    Emitter::new(Consent { force_in_ci: true, ..Consent::default() }, standard, Some(gateway), nothing_set)
}

fn emit(emitter: &Emitter) -> bool {
    emitter.emit_usage_metrics_if_enabled(TASK_INSTANCE, || {
        task_instance_metrics(&TaskInstanceFacts {
            status: Status::Success,
            operator_name: "DbtRunLocalOperator",
            module: "cosmos.operators.local",
            is_dbt_operator: true,
            invocation_mode: Some("dbt_runner"),
            execution_mode: None,
            profile: Some(Profile::Mapping {
                class: Some("PostgresUserPasswordProfileMapping"),
                database: Some("postgres"),
            }),
            map_index: None,
            dbt_command: &["run", "--full-refresh"],
            install_deps: Some(true),
            has_callback: false,
            duration: Some(Duration::from_secs(7)),
        })
    })
}

/// A gateway on loopback that answers every request of a connection.
fn gateway() -> Gateway {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("the listener has an address").port();
    thread::spawn(move || {
        listener.incoming().flatten().for_each(|socket| drop(thread::spawn(|| answer(socket))))
    });
    let template = format!("http://127.0.0.1:{port}/{{telemetry_version}}/{{event_type}}?{{query_string}}");
    template.parse().expect("a gateway")
}

fn answer(mut socket: TcpStream) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        head.extend_from_slice(&buffer[..length]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return;
            }
        }
    }
}

fn codec() {
    let output = Command::new("python3").args(["-c", PYTHON, &ROUNDS.to_string()]).output();
    let said = String::from_utf8(output.expect("python3 is installed").stdout).expect("it prints ASCII");
    let [pack, unpack, text] = said.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{said:?}") };
    let large: Dict = decompress(text).expect("Python wrote it");
    let ours = compress(&large).expect("it is within the limits");
    println!(
        "{} B of JSON: {} characters from Python, {} from here",
        json_bytes(&large),
        text.len(),
        ours.len()
    );
    let compressing = median((0..ROUNDS).map(|_| timed(|| compress(&large))).collect());
    let decompressing = median((0..ROUNDS).map(|_| timed(|| decompress(text))).collect());
    for (what, ours, theirs) in [("compressed", compressing, pack), ("decompressed", decompressing, unpack)] {
        let theirs = Duration::from_nanos(theirs.parse().expect("nanoseconds"));
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("    {what} in {ours:?}, by Python in {theirs:?}: {ratio:.2} of it");
    }
}

fn json_bytes(value: &Dict) -> usize {
    to_json(value).map_or(0, |json| json.len())
}
