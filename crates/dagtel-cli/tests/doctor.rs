//! `dagtel doctor`: a good configuration is found good by really sending; each of many broken ones is named in one line.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use dagtel_testkit::Collector;
use dagtel_testkit::tls::{Authority, Pair, TlsDoor, server_config};

/// The doctor, with nothing of this process's environment but where programs are.
fn doctor(dir: &Path, toml: &str, variables: &[(&str, &str)]) -> Output {
    let file = dir.join("config.toml");
    std::fs::write(&file, toml).expect("the file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_dagtel"));
    command.env_clear().envs(variables.iter().copied()).env("HOME", dir);
    command.args(["doctor", "--config"]).arg(file).output().expect("dagtel can be started")
}

/// A file, variables, and what the one line about them says.
type Broken<'a> = (String, &'a [(&'a str, &'a str)], &'a str);

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_good_configuration_is_sent_to_for_real() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let toml = format!(
        "[traces]\notel_endpoint = \"{}\"\n[metrics]\notel_on = false\n[http_server]\nport = 0\n[spool]\ndir = {:?}\n",
        collector.endpoint(),
        dir.path().join("spool")
    );
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "64"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "8"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
    ];
    let output = doctor(dir.path(), &toml, &variables);
    let text = lines(&output).join("\n");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("answered after") && text.contains("headers authorization"), "{text}");
    assert!(text.contains("off: [metrics] otel_on is false in"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let limits =
        "at most 64 attributes of a span, 8 links of a span, texts of 100 characters in a log record";
    assert!(text.contains(limits), "{text}");
    assert_eq!(collector.requests(), 1);
}

#[test]
fn each_broken_configuration_is_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(std::thread::spawn(move || taken.incoming().for_each(drop)));
    let file = dir.path().join("a_file");
    std::fs::write(&file, "").unwrap();
    let off = "[metrics]\notel_on = false\n[traces]\notel_on = false\n";
    let free = "[http_server]\non = false\n";
    let open_to_all = dir.path().join("open_to_all");
    std::fs::create_dir(&open_to_all).unwrap();
    std::fs::set_permissions(&open_to_all, std::fs::Permissions::from_mode(0o777)).unwrap();
    let broken: [Broken<'_>; 19] = [
        ("[metrics\n".into(), &[], "config.toml:1:9: no TOML"),
        (
            "\n[metric]\n".into(),
            &[],
            "config.toml:2:2: there is no section [metric]; did you mean \"metrics\"?",
        ),
        (
            "[traces]\notel_onn = true\n".into(),
            &[],
            "config.toml:2:1: there is no key \"otel_onn\" in [traces]; did you mean \"otel_on\"?",
        ),
        (
            "[metrics]\nstatsd_onn = true\n".into(),
            &[],
            "config.toml:2:1: there is no key \"statsd_onn\" in [metrics]; did you mean \"statsd_on\"?",
        ),
        ("[metrics]\notel_on = \"yes\"\n".into(), &[], "config.toml:2:11: otel_on must be true or false"),
        ("[metrics]\notel_interval_milliseconds = 0\n".into(), &[], "whole number from 1"),
        (
            "[http_server]\nport = 70000\n".into(),
            &[],
            "config.toml:2:8: port must be a whole number from 0 to 65535",
        ),
        ("[traces]\notel_endpoint = \"collector:4317\"\n".into(), &[], "must begin with http://"),
        (
            "[traces]\notel_ca_file = \"/nowhere/ca.pem\"\n".into(),
            &[],
            "config.toml:2:16: otel_ca_file: /nowhere/ca.pem cannot be read: No such file",
        ),
        ("[traces]\notel_protocol = \"http/json\"\n".into(), &[], "use grpc or http/protobuf"),
        (
            String::new(),
            &[("OTEL_TRACES_EXPORTER", "zipkin")],
            "OTEL_TRACES_EXPORTER: the exporter \"zipkin\"",
        ),
        (
            String::new(),
            &[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
            "OTEL_EXPORTER_OTLP_TIMEOUT: write a whole number",
        ),
        (String::new(), &[("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")], "use gzip or none"),
        (String::new(), &[("OTEL_EXPORTER_OTLP_HEADERS", "a=b,s3cret")], "part 2 is not key=value"),
        (String::new(), &[("DAGTEL_AGENT_HTTP_SERVER__PORT", "http")], "DAGTEL_AGENT_HTTP_SERVER__PORT"),
        (format!("{off}[http_server]\nport = {port}\n"), &[], "/metrics cannot be served on 127.0.0.1"),
        (format!("{off}{free}[spool]\ndir = {file:?}\n"), &[], "is a file; name another one"),
        (
            format!("{off}{free}[spool]\ndir = {open_to_all:?}\n"),
            &[],
            "can be written by everybody (mode 0777); run `chmod 0700` on it",
        ),
        (
            format!("[metrics]\notel_on = false\n[traces]\notel_port = 1\n{free}"),
            &[],
            "does not take traces: Connection refused",
        ),
    ];
    each_is_one_line(dir.path(), &broken);
}

#[test]
fn each_broken_backend_is_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let off = "otel_on = false\n[traces]\notel_on = false\n[http_server]\non = false\n";
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let metrics = |keys: &str| format!("[metrics]\n{keys}\n{off}");
    let broken: [Broken<'_>; 13] = [
        (
            metrics("statsd_on = \"yes\""),
            &[],
            "config.toml:2:13: statsd_on must be true or false, without quotes",
        ),
        (
            metrics("statsd_port = 0"),
            &[],
            "config.toml:2:15: statsd_port must be a whole number from 1 to 65535",
        ),
        (metrics("statsd_port = \"8125\""), &[], "statsd_port must be a whole number from 1 to 65535"),
        (
            metrics("statsd_host = \"udp://statsd:8125\""),
            &[],
            "statsd_host must be a host name or an address, without scheme and port",
        ),
        (metrics("statsd_prefix = 5"), &[], "statsd_prefix must be a text, in quotes"),
        (metrics("timer_unit = \"m\""), &[], "timer_unit must be \"s\" or \"ms\""),
        (
            metrics("metrics_allow_list = \"ti,po(ol\""),
            &[],
            "metrics_allow_list is wrong: \"po(ol\" is no regular",
        ),
        (metrics("metrics_allow_list = \"nothing_like_this\""), &[], "no metric passes metrics_allow_list"),
        (
            metrics("statsd_on = true\nstatsd_datadog_enabled = true\nstatsd_influxdb_enabled = true"),
            &[],
            "statsd_datadog_enabled and statsd_influxdb_enabled are both true",
        ),
        (
            metrics(""),
            &[("DAGTEL_METRICS__STATSD_ON", "on")],
            "DAGTEL_METRICS__STATSD_ON must be true or false",
        ),
        (
            metrics(""),
            &[("DAGTEL_METRICS__STATSD_PORT", "x")],
            "DAGTEL_METRICS__STATSD_PORT must be a whole number",
        ),
        (
            metrics("statsd_on = true\nstatsd_host = \"nowhere.invalid\""),
            &[],
            "statsd://nowhere.invalid:8125 does not take metrics",
        ),
        (
            metrics(&format!("statsd_on = true\nstatsd_host = \"127.0.0.1\"\nstatsd_port = {nobody}")),
            &[],
            "does not take metrics: Connection refused",
        ),
    ];
    each_is_one_line(dir.path(), &broken);
}

fn each_is_one_line(dir: &Path, broken: &[Broken<'_>]) {
    for (toml, variables, part) in broken {
        let output = doctor(dir, toml, variables);
        let lines = lines(&output);
        let wrong: Vec<_> = lines.iter().filter(|line| line.starts_with('✗')).collect();
        println!("{}", wrong.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"));
        assert_eq!(output.status.code(), Some(1), "{toml}: {lines:?}");
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{toml}: {part}: {lines:?}");
        assert!(!lines.join("").contains("s3cret"));
    }
}

#[test]
fn every_backend_is_told_with_what_is_off_and_why() {
    let (dir, daemon) = (tempfile::tempdir().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    daemon.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let port = daemon.local_addr().unwrap().port();
    let toml = format!(
        "[metrics]\notel_on = false\nstatsd_on = true\nstatsd_host = \"127.0.0.1\"\nstatsd_port = {port}\n\
         statsd_datadog_enabled = true\nmetrics_block_list = \"heartbeat\"\ndisabled_tags = \"execution_mode\"\n\
         timer_unit = \"ms\"\n[http_server]\non = false\n"
    );
    let output = doctor(dir.path(), &toml, &[("OTEL_TRACES_EXPORTER", "console")]);
    let text = lines(&output).join("\n");
    println!("{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "traces         off: OTEL_TRACES_EXPORTER is console",
        "metrics        off: [metrics] otel_on is false in",
        &format!(
            "statsd         to dogstatsd://127.0.0.1:{port} (tags as DogStatsD has them) every 10 s as airflow.…: nobody objects"
        ),
        "stdout         traces as lines of OTLP in JSON",
        "without the tags execution_mode; durations in milliseconds",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let mut datagram = [0; 100];
    assert_eq!(daemon.recv(&mut datagram).unwrap(), 0, "it got an empty datagram");
}

#[test]
fn what_is_wrong_with_an_encrypted_receiver_is_told_in_one_line() {
    let (dir, collector) = (tempfile::tempdir().unwrap(), Collector::start());
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let plain = collector.endpoint();
    let door = TlsDoor::open(
        server_config(&ours.sign(&["localhost"]), Some(&ours)),
        plain.trim_start_matches("http://").parse().unwrap(),
    );
    let (port, client) = (door.address().port(), ours.sign(&["engine"]));
    let toml = |url: &str, ca: &Authority, client: Option<&Pair>| {
        let client = client.map_or(String::new(), |pair| {
            format!("otel_cert_file = {:?}\notel_key_file = {:?}\n", pair.cert, pair.key)
        });
        format!(
            "[metrics]\notel_on = false\n[http_server]\non = false\n[spool]\ndir = {:?}\n[traces]\n\
             otel_endpoint = {url:?}\notel_ca_file = {:?}\n{client}",
            dir.path().join("spool"),
            ca.file()
        )
    };
    let (named, addressed) = (format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"));
    let in_clear = format!("http://localhost:{port}");
    let rows = [
        (
            toml(&named, &theirs, None),
            "TLS: the receiver's certificate is signed by no authority that is trusted here",
        ),
        (
            toml(&addressed, &ours, None),
            "TLS: the receiver's certificate is for localhost, not for 127.0.0.1",
        ),
        (toml(&named, &ours, None), "TLS: the receiver wants a client certificate, and none is configured"),
        (toml(&in_clear, &ours, Some(&client)), "the receiver answered in TLS: write https:// for it"),
    ];
    for (toml, part) in rows {
        let output = doctor(dir.path(), &toml, &[]);
        let lines = lines(&output);
        let wrong: Vec<_> = lines.iter().filter(|line| line.starts_with('✗')).collect();
        println!("{wrong:?}");
        assert!(wrong.len() == 1 && wrong[0].contains(part), "{part}: {lines:?}");
    }
    let output = doctor(dir.path(), &toml(&named, &ours, Some(&client)), &[]);
    let text = lines(&output).join("\n");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("to {named} (grpc")) && text.contains("answered after"), "{text}");
}

#[test]
fn json_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dagtel"));
    command.env_clear().env("HOME", dir.path()).env("OTEL_SDK_DISABLED", "true");
    let output = command.args(["doctor", "--json", "--http-port", "0"]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["healthy"], true, "{said}");
    assert_eq!(said["findings"][1]["is"], "off: OTEL_SDK_DISABLED is true");
}
