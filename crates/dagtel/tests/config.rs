//! The order in which code, environment and file count, and the standard variables.

use std::path::Path;
use std::time::Duration;

use dagtel::config::{Config, Environment};
use dagtel_drain::Layout;
use dagtel_otlp::{Most, RecordLimits, Signal};
use dagtel_ship::TagStyle;
use dagtel_testkit::tls::Authority;

fn load(toml: &str, variables: &[(&str, &str)]) -> Config {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let file = dir.path().join("config.toml");
    std::fs::write(&file, toml).expect("the file can be written");
    Config::load(Some(&file), &variables.iter().copied().collect()).expect("the configuration is good")
}

fn sent(config: &Config) -> Vec<String> {
    let shown = config.destinations().into_iter().map(|(to, signals)| {
        let signals: Vec<_> = signals.iter().map(|signal| signal.as_str()).collect();
        format!("{} {} {}", to.endpoint, to.protocol, signals.join("+"))
    });
    shown.collect()
}

#[test]
fn defaults_then_file_then_environment_then_code() {
    let nothing = Config::load(None, &Environment::default()).unwrap();
    assert_eq!(sent(&nothing), ["http://127.0.0.1:4317 grpc traces+metrics+logs"]);
    assert_eq!((nothing.prefix.as_str(), nothing.http_port), ("airflow.", 39091));
    let toml = "[metrics]\notel_host = \"file\"\notel_port = 4318\notel_prefix = \"x\"\notel_interval_milliseconds = 5\n\
                [metrics_tags]\nregion = \"eu\"\n[http_server]\nport = 1\n[traces]\nloop_spans = 1";
    let file = load(toml, &[]);
    assert_eq!(
        sent(&file),
        ["http://127.0.0.1:4317 grpc traces+logs", "http://file:4318 http/protobuf metrics"]
    );
    assert_eq!((file.prefix.as_str(), file.metric_interval), ("x.", Duration::from_millis(5)));
    assert_eq!(file.tags, [("region".to_owned(), "eu".to_owned())]);
    assert_eq!((nothing.loop_spans, file.loop_spans), (0.0, 1.0));
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317, http://second:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/v1/traces"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "7"),
        ("DAGTEL_AGENT_HTTP_SERVER__PORT", "2"),
        ("DAGTEL_TRACES__LOOP_SPANS", "0.25"),
    ];
    let mut both = load(toml, &variables);
    let wanted = [
        "http://traces:4318 http/protobuf traces",
        "http://all:4317 grpc metrics+logs",
        "http://second:4318 http/protobuf metrics+logs",
    ];
    assert_eq!(sent(&both), wanted);
    assert_eq!((both.metric_interval, both.http_port), (Duration::from_millis(7), 2));
    assert_eq!(both.loop_spans, 0.25);
    both.traces.send_to(&["http://code:1".parse().unwrap()], None);
    assert_eq!(sent(&both)[0], "http://code:1 grpc traces");
}

#[test]
fn events_go_only_where_somebody_says() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "7")];
    let config = load("", &variables);
    assert_eq!(
        (sent(&config), config.receive),
        (vec!["http://all:4317 grpc traces+metrics+logs".to_owned()], None)
    );
    let config = load("[agent]\nforward = \"http://fold:4319\"\npatience = 7", &variables);
    assert_eq!(sent(&config)[1], "http://fold:4319 grpc events");
    assert_eq!(config.forward.targets[0].delivery.timeout, Duration::from_millis(7));
    let config = load("[agent]\nreceive = \"127.0.0.1:4320\"\ngrace = 1\npatience = 7", &variables);
    assert_eq!(config.receive, "127.0.0.1:4320".parse().ok());
    assert_eq!((config.grace, config.patience), (Duration::from_secs(1), Duration::from_secs(7)));
}

#[test]
fn the_standard_variables_are_honoured() {
    let config = load(
        "",
        &[
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none, otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=general"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Bearer%20x,b=c"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_SERVICE_NAME", "mine"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%2Cb,team=x"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ],
    );
    assert_eq!(config.traces.off.as_deref(), Some("OTEL_TRACES_EXPORTER is none"));
    assert_eq!(sent(&config), ["http://127.0.0.1:4317 http/protobuf metrics+logs"]);
    let delivery = &config.metrics.targets[0].delivery;
    assert_eq!((delivery.timeout, delivery.gzip), (Duration::from_millis(1500), false));
    assert_eq!(delivery.header_names().collect::<Vec<_>>(), ["authorization", "b"]);
    assert_eq!(config.service_name.as_deref(), Some("mine"));
    assert_eq!(config.resource[0], ("deployment.environment.name".to_owned(), "a,b".to_owned()));
    let off = load("", &[("OTEL_SDK_DISABLED", "TRUE")]);
    assert!(off.destinations().is_empty());
}

#[test]
fn the_limits_of_one_kind_count_before_those_of_all() {
    let none = RecordLimits::default();
    assert_eq!(load("", &[]).limits, none);
    let general = [("OTEL_ATTRIBUTE_COUNT_LIMIT", "50"), ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100")];
    let limits = load("", &general).limits;
    let all = Most { attributes: 50, characters: 100 };
    assert_eq!([limits.span, limits.event, limits.link, limits.log], [all; 4]);
    assert_eq!((limits.events, limits.links), (none.events, none.links));
    let own = [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "60"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "0"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "4"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "200"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "300"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "8"),
    ];
    let limits = load("", &general.into_iter().chain(own).collect::<Vec<_>>()).limits;
    let most = |attributes, characters| Most { attributes, characters };
    assert_eq!([limits.span, limits.event, limits.link], [most(60, 200), most(2, 200), most(0, 200)]);
    assert_eq!((limits.log, limits.events, limits.links), (most(4, 300), 7, 8));
}

#[test]
fn backends_stand_side_by_side_and_each_has_its_switch() {
    let said = |config: &Config| {
        let ships = config.ships(&Layout::new("/spool"));
        let shown = ships.iter().map(|to| {
            let signals: Vec<_> = to.signals.iter().map(|signal| signal.as_str()).collect();
            format!("{} {}", to.receiver, signals.join("+"))
        });
        shown.collect::<Vec<_>>()
    };
    let toml = "[metrics]\nstatsd_on = true\nstatsd_host = \"::1\"\nstatsd_prefix = \"x\"\nstdout_on = true\n\
                legacy_names_on = false\ndisabled_tags = \"a, b\"\nmetrics_allow_list = \"ti\"\n";
    let all = load(toml, &[]);
    let otlp = "http://127.0.0.1:4317 traces+metrics+logs";
    assert_eq!(said(&all), [otlp, "statsd://[::1]:8125 metrics", "stdout metrics"]);
    let statsd = all.statsd.as_ref().unwrap();
    assert_eq!(
        (statsd.prefix.as_str(), statsd.legacy_names, statsd.tags),
        ("x.", Some(false), TagStyle::None)
    );
    assert_eq!(statsd.disabled_tags, ["job_id", "run_id"]);
    assert!(
        !all.naming.has_tag("b") && all.naming.has_tag("c") && !all.naming.filter.admits("pool.open_slots")
    );
    let variables = [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("DAGTEL_METRICS__STATSD_DATADOG_ENABLED", "True"),
        ("DAGTEL_METRICS__STATSD_PORT", "1"),
    ];
    assert_eq!(said(&load(toml, &variables)), ["dogstatsd://[::1]:1 metrics", "stdout traces"]);
    // Nobody is sent anything: what others put into the outbox must not stay there.
    let none = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")];
    let none = load("", &none);
    assert_eq!(said(&none), ["none "]);
    assert!(
        !none.disabled
            && ![Signal::Traces, Signal::Metrics, Signal::Logs]
                .map(|signal| none.sends(signal))
                .contains(&true)
    );
    assert_eq!(none.statsd.unwrap_err(), "[metrics] statsd_on is not set");
    let disabled = load(toml, &[("OTEL_SDK_DISABLED", "true")]);
    assert_eq!((said(&disabled), disabled.disabled), (vec!["none ".to_owned()], true));
    // Each signal where it belongs; logs go with spans.
    let apart = load("", &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:4317/v1/metrics")]);
    assert_eq!(said(&apart), ["http://127.0.0.1:4317 traces+logs", "http://m:4317 metrics"]);
    let page = load("[http_server]\non = false", &[("OTEL_METRICS_EXPORTER", "prometheus")]);
    assert_eq!((said(&page), page.http_on), (vec!["http://127.0.0.1:4317 traces+logs".to_owned()], true));
}

#[test]
fn every_problem_is_told_once() {
    let variables = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_SDK_DISABLED", "1")];
    let error = Config::load(Some(Path::new("/nowhere.toml")), &variables.into_iter().collect()).unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
}

#[test]
fn certificates_are_named_by_file_and_variables_key_by_key() {
    let authority = Authority::new("ours");
    let (one, two) = (authority.sign(&["one"]), authority.sign(&["two"]));
    let shown = |path: &Path| path.to_str().expect("it is text").to_owned();
    let toml = format!(
        "[metrics]\notel_host = \"collector\"\notel_ssl_active = true\notel_ca_file = {:?}\notel_cert_file = {:?}\n\
         otel_key_file = {:?}\n[traces]\notel_endpoint = \"https://traces:4318\"",
        authority.file(),
        one.cert,
        one.key
    );
    let file = load(&toml, &[]);
    let wanted = ["https://traces:4318 http/protobuf traces+logs", "https://collector:4317 grpc metrics"];
    assert_eq!(sent(&file), wanted);
    assert!(file.traces.targets[0].delivery.tls.is_empty());
    assert_eq!(file.metrics.targets[0].delivery.tls.ca, Some(authority.file()));
    let (cert, key, ca) = (shown(&two.cert), shown(&two.key), shown(&authority.file()));
    let variables = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", &cert),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", &key),
    ];
    let both = load(&toml, &variables);
    assert_eq!(both.traces.targets[0].delivery.tls.ca, Some(authority.file()));
    assert_eq!(both.traces.targets[0].delivery.tls.cert, None);
    assert_eq!(both.metrics.targets[0].delivery.tls.cert, Some(two.cert.clone()));
    assert_eq!(both.metrics.targets[0].delivery.tls.key, Some(two.key));
}

#[test]
fn certificates_that_cannot_be_used_are_told_with_who_names_them() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let (pair, strange) = (authority.sign(&["engine"]), other.sign(&["other"]));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let text = format!("[traces]\notel_cert_file = {:?}\notel_key_file = {:?}\n", pair.cert, strange.key);
    std::fs::write(&file, text).unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "/nowhere/ca.pem")];
    let error = Config::load(Some(&file), &variables.into_iter().collect()).unwrap_err();
    let [of_file, of_variable] = error.problems() else { panic!("{error}") };
    assert!(of_file.contains("config.toml:3:17: otel_key_file: the key in"), "{of_file}");
    let wanted = "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: /nowhere/ca.pem cannot be read: No such file";
    assert!(of_variable.starts_with(wanted), "{of_variable}");
    let general = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")];
    let error = Config::load(None, &general.into_iter().collect()).unwrap_err();
    assert_eq!(error.problems().len(), 1, "it is told once: {error}");
}
