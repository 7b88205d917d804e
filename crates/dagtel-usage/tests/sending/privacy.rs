//! What is in a request: allowed metrics, and nothing of the user's.

use dagtel_usage::json::{Dict, Value};
use dagtel_usage::listener::{
    DAG_RUN, DagRunFacts, DagTasks, Profile, Status, TASK_INSTANCE, TaskInstanceFacts, dag_run_metrics,
    task_instance_metrics,
};
use dagtel_usage::{Consent, Emitter, StandardMetrics, allowed, metadata};

use crate::warnings::Log;
use dagtel_testkit::gateway::{HUNG, Server, says};

/// What people have in the names of tasks, in errors and in configuration.
const SECRETS: [&str; 16] = [
    "/home/ada/projects/acme/dbt_project.yml",
    "C:\\Users\\ada\\profiles.yml",
    "postgresql://ada:hunter2@db.internal:5432/prod",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig",
    "password=correct horse battery staple",
    "AKIAIOSFODNN7EXAMPLE/wJalrXUtnFEMI",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a!",
    "-----BEGIN PRIVATE KEY-----",
    "ada.lovelace@acme.example",
    "s3://acme-secret-bucket/key",
    "FATAL: password authentication rejected for user \"ada\"",
    "Traceback (most recent call last): File \"/opt/airflow/dags/acme.py\"",
    "10.0.0.17:5432",
    "--vars={\"token\": \"t0ps3cret\"}",
    "SELECT * FROM customers WHERE name = 'ada'",
    "ключ-от-квартиры",
];

fn with<T: Into<Value>>(entries: impl IntoIterator<Item = (String, T)>) -> Dict {
    entries.into_iter().map(|(key, value)| (key, value.into())).collect()
}

#[test]
fn only_allowed_metrics_and_nothing_secret_is_sent() {
    let _log = Log::begin();
    let server = Server::http(says("200 OK"));
    let standard = StandardMetrics::new("1.15.1", "3.0.2", "3.11.7");
    let emitter = Emitter::new(Consent::default(), standard, Some(server.gateway()), server.environment(&[]));
    let mut sent = 0;
    for secret in SECRETS {
        for event in [run(secret), task(secret)] {
            sent += u64::from(emitter.emit_usage_metrics_if_enabled(event.0, || event.1));
        }
        // A caller who puts it everywhere: as every allowed metric, and as a metric of its own.
        let everywhere = with(allowed::metrics().chain([secret]).map(|name| (name.to_owned(), secret)));
        sent += u64::from(emitter.emit_usage_metrics_if_enabled("dbt_docs_access", || everywhere.clone()));
        sent += u64::from(emitter.emit_usage_metrics("dbt_docs_access", everywhere));
        let typed = with([("event_type".to_owned(), secret)]);
        assert!(
            !emitter.emit_usage_metrics_if_enabled(DAG_RUN, || typed),
            "the type is no place for it either"
        );
    }
    assert!(emitter.flush(HUNG));
    assert_eq!((emitter.stats().sent, sent), (4 * SECRETS.len() as u64, 4 * SECRETS.len() as u64));

    for head in server.heads() {
        let target = head.split(' ').nth(1).expect("a request line");
        let (_, query) = target.split_once('?').expect("a query");
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, _) = pair.split_once('=').expect("a value");
            assert!(allowed::metrics().any(|name| name == key), "{key} in {target}");
        }
        let shown = unquoted(target);
        for word in SECRETS.iter().flat_map(|secret| secret.split_whitespace()).filter(|word| word.len() > 5)
        {
            assert!(!shown.contains(word), "{word} in {shown}");
        }
    }
}

/// A run with the secret in every text that a listener is told.
fn run(secret: &str) -> (&'static str, Dict) {
    let entries = ["database", "invocation_mode", "test_behavior", "dag_id", secret];
    let blob = metadata::compress(&with(entries.map(|name| (name.to_owned(), secret)))).expect("it is small");
    let module = format!("cosmos.operators.{secret}");
    let facts = DagRunFacts {
        dag_id: secret,
        dag_hash: None,
        status: Status::Failed,
        tasks: DagTasks::of(["cosmos.operators.local", &module, secret]),
        metadata: Some(&blob),
    };
    (DAG_RUN, dag_run_metrics(&facts).expect("Cosmos has a task in it"))
}

fn task(secret: &str) -> (&'static str, Dict) {
    let facts = TaskInstanceFacts {
        status: Status::Failed,
        operator_name: secret,
        module: secret,
        is_dbt_operator: true,
        invocation_mode: Some(secret),
        execution_mode: Some(secret),
        profile: Some(Profile::Mapping { class: Some(secret), database: Some(secret) }),
        map_index: Some(3),
        dbt_command: &["run", secret, "--vars", secret],
        install_deps: Some(true),
        has_callback: true,
        duration: None,
    };
    (TASK_INSTANCE, task_instance_metrics(&facts).expect("it is a dbt operator"))
}

fn unquoted(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code =
            behind.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).replace('+', " ")
}
