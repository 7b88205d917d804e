//! Real collectors in TLS with client certificates: from an agent to a collector, and from collector to collector. With
//! the right certificate data passes; without it nothing does, nothing is lost, and it is told why.

use std::path::Path;
use std::time::Duration;

use dagtel::core::id::RunIds;
use dagtel::core::key::RunKey;
use dagtel::{DagRun, Dagtel, TaskInstance};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::dagtel;
use dagtel_system_tests::part::Part;
use dagtel_system_tests::{Setup, Stack, wait};
use dagtel_testkit::tls::{Authority, Pair};

const LIMIT: Duration = Duration::from_secs(30);

/// The directory that the configurations expect, with a pair and those whom its owner trusts.
fn tls_dir(dir: &Path, pair: &Pair, trusted: &Authority) -> String {
    std::fs::create_dir_all(dir).expect("the directory can be made");
    let files = [(&pair.cert, "tls.crt"), (&pair.key, "tls.key"), (&trusted.file(), "ca.crt")];
    for (from, to) in files {
        std::fs::copy(from, dir.join(to)).expect("the file can be copied");
    }
    dir.display().to_string()
}

fn in_tls(url: &str) -> String {
    url.replace("http://", "https://")
}

/// One run with one task, reported into the spool directory; gives its trace id.
fn report_run(spool: &Path, run_id: &str) -> String {
    let dagtel = Dagtel::builder("engine").spool(spool).reporter().expect("the directory can be used");
    let run = dagtel.start(DagRun::new("tls", run_id.to_owned()));
    run.start(TaskInstance::new("load").operator("bash")).success();
    run.success();
    RunIds::of(&RunKey::new("tls", run_id)).trace_id.to_string()
}

/// What the doctor says of an endpoint.
fn doctor((protocol, endpoint): (&str, &str), spool: &Path, variables: &[(&str, String)]) -> String {
    let mut command = dagtel();
    command.args(["doctor", "--endpoint", endpoint, "--protocol", protocol, "--spool"]).arg(spool);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("dagtel can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().find(|line| line.contains("traces")).unwrap_or_default().to_owned()
}

#[test]
fn an_agent_reaches_a_collector_with_its_certificate_only() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = ours.sign(&["localhost", "127.0.0.1"]);
    let dir = tls_dir(&ours.dir().join("collector"), &server, &ours);
    let setup = Setup {
        configurations: &["single.yaml", "single-tls.yaml"],
        environment: vec![("DAGTEL_TLS_DIR", dir)],
    };
    let Some(stack) = Stack::start_as("tls_agent", &setup) else { return };
    let variables = |ca: &Authority, client: Option<&Pair>| {
        let mut all = vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.file().display().to_string())];
        if let Some(pair) = client {
            all.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", pair.cert.display().to_string()));
            all.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", pair.key.display().to_string()));
        }
        all
    };
    let (client, strange) = (ours.sign(&["engine"]), theirs.sign(&["engine"]));
    let spool = stack.directory().join("spool");

    // What is wrong, in the words of each protocol, against the real thing.
    let (grpc, http) = (stack.otlp_grpc(), stack.otlp_http());
    let (safe_grpc, safe_http) = (in_tls(&grpc), in_tls(&http));
    for (safe, clear, in_clear) in [
        (("grpc", &*safe_grpc), ("grpc", &*grpc), "does it want TLS (https://)?"),
        (("http/protobuf", &safe_http), ("http/protobuf", &http), "the receiver wants TLS: write https://"),
    ] {
        let rows = [
            (safe, &ours, None, "the receiver wants a client certificate, and none is configured"),
            (safe, &ours, Some(&strange), "the receiver does not take our client certificate"),
            (safe, &theirs, Some(&client), "signed by no authority that is trusted here"),
            (clear, &ours, Some(&client), in_clear),
        ];
        for (endpoint, ca, client, wanted) in rows {
            let said = doctor(endpoint, &spool, &variables(ca, client));
            println!("{said}");
            assert!(said.starts_with('✗') && said.contains(wanted), "{endpoint:?}: wanted {wanted}: {said}");
        }
        let said = doctor(safe, &spool, &variables(&ours, Some(&client)));
        println!("{said}");
        assert!(said.contains(safe.0) && said.contains("answered after"), "{said}");
    }

    // An agent with no certificate delivers nothing and keeps everything; the next one delivers it.
    let id = report_run(&spool, "kept");
    let agent = Agent::start_with_environment(&spool, &safe_grpc, &variables(&ours, None));
    wait::until("a frame in the outbox", LIMIT, || match frames(&spool) {
        0 => Err("there is none".to_owned()),
        n => Ok(n),
    });
    drop(agent);
    assert!(stack.traces().trace(&id).is_err(), "nothing passes without a certificate");
    let _agent = Agent::start_with_environment(&spool, &safe_grpc, &variables(&ours, Some(&client)));
    let trace = stack.traces().wait_for_trace(&id, |trace| trace.spans.len() == 2, LIMIT);
    assert!(trace.spans.iter().all(|span| span.warnings.is_empty()));
    println!("2 spans of a run that was refused before, delivered once the certificate was right");
}

fn frames(spool: &Path) -> usize {
    let outbox = spool.join("outbox");
    let streams = dagtel_spool::inspect(&outbox).unwrap_or_default();
    streams.iter().filter(|stream| stream.bytes > 0).count()
}

#[test]
fn collectors_reach_a_gateway_with_their_certificates_only() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (gateway, client, strange) =
        (ours.sign(&["gateway", "127.0.0.1"]), ours.sign(&["host-1"]), theirs.sign(&["host-2"]));
    let dir = |name: &str, pair: &Pair, trusted: &Authority| tls_dir(&ours.dir().join(name), pair, trusted);
    let gateway = Setup {
        configurations: &["gateway.yaml", "gateway-tls.yaml"],
        environment: vec![
            ("DAGTEL_TLS_DIR", dir("gateway", &gateway, &ours)),
            ("DAGTEL_DECISION_WAIT", "200ms".to_owned()),
            ("DAGTEL_KEEP_PERCENT", "100".to_owned()),
        ],
    };
    let Some(stack) = Stack::start_as("tls_tiers", &gateway) else { return };
    let host = |name: &'static str, configurations: &[&str], tls: String| -> (Part, String) {
        let environment = vec![("DAGTEL_TLS_DIR", tls)];
        stack.collector_before(name, Setup { configurations, environment })
    };
    let encrypted = ["agent.yaml", "agent-tls.yaml"];
    let rows = [
        ("right", &encrypted[..], dir("right", &client, &ours), None),
        // TLS 1.3 tells a client only after the handshake that its certificate is not taken.
        ("strange", &encrypted, dir("strange", &strange, &ours), Some("unknown certificate authority")),
        (
            "distrustful",
            &encrypted,
            dir("distrustful", &client, &theirs),
            Some("signed by unknown authority"),
        ),
        ("in_clear", &encrypted[..1], dir("in_clear", &client, &ours), Some("error reading server preface")),
    ];
    for (name, configurations, tls, wrong) in rows {
        let (mut collector, endpoint) = host(name, configurations, tls.clone());
        let spool = stack.directory().join(format!("spool-{name}"));
        let id = report_run(&spool, name);
        let _agent = Agent::start_with_environment(&spool, &endpoint, &[]);
        let whole = |trace: &dagtel_system_tests::jaeger::Trace| trace.spans.len() == 2;
        if let Some(wrong) = wrong {
            wait::until(wrong, LIMIT, || {
                let log = collector.log();
                if log.contains(wrong) { Ok(()) } else { Err(log) }
            });
            assert!(stack.traces().trace(&id).is_err(), "{name}: nothing passes");
            println!("{name}: refused: {wrong}");
            if configurations.len() < 2 {
                continue;
            }
            // What the collector had accepted is in its queue on disk, and passes with the right certificate.
            collector.stop();
            dir(name, &client, &ours);
            collector.start();
        }
        stack.traces().wait_for_trace(&id, whole, LIMIT);
        println!("{name}: a whole trace of 2 spans at Jaeger");
    }
    let metrics = stack.metrics_page().expect("the gateway answers");
    assert!(metrics.contains("airflow_ti_finish_total{"), "metrics pass too: {metrics}");
}
