//! What usage events cost, beside what the original pays: `cargo bench -p dagtel-usage`.
//!
//! Handing over is compared with the original's blocking request, 15.5 ms in the median of 300 against a local server
//! (astronomer-cosmos 1.15.1, CPython 3.11.7, two cores of an AMD EPYC). Compressing is compared with Python in this
//! run.

#[path = "../../dagtel/benches/cost/ratio.rs"]
mod ratio;

use std::cell::Cell;
use std::hint::black_box;
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
use ratio::{Table, Target};

/// Nanoseconds of the original's blocking request.
const ORIGINAL: f64 = 15_500_000.0;

/// Makes the 20 KB case and its compressed text so many times, and prints the nanoseconds of each, and the text.
const PYTHON: &str = r#"
import base64, json, sys, time, zlib
d = {f"model.project.model_{i:04d}": {"rows": i * i, "ok": i % 3 == 0, "path": f"models/staging/stg_{i % 17}.sql"}
     for i in range(214)}
pack = lambda: base64.b64encode(zlib.compress(json.dumps(d).encode("utf-8"), level=9)).decode("utf-8")
unpack = lambda: json.loads(zlib.decompress(base64.b64decode(text.encode("ascii"))).decode("utf-8"))
def timed(f):
    begin = time.perf_counter_ns()
    f()
    return str(time.perf_counter_ns() - begin)
text = pack()
for f in pack, unpack:
    print(" ".join(timed(f) for _ in range(int(sys.argv[1]))))
print(text)
"#;

fn main() {
    let mut table = Table::from_args();
    hand_off(&mut table);
    codec(&mut table);
    table.print();
}

/// Nanoseconds of a call.
fn timed<T>(call: impl FnOnce() -> T) -> f64 {
    let begin = Instant::now();
    black_box(call());
    begin.elapsed().as_nanos() as f64
}

fn hand_off(table: &mut Table) {
    let emitter = emitter(gateway());
    emitter.start();
    let slowest = Cell::new(0.0_f64);
    let round = || {
        assert!(emitter.flush(Duration::from_secs(60)), "the server takes everything");
        let times = (0..QUEUE).map(|_| timed(|| assert!(emit(&emitter), "the queue has room")));
        let times: Vec<f64> = times.collect();
        slowest.set(times.iter().copied().fold(slowest.get(), f64::max));
        times.iter().sum::<f64>() / times.len() as f64
    };
    let note = || format!("peer: as published, not measured; the slowest {:.0} us", slowest.get() / 1e3);
    let what = "usage event: handed over / blocking request";
    table.compare(what, Target::Times(0.01), round, || ORIGINAL, note);

    let opted_out = Environment::new(|name| (name == dagtel_usage::DO_NOT_TRACK).then(|| "1".into()));
    let standard = StandardMetrics::new("1.15.1", "3.0.2", "3.11.7");
    let off = Emitter::new(Consent::default(), standard, Some(gateway()), opted_out);
    let round = || timed(|| (0..1000).for_each(|_| _ = black_box(emit(&off)))) / 1e3;
    let what = "usage event: opted out / blocking request";
    table.compare(what, Target::None, round, || ORIGINAL, || "peer: as published, not measured".to_owned());
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

fn codec(table: &mut Table) {
    let rounds = table.rounds();
    let output = Command::new("python3").args(["-c", PYTHON, &rounds.to_string()]).output();
    let said = String::from_utf8(output.expect("python3 is installed").stdout).expect("it prints ASCII");
    let [pack, unpack, text] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said:?}") };
    let large: Dict = decompress(text).expect("Python wrote it");
    let ours = compress(&large).expect("it is within the limits");
    let note = || {
        let json = to_json(&large).map_or(0, |json| json.len());
        format!("{json} B of JSON: {} characters by Python, {} by us", text.len(), ours.len())
    };
    let numbers = |line: &str| line.split(' ').filter_map(|number| number.parse().ok()).collect();
    let compressing = (0..rounds).map(|_| timed(|| compress(&large))).collect();
    let decompressing = (0..rounds).map(|_| timed(|| decompress(text))).collect();
    let target = Target::Times(1.0);
    table.measured("metadata: compressed / Python", target, compressing, numbers(pack), note());
    table.measured("metadata: decompressed / Python", target, decompressing, numbers(unpack), String::new());
}
