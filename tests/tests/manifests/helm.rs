//! The values for Helm charts under `helm/`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::sidecar::check_folding_agent;
use crate::tested::{
    Tested, collector_image, document, list, otel_collector, read, scraped, text, variables,
};

fn file(name: &str) -> PathBuf {
    otel_collector().join("helm").join(name)
}

#[test]
fn values_of_the_collectors_chart_run_the_tested_files_on_their_ports() {
    let all = [("single.yaml", "deployment"), ("agent.yaml", "daemonset"), ("gateway.yaml", "statefulset")];
    for (name, mode) in all {
        let (values, tested) = (document(&file(name)), Tested::new(name));
        assert_eq!(values["mode"], mode, "{name}");
        let image = format!("{}:{}", text(&values["image"]["repository"]), text(&values["image"]["tag"]));
        assert_eq!(image, collector_image(), "{name}");
        assert_eq!(values["command"]["name"], "otelcol-contrib", "{name}");

        // The chart makes no configuration of its own, and the head says how to hand over the tested file.
        assert_eq!(values["configMap"]["create"], false, "{name}");
        let map = text(&values["configMap"]["existingName"]);
        let head = read(&file(name));
        let made = format!("kubectl create configmap {map} --from-file=relay=otel-collector/{name}");
        assert!(head.contains(&made), "{name}: {made}");
        assert!(head.contains("--version 0.145.0"), "{name}: the chart of the collector's version");

        let set = variables(&values["extraEnvs"]);
        tested.has_variables(set.keys().copied());
        let mounts = list(&values["extraVolumeMounts"]);
        assert!(mounts.iter().any(|mount| mount["mountPath"] == set["DAGTEL_COLLECTOR_DIR"]), "{name}");

        let ports = values["ports"].as_object().expect("there are ports");
        let on = ports.iter().filter(|(_, port)| port["enabled"] == true);
        let on: BTreeSet<u64> = on
            .map(|(port, is)| {
                assert_eq!(is["containerPort"], is["servicePort"], "{name}: {port}");
                is["containerPort"].as_u64().expect("a number")
            })
            .collect();
        for variable in [
            "DAGTEL_OTLP_GRPC_PORT",
            "DAGTEL_OTLP_HTTP_PORT",
            "DAGTEL_EVENTS_PORT",
            "DAGTEL_METRICS_PORT",
            "DAGTEL_COLLECTOR_SELF_PORT",
        ] {
            let there = tested.variables.contains_key(variable);
            assert!(
                !there || on.contains(&tested.port(variable)),
                "{name}: {variable} is no port of the pod"
            );
        }
        assert!(on.is_subset(&tested.ports()), "{name}: {on:?}");
        let (port, path) = scraped(&values["podAnnotations"]);
        assert!(on.contains(&port) && path == "/metrics", "{name}");
        let health = tested.port("DAGTEL_HEALTH_PORT");
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(values[probe]["httpGet"]["port"], health, "{name}: {probe}");
        }
    }
}

#[test]
fn the_agents_of_the_nodes_know_the_gateways_by_name_and_port() {
    let (agent, gateway) = (document(&file("agent.yaml")), document(&file("gateway.yaml")));
    let (set, tested) = (variables(&agent["extraEnvs"]), Tested::new("gateway.yaml"));
    let (name, replicas) =
        (text(&gateway["fullnameOverride"]), gateway["replicaCount"].as_u64().expect("a number"));
    for (variable, port) in
        [("DAGTEL_GATEWAYS", "DAGTEL_OTLP_GRPC_PORT"), ("DAGTEL_GATEWAYS_EVENTS", "DAGTEL_EVENTS_PORT")]
    {
        let port = tested.port(port);
        let wanted: Vec<_> = (0..replicas).map(|n| format!("{name}-{n}.{name}:{port}")).collect();
        assert_eq!(set[variable], format!("[{}]", wanted.join(",")), "{variable}");
    }
    assert_eq!(gateway["service"]["clusterIP"], "None", "single pods have names");
    let claims = list(&gateway["statefulset"]["volumeClaimTemplates"]).iter();
    let claims: BTreeSet<_> = claims.map(|claim| text(&claim["metadata"]["name"])).collect();
    check_folding_agent(&gateway["extraContainers"][0], &claims);
}
