//! The manifests under `kubernetes/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sidecar::check_folding_agent;
use crate::tested::{
    Tested, collector_image, document, documents, jaeger_image, list, otel_collector, read, scraped, text,
    variables,
};

fn directory(name: &str) -> PathBuf {
    otel_collector().join("kubernetes").join(name)
}

/// The directories that have a kustomization.
fn kustomizations() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory("")).expect("the directory is there");
    let entries = entries.map(|entry| entry.expect("it can be listed").path());
    let mut found: Vec<_> = entries.filter(|path| path.join("kustomization.yaml").exists()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// All objects that a kustomization has.
fn objects(kustomization: &Path) -> Vec<Value> {
    let list_of = document(&kustomization.join("kustomization.yaml"));
    let resources = list(&list_of["resources"]).iter();
    resources.flat_map(|file| documents(&kustomization.join(text(file)))).collect()
}

/// The files in each generated config map.
fn config_maps(kustomization: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let maps = document(&kustomization.join("kustomization.yaml"));
    let maps = list(&maps["configMapGenerator"]).iter().map(|map| {
        let files = list(&map["files"]).iter().map(|file| {
            let path = kustomization.join(text(file));
            assert!(path.exists(), "{} is not there", path.display());
            let (up, name) = text(file).rsplit_once('/').expect("the file is outside the directory");
            assert_eq!(up, "../..", "{file}: the tested file is mounted, not a copy");
            name.to_owned()
        });
        (text(&map["name"]).to_owned(), files.collect())
    });
    maps.collect()
}

fn of_kind<'a>(objects: &'a [Value], kinds: &[&str]) -> Vec<&'a Value> {
    objects.iter().filter(|object| kinds.contains(&text(&object["kind"]))).collect()
}

const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// The ports of a container, by name.
fn ports(container: &Value) -> BTreeMap<&str, u64> {
    let ports = list(&container["ports"]).iter();
    ports.map(|port| (text(&port["name"]), port["containerPort"].as_u64().expect("a number"))).collect()
}

/// Containers and sidecars.
fn containers(workload: &Value) -> Vec<&Value> {
    let pod = &workload["spec"]["template"]["spec"];
    list(&pod["initContainers"]).iter().chain(list(&pod["containers"])).collect()
}

/// The file that a collector or Jaeger is started with must be a tested one, and mounted.
fn check_configured(pod: &Value, container: &Value, maps: &BTreeMap<String, BTreeSet<String>>) {
    let name = text(&container["name"]);
    let arguments: Vec<_> = list(&container["args"]).iter().map(text).collect();
    let files: Vec<_> = arguments
        .iter()
        .zip(arguments.iter().skip(1))
        .filter(|(key, _)| **key == "--config")
        .map(|(_, file)| *file)
        .collect();
    assert!(!files.is_empty(), "{name}: it is started with a configuration");
    let set = variables(&container["env"]);
    let (mut known, mut listening) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let (place, file) = file.rsplit_once('/').expect("a path");
        let mount = list(&container["volumeMounts"]).iter().find(|mount| mount["mountPath"] == place);
        let volume = &mount.unwrap_or_else(|| panic!("{name}: nothing is mounted at {place}"))["name"];
        let volume = list(&pod["volumes"]).iter().find(|other| other["name"] == *volume).expect("its volume");
        let map = maps.get(text(&volume["configMap"]["name"])).expect("its config map is generated");
        assert!(map.contains(file), "{name}: {file} is not in {map:?}");
        let tested = Tested::new(file);
        listening.extend(tested.ports());
        known.extend(tested.variables.into_keys());
    }
    for variable in set.keys() {
        assert!(known.contains(*variable), "{name}: {variable} is not in its configuration");
    }
    for (port, number) in ports(container) {
        assert!(listening.contains(&number), "{name}: nothing listens on {port} {number}");
    }
    if let Some(data) = set.get("DAGTEL_COLLECTOR_DIR") {
        let mounted = list(&container["volumeMounts"]).iter().any(|mount| mount["mountPath"] == *data);
        assert!(mounted, "{name}: {data} is on no volume");
    }
}

/// That a probe asks a port of the container.
fn check_probes(container: &Value) {
    let ports = ports(container);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        if let Some(get) = container[probe].get("httpGet") {
            assert!(ports.contains_key(text(&get["port"])), "{}: {probe}: {get}", container["name"]);
        }
    }
}

#[test]
fn collectors_and_jaeger_run_the_tested_files_on_their_ports() {
    let mut checked = 0;
    for kustomization in kustomizations() {
        let maps = config_maps(&kustomization);
        for workload in of_kind(&objects(&kustomization), &WORKLOADS) {
            let pod = &workload["spec"]["template"]["spec"];
            for container in containers(workload) {
                let name = text(&container["name"]);
                match name {
                    "collector" => assert_eq!(container["image"], collector_image(), "{name}"),
                    "jaeger" => assert_eq!(container["image"], jaeger_image(), "{name}"),
                    // The agent has a test of its own.
                    _ => continue,
                }
                check_configured(pod, container, &maps);
                check_probes(container);
                checked += 1;
            }
        }
    }
    assert!(checked >= 2, "{checked}");
}

#[test]
fn gateways_have_a_folding_agent_and_the_nodes_know_them() {
    let objects = objects(&directory("fleet"));
    let workloads = of_kind(&objects, &WORKLOADS);
    let named = |name: &str| {
        *workloads.iter().find(|workload| workload["metadata"]["name"] == name).expect("it is there")
    };
    let (gateway, node) = (named("gateway"), named("collector-agent"));
    let claims = list(&gateway["spec"]["volumeClaimTemplates"]).iter();
    let claims: BTreeSet<_> = claims.map(|claim| text(&claim["metadata"]["name"])).collect();
    let folding = containers(gateway).into_iter().find(|container| container["name"] == "dagtel-agent");
    check_folding_agent(folding.expect("it is there"), &claims);
    check_probes(folding.expect("it is there"));
    let service = text(&gateway["spec"]["serviceName"]);
    let services = of_kind(&objects, &["Service"]);
    let service = services.iter().find(|other| other["metadata"]["name"] == service).expect("it is there");
    assert_eq!(service["spec"]["clusterIP"], "None", "single pods have names");
    let set = variables(&containers(node)[0]["env"]);
    let (tested, replicas) =
        (Tested::new("gateway.yaml"), gateway["spec"]["replicas"].as_u64().expect("a number"));
    for (variable, port) in
        [("DAGTEL_GATEWAYS", "DAGTEL_OTLP_GRPC_PORT"), ("DAGTEL_GATEWAYS_EVENTS", "DAGTEL_EVENTS_PORT")]
    {
        let port = tested.port(port);
        let wanted: Vec<_> = (0..replicas).map(|n| format!("gateway-{n}.gateway:{port}")).collect();
        assert_eq!(set[variable], format!("[{}]", wanted.join(",")), "{variable}");
    }
    // What the head says of engines.
    let head = read(&directory("fleet").join("kustomization.yaml"));
    let events = Tested::new("agent.yaml").port("DAGTEL_EVENTS_PORT");
    assert!(head.contains(&format!("\"--forward\", \"http://collector-agent.dagtel.svc:{events}\"")));
}

#[test]
fn services_lead_to_ports_of_their_pods() {
    for kustomization in kustomizations() {
        let objects = objects(&kustomization);
        let workloads = of_kind(&objects, &WORKLOADS);
        for service in of_kind(&objects, &["Service"]) {
            let name = text(&service["metadata"]["name"]);
            let selected: Vec<_> = workloads
                .iter()
                .filter(|workload| {
                    workload["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
                })
                .collect();
            assert_eq!(selected.len(), 1, "the service {name} selects one workload");
            let all: BTreeMap<_, _> = containers(selected[0]).into_iter().flat_map(ports).collect();
            for port in list(&service["spec"]["ports"]) {
                let target = all.get(text(&port["targetPort"])).unwrap_or_else(|| panic!("{name}: {port}"));
                assert_eq!(
                    port["port"].as_u64(),
                    Some(*target),
                    "{name}: a service has the port of its pods"
                );
            }
        }
        for workload in workloads {
            let name = text(&workload["metadata"]["name"]);
            let template = &workload["spec"]["template"];
            assert_eq!(template["metadata"]["labels"], workload["spec"]["selector"]["matchLabels"], "{name}");
            let annotations = &template["metadata"]["annotations"];
            if !annotations.is_null() {
                let (port, path) = scraped(annotations);
                let all: BTreeSet<_> =
                    containers(workload).into_iter().flat_map(ports).map(|(_, port)| port).collect();
                assert!(all.contains(&port) && path == "/metrics", "{name}: {port}{path}");
            }
        }
    }
}

#[test]
fn collectors_find_jaeger_by_its_service() {
    for kustomization in kustomizations() {
        let objects = objects(&kustomization);
        for workload in of_kind(&objects, &WORKLOADS) {
            for container in containers(workload) {
                let set = variables(&container["env"]);
                let Some(host) = set.get("DAGTEL_JAEGER_HOST") else { continue };
                let services = of_kind(&objects, &["Service"]);
                let service = services.iter().find(|service| service["metadata"]["name"] == *host);
                let ports = list(&service.unwrap_or_else(|| panic!("no service {host}"))["spec"]["ports"]);
                let wanted = Tested::new("jaeger.yaml").port("DAGTEL_JAEGER_OTLP_PORT");
                assert!(ports.iter().any(|port| port["port"] == wanted), "{host}: {wanted}");
            }
        }
    }
}
