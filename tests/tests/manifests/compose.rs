//! `docker-compose.yaml`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::tested::{Tested, collector_image, document, jaeger_image, list, otel_collector, read, text};

/// Where a host path is mounted, of the services' `./host:/container:ro`.
fn mounts(service: &Value) -> BTreeMap<&str, &str> {
    let mounts = list(&service["volumes"]).iter().map(|volume| {
        let mut parts = text(volume).split(':');
        (parts.next().expect("a volume has a source"), parts.next().expect("a volume has a target"))
    });
    mounts.collect()
}

#[test]
fn compose_runs_the_tested_files_with_pinned_images() {
    let compose = document(&otel_collector().join("docker-compose.yaml"));
    let services = compose["services"].as_object().expect("there are services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["collector", "grafana", "jaeger", "prometheus"]);
    assert_eq!(services["collector"]["image"], collector_image());
    assert_eq!(services["jaeger"]["image"], jaeger_image());
    for (name, service) in services {
        let image = text(&service["image"]);
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no tag"));
        assert!(tag.chars().any(|c| c.is_ascii_digit()) && tag != "latest", "{name}: {image} is not pinned");
        // The addresses are those of the tests, so the network must be the host's.
        assert_eq!(service["network_mode"], "host", "{name}");
        assert!(service["ports"].is_null(), "{name}: ports are not published on the host's own network");
        for other in list(&service["depends_on"]) {
            assert!(services.contains_key(text(other)), "{name} depends on {other}");
        }
        for (from, to) in mounts(service) {
            if let Some(file) = from.strip_prefix("./") {
                assert!(otel_collector().join(file).exists(), "{name}: {file} is not there");
            } else {
                assert!(compose["volumes"].get(from).is_some(), "{name}: the volume {from} is not declared");
            }
            assert!(to.starts_with('/'), "{name}: {to}");
        }
    }
}

#[test]
fn compose_starts_each_program_with_the_file_that_is_mounted() {
    let compose = document(&otel_collector().join("docker-compose.yaml"));
    let services = &compose["services"];
    for (service, file) in [("collector", "single.yaml"), ("jaeger", "jaeger.yaml")] {
        let command = list(&services[service]["command"]);
        assert_eq!(command[0], "--config", "{service}");
        let mounts = mounts(&services[service]);
        assert_eq!(mounts.get(&*format!("./{file}")), Some(&text(&command[1])), "{service}");
        let set = services[service]["environment"].as_object();
        Tested::new(file).has_variables(set.into_iter().flat_map(|set| set.keys().map(String::as_str)));
    }
    let prometheus = list(&services["prometheus"]["command"]);
    let prometheus: Vec<_> = prometheus.iter().map(text).collect();
    let mounted = mounts(&services["prometheus"]);
    let file = prometheus.iter().find_map(|argument| argument.strip_prefix("--config.file="));
    assert_eq!(file, mounted.get("./prometheus.yaml").copied());
    assert_eq!(mounted.get("prometheus"), Some(&"/prometheus"));
    assert!(prometheus.contains(&"--storage.tsdb.path=/prometheus"));
    // The directory of rules is named beside the configuration, as the configuration names it.
    let beside = file
        .and_then(|file| file.rsplit_once('/'))
        .map(|(directory, _)| directory.to_owned() + "/prometheus");
    assert_eq!(mounted.get("./prometheus").copied(), beside.as_deref());
    let data = text(&services["collector"]["environment"]["DAGTEL_COLLECTOR_DIR"]);
    assert_eq!(mounts(&services["collector"]).get("collector"), Some(&data));
}

#[test]
fn what_compose_says_at_its_head_is_so() {
    let text = read(&otel_collector().join("docker-compose.yaml"));
    let head: String = text.lines().take_while(|line| line.starts_with('#')).collect();
    let (single, jaeger) = (Tested::new("single.yaml"), Tested::new("jaeger.yaml"));
    for port in [single.port("DAGTEL_OTLP_GRPC_PORT"), jaeger.port("DAGTEL_JAEGER_QUERY_PORT"), 9090, 3000] {
        assert!(head.contains(&format!("http://127.0.0.1:{port}")), "port {port}");
    }
    assert_eq!(single.port("DAGTEL_JAEGER_OTLP_PORT"), jaeger.port("DAGTEL_JAEGER_OTLP_PORT"));
    assert!(
        text.contains("--web.listen-address=127.0.0.1:9090")
            && text.contains("GF_SERVER_HTTP_PORT: \"3000\"")
    );
    // What Prometheus asks is what the collector serves.
    let prometheus = read(&otel_collector().join("prometheus.yaml"));
    for port in [single.port("DAGTEL_METRICS_PORT"), single.port("DAGTEL_COLLECTOR_SELF_PORT")] {
        assert!(prometheus.contains(&format!("127.0.0.1:{port}")), "port {port}");
    }
}

#[test]
fn grafana_finds_its_dashboards_and_its_data_sources() {
    let compose = document(&otel_collector().join("docker-compose.yaml"));
    let grafana = &compose["services"]["grafana"];
    let mounts = mounts(grafana);
    assert_eq!(mounts.get("./grafana/provisioning"), Some(&"/etc/grafana/provisioning"));
    let providers = document(&otel_collector().join("grafana/provisioning/dashboards/dagtel.yaml"));
    assert_eq!(
        Some(&text(&providers["providers"][0]["options"]["path"])),
        mounts.get("./grafana/dashboards")
    );
    let hosts: BTreeMap<_, _> =
        list(&grafana["extra_hosts"]).iter().filter_map(|host| text(host).split_once(':')).collect();
    let sources = document(&otel_collector().join("grafana/provisioning/datasources/dagtel.yaml"));
    let sources = list(&sources["datasources"]);
    assert_eq!(sources.len(), 2);
    for source in sources {
        let url = text(&source["url"]).strip_prefix("http://").expect("it is reached by http");
        let (host, port) = url.split_once(':').expect("it names a port");
        assert_eq!(hosts.get(host), Some(&"127.0.0.1"), "{host}");
        let wanted = match host {
            "jaeger" => Tested::new("jaeger.yaml").port("DAGTEL_JAEGER_QUERY_PORT"),
            _ => 9090,
        };
        assert_eq!(port, wanted.to_string(), "{host}");
    }
}
