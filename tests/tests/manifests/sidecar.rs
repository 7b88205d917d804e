//! `dagtel agent` beside an engine, in `kubernetes/engine`, and the image that it runs.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use dagtel::config::{Config, Environment};
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::command::dagtel;
use serde_json::Value;

use crate::tested::{Tested, document, list, otel_collector, read, root, scraped, text, variables};

fn engine() -> Value {
    document(&otel_collector().join("kubernetes/engine/engine.yaml"))
}

#[test]
fn the_sidecar_has_the_agents_ports_paths_and_variables() {
    let workload = engine();
    let template = &workload["spec"]["template"];
    let pod = &template["spec"];
    let agent = &pod["initContainers"][0];
    let defaults = Config::load(None, &Environment::default()).expect("nothing is said");
    let port = u64::from(defaults.http_port);
    assert_eq!(agent["args"], serde_json::json!(["agent"]));
    assert_eq!(agent["restartPolicy"], "Always", "it is a sidecar");
    assert_eq!(agent["ports"][0]["containerPort"], port);
    assert_eq!(scraped(&template["metadata"]["annotations"]), (port, "/metrics"));
    let known = read(&root().join("crates/dagtel/src/config/environment.rs"));
    let set = variables(&agent["env"]);
    for name in
        set.keys().filter(|name| **name != "OTEL_EXPORTER_OTLP_ENDPOINT" && **name != "DAGTEL_SPOOL_DIR")
    {
        assert!(known.contains(&format!("\"{name}\"")), "nothing reads {name}");
    }
    // What it is told is understood.
    let config = Config::load(None, &set.iter().map(|(name, value)| (*name, *value)).collect());
    let config = config.expect("the variables are good");
    assert_eq!(config.http_host.to_string(), "0.0.0.0");
    assert_eq!(config.spool.expect("it is named").to_str(), Some(set["DAGTEL_SPOOL_DIR"]));

    // It sends to the collector of kubernetes/single.
    let endpoint = config.traces.targets[0].endpoint.to_string();
    let single = document(&otel_collector().join("kubernetes/single/kustomization.yaml"));
    let namespace = text(&single["namespace"]);
    let otlp = Tested::new("single.yaml").port("DAGTEL_OTLP_GRPC_PORT");
    assert_eq!(endpoint, format!("http://collector.{namespace}.svc:{otlp}"));

    // Engine and agent share the volume, and the user.
    let engine = &pod["containers"][0];
    assert_eq!((&engine["volumeMounts"], &engine["env"]), (&agent["volumeMounts"], &agent["env"]));
    let mount = &agent["volumeMounts"][0];
    let volume =
        list(&pod["volumes"]).iter().find(|volume| volume["name"] == mount["name"]).expect("it is there");
    assert!(volume["emptyDir"].is_object());
    let below = set["DAGTEL_SPOOL_DIR"].strip_prefix(text(&mount["mountPath"]));
    assert!(below.is_some_and(|below| below.len() > 1), "a directory of its own below the volume");
    assert!(pod["securityContext"]["runAsUser"].is_u64());
    for container in [engine, agent] {
        assert!(container["securityContext"]["runAsUser"].is_null(), "one user for both");
    }
}

/// An agent beside a gateway: it takes events where gateway.yaml sends them, and sends where that takes OTLP.
pub(crate) fn check_folding_agent(agent: &Value, claims: &BTreeSet<&str>) {
    let gateway = Tested::new("gateway.yaml");
    let receive = format!("{}:{}", gateway.variables["DAGTEL_FOLD_HOST"], gateway.port("DAGTEL_FOLD_PORT"));
    assert_eq!(agent["args"], serde_json::json!(["agent", "--receive", receive]));
    let set = variables(&agent["env"]);
    let config = Config::load(None, &set.iter().map(|(name, value)| (*name, *value)).collect());
    let config = config.expect("the variables are good");
    let otlp = format!("http://127.0.0.1:{}", gateway.port("DAGTEL_OTLP_GRPC_PORT"));
    assert_eq!(config.traces.targets[0].endpoint.to_string(), otlp);
    let port = u64::from(Config::load(None, &Environment::default()).expect("nothing is said").http_port);
    assert_eq!(agent["ports"][0]["containerPort"], port);
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(agent[probe]["httpGet"]["path"], path, "{probe}");
    }
    let mount = &agent["volumeMounts"][0];
    assert!(claims.contains(text(&mount["name"])), "its spool is on a volume that stays");
    assert!(set["DAGTEL_SPOOL_DIR"].starts_with(text(&mount["mountPath"])));
}

#[test]
fn the_agent_answers_what_the_sidecar_is_asked() {
    let workload = engine();
    let agent = &workload["spec"]["template"]["spec"]["initContainers"][0];
    let (_, page) = scraped(&workload["spec"]["template"]["metadata"]["annotations"]);
    let probes = ["startupProbe", "livenessProbe"].map(|probe| text(&agent[probe]["httpGet"]["path"]));
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    // Nobody is there to take anything: an agent is alive all the same, or it would be restarted for the receiver's fault.
    let (_agent, address) = Agent::start_serving(&dir.path().join("spool"), "http://127.0.0.1:1");
    for path in probes.into_iter().chain([page]) {
        let answer = ureq::get(format!("http://{address}{path}")).call();
        assert_eq!(answer.map(|answer| answer.status().as_u16()).expect("it answers"), 200, "{path}");
    }
    let ready = ureq::get(format!("http://{address}/readyz")).call();
    println!("/readyz without a receiver: {:?}", ready.map(|answer| answer.status()));
}

#[test]
fn a_spool_directory_below_a_volume_that_others_may_write_to_is_used() {
    let volume = tempfile::tempdir().expect("there is a temporary directory");
    // As Kubernetes makes an emptyDir with an fsGroup.
    let mode = std::fs::Permissions::from_mode(0o2777);
    std::fs::set_permissions(volume.path(), mode).expect("it is ours");
    let run = |spool: &std::path::Path| {
        let mut command = dagtel();
        command.env("DAGTEL_SPOOL_DIR", spool).args([
            "exec",
            "--dag-id",
            "d",
            "--run-id",
            "r",
            "--task-id",
            "t",
            "--",
            "true",
        ]);
        command.output().expect("dagtel can be started")
    };
    let below = volume.path().join("spool");
    let output = run(&below);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(below.join("journal").is_dir());
    let output = run(volume.path());
    assert!(output.status.success(), "the command runs all the same");
    assert!(!volume.path().join("journal").exists(), "the volume itself is refused");
}

#[test]
fn the_image_is_built_with_the_toolchain_and_the_command_of_this_workspace() {
    let dockerfile = read(&root().join("Dockerfile"));
    let manifest = read(&root().join("Cargo.toml"));
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.expect("the key is there").trim_end_matches('"').to_owned()
    };
    let (rust, version) = (value("rust-version"), value("version"));
    assert!(dockerfile.contains(&format!("FROM rust:{rust}-")), "the toolchain of rust-version");
    assert!(dockerfile.contains("cargo build --release --locked -p dagtel-cli"));
    assert!(dockerfile.contains("ENTRYPOINT [\"/usr/local/bin/dagtel\"]"));
    let agent = &engine()["spec"]["template"]["spec"]["initContainers"][0]["image"];
    assert_eq!(agent, &format!("dagtel:{version}"));
    assert!(dockerfile.contains(&format!("docker build -t dagtel:{version} .")));
}
