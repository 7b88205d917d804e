//! What a listener is told, and the metrics that come of it.

use std::time::Duration;

use dagtel_usage::json::{Dict, Value};
use dagtel_usage::listener::{
    DagRunFacts, DagTasks, Profile, Status, TaskInstanceFacts, dag_hash, dag_run_metrics, execution_mode,
    execution_modes, task_instance_metrics,
};
use dagtel_usage::{StandardMetrics, UsageEvent, allowed, metadata};

const LOCAL: &str = "cosmos.operators.local";

fn run<'a>(modules: &[&'a str]) -> DagRunFacts<'a> {
    DagRunFacts {
        dag_id: "basic_cosmos_dag",
        dag_hash: None,
        status: Status::Success,
        tasks: DagTasks::of(modules.iter().copied()),
        metadata: None,
    }
}

fn run_metrics(facts: &DagRunFacts<'_>) -> Dict {
    dag_run_metrics(facts).expect("Cosmos has a task in it")
}

fn task<'a>() -> TaskInstanceFacts<'a> {
    TaskInstanceFacts {
        status: Status::Success,
        operator_name: "DbtRunLocalOperator",
        module: LOCAL,
        is_dbt_operator: true,
        invocation_mode: Some("dbt_runner"),
        execution_mode: None,
        profile: None,
        map_index: None,
        dbt_command: &["run"],
        install_deps: Some(true),
        has_callback: false,
        duration: Some(Duration::from_secs(7)),
    }
}

fn task_metrics(facts: &TaskInstanceFacts<'_>) -> Dict {
    task_instance_metrics(facts).expect("a task of Cosmos")
}

/// The metrics as Python would show them.
fn shown(metrics: &Dict) -> String {
    metadata::to_json(metrics).expect("they are few")
}

fn allowed_is_all(event_type: &str, metrics: Dict) {
    let mut event =
        UsageEvent::new(event_type, &StandardMetrics::new("1.15.1", "3.0.2+astro.1", "3.11.7"), metrics);
    assert_eq!(allowed::keep_allowed(&mut event), Ok(Vec::new()));
}

#[test]
fn every_task_of_cosmos_counts() {
    assert_eq!(run_metrics(&run(&[LOCAL; 13]))["cosmos_task_count"], 13_i64.into());
}

#[test]
fn tasks_of_cosmos_count_among_others() {
    let modules =
        ["airflow.operators.bash", LOCAL, "cosmos.operators.watcher", "acme.operators", "cosmosis.x.y"];
    let metrics = run_metrics(&run(&modules));
    assert_eq!((&metrics["task_count"], &metrics["cosmos_task_count"]), (&5_i64.into(), &2_i64.into()));
    assert_eq!(metrics["execution_modes"], "local__watcher".into());
}

#[test]
fn one_task_of_cosmos_is_enough() {
    let metrics = run_metrics(&run(&["airflow.operators.bash", LOCAL]));
    assert_eq!(metrics["cosmos_task_count"], 1_i64.into());
    assert_eq!(metrics["execution_modes"], "local".into());
}

#[test]
fn a_dag_without_cosmos_is_no_event() {
    assert_eq!(dag_run_metrics(&run(&[])), None);
    assert_eq!(dag_run_metrics(&run(&["airflow.operators.bash", "acme.dbt"])), None);
}

#[test]
fn a_module_of_two_parts_has_no_execution_mode() {
    assert_eq!(
        execution_modes(["cosmos.x", "cosmos.operators.docker.y", "cosmos.operators.docker"]),
        ["docker"]
    );
    assert_eq!(execution_mode("cosmos.operators.local.fake"), Some("local"));
    assert_eq!(execution_mode("cosmos.airflow.dag"), None);
    assert_eq!(execution_mode("cosmos.operators"), None);
}

#[test]
fn a_run_that_succeeded() {
    assert_eq!(
        shown(&run_metrics(&run(&[LOCAL, "airflow.operators.bash"]))),
        r#"{"dag_hash": "6875b74ab06e3beebabe66286afddf1b", "status": "success", "task_count": 2, "#
            .to_owned()
            + r#""cosmos_task_count": 1, "execution_modes": "local"}"#
    );
    assert_eq!(dag_hash("probe"), "8da843ff65205a61374b09b81ed0fa35");
}

#[test]
fn a_run_that_failed() {
    let facts = DagRunFacts { status: Status::Failed, dag_hash: Some("0c7b"), ..run(&[LOCAL]) };
    let metrics = run_metrics(&facts);
    assert_eq!((&metrics["status"], &metrics["dag_hash"]), (&"failed".into(), &"0c7b".into()));
    allowed_is_all("dag_run", metrics);
}

const OF_A_MAPPING: &str = concat!(
    "eNplj8FqxDAMRH8l+NxrL/sPhVx6FoqtZA2OZSQ5pZT991rplu3So+bNDKOv0JUSYDfe0XKEwphg50ThMpl0eplCrgfHAbn+gpAW",
    "A+m1koTToIalQKKmj9goVqgjAJHrQWLDfJlWLOrUSA0WuuKR2fWA6zAAYbx6pXKXSE+GypUcYbSO5WnouaeoU+MxBfx2VnzPq/dR",
    "oWjj03+kCa+5EKgJGm2fXrdja7lu4Q++SxALqkfDzGqbkL4ryTy0D5Y0/5jfHvGEhgvqObLdE+H2DTgfhGw=",
);

#[test]
fn a_run_that_succeeded_has_the_metadata_of_its_dag() {
    let facts = DagRunFacts { metadata: Some(OF_A_MAPPING), ..run(&[LOCAL]) };
    let metrics = run_metrics(&facts);
    let more: Vec<String> = metrics.keys().skip(5).cloned().collect();
    assert_eq!(
        more.join(" "),
        "used_automatic_load_mode invocation_mode install_deps uses_node_converter test_behavior source_behavior \
         actual_load_mode total_dbt_models selected_dbt_models profile_strategy profile_mapping_class database"
    );
    assert_eq!(metrics["used_automatic_load_mode"], true.into());
    assert_eq!(metrics["invocation_mode"], "dbt_runner".into());
    assert_eq!(metrics["install_deps"], true.into());
    assert_eq!(metrics["uses_node_converter"], false.into());
    assert_eq!(metrics["test_behavior"], "after_each".into());
    assert_eq!(metrics["source_behavior"], "none".into());
    assert_eq!(metrics["profile_strategy"], "mapping".into());
    assert_eq!(metrics["profile_mapping_class"], "PostgresUserPasswordProfileMapping".into());
    assert_eq!(metrics["database"], "postgres".into());
    allowed_is_all("dag_run", metrics);
}

#[test]
fn a_run_that_failed_has_the_metadata_of_its_dag() {
    let entries: [(&str, Value); 5] = [
        ("used_automatic_load_mode", false.into()),
        ("invocation_mode", "dbt_runner".into()),
        ("install_deps", false.into()),
        ("test_behavior", "none".into()),
        ("source_behavior", "all".into()),
    ];
    let entries: Dict = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let blob = metadata::compress(&entries).unwrap();
    let facts = DagRunFacts { status: Status::Failed, metadata: Some(&blob), ..run(&[LOCAL]) };
    let metrics = run_metrics(&facts);
    assert_eq!(metrics["status"], "failed".into());
    for (key, value) in &entries {
        assert_eq!(metrics[key], *value, "{key}");
    }
}

#[test]
fn metadata_cannot_override_the_runs_own_metrics_nor_add_unknown_ones() {
    let entries = [
        ("status", "odd"),
        ("dag_hash", "odd"),
        ("cosmos_version", "odd"),
        ("mine", "odd"),
        ("database", "x"),
    ];
    let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let blob = metadata::compress(&entries).unwrap();
    let metrics = run_metrics(&DagRunFacts { metadata: Some(&blob), ..run(&[LOCAL]) });
    assert_eq!(metrics.len(), 6);
    assert_eq!((&metrics["status"], &metrics["database"]), (&"success".into(), &"x".into()));
}

#[test]
fn bad_metadata_is_as_good_as_none() {
    for bad in ["invalid_base64_data!", "é", "WzFd", "eNqLjgUAARUAuQ=="] {
        let metrics = run_metrics(&DagRunFacts { metadata: Some(bad), ..run(&[LOCAL]) });
        assert_eq!(metrics, run_metrics(&run(&[LOCAL])), "{bad}");
        assert_eq!(metadata::decompress_or_empty(Some(bad)), Dict::new());
    }
}

#[test]
fn no_metadata_adds_nothing() {
    assert_eq!(metadata::decompress_or_empty(None), Dict::new());
    assert_eq!(metadata::decompress_or_empty(Some("")), Dict::new());
    assert_eq!(run_metrics(&run(&[LOCAL])).len(), 5);
}

#[test]
fn the_core_metrics_of_a_task() {
    let metrics = task_metrics(&TaskInstanceFacts { operator_name: "DummyDbtOperator", ..task() });
    assert_eq!(
        shown(&metrics),
        r#"{"status": "success", "operator_name": "DummyDbtOperator", "is_cosmos_operator_subclass": false, "#
            .to_owned()
            + r#""invocation_mode": "dbt_runner", "execution_mode": "local", "profile_strategy": null, "#
            + r#""profile_mapping_class": null, "database": null, "is_mapped_task": false, "dbt_command": "run", "#
            + r#""install_deps": true, "has_callback": false, "duration": 7.0}"#
    );
    allowed_is_all("task_instance", metrics);
}

#[test]
fn a_profile_from_a_mapping() {
    let class = "PostgresUserPasswordProfileMapping";
    let profile = Some(Profile::Mapping { class: Some(class), database: Some("postgres") });
    let metrics = task_metrics(&TaskInstanceFacts { profile, ..task() });
    assert_eq!(metrics["profile_strategy"], "mapping".into());
    assert_eq!(metrics["profile_mapping_class"], class.into());
    assert_eq!(metrics["database"], "postgres".into());
    allowed_is_all("task_instance", metrics);
}

#[test]
fn a_profile_from_a_file() {
    let profile = Some(Profile::YamlFile { database: Some("postgres") });
    let metrics = task_metrics(&TaskInstanceFacts { profile, ..task() });
    assert_eq!(metrics["profile_strategy"], "yaml_file".into());
    assert_eq!(metrics["profile_mapping_class"], Value::Null);
    assert_eq!(metrics["database"], "postgres".into());
}

#[test]
fn no_profile() {
    let facts = TaskInstanceFacts { operator_name: "DummyOperator", is_dbt_operator: false, ..task() };
    let metrics = task_metrics(&facts);
    assert_eq!(metrics["operator_name"], "DummyOperator".into());
    assert_eq!(metrics["is_cosmos_operator_subclass"], false.into());
    for key in ["profile_strategy", "profile_mapping_class", "database"] {
        assert_eq!(metrics[key], Value::Null, "{key}");
    }
}

#[test]
fn a_mapped_task() {
    for (index, mapped) in [(Some(2), true), (Some(0), true), (Some(-1), false), (None, false)] {
        let metrics = task_metrics(&TaskInstanceFacts { map_index: index, ..task() });
        assert_eq!(metrics["is_mapped_task"], mapped.into(), "{index:?}");
    }
}

#[test]
fn install_deps_that_is_not_known_is_absent() {
    let module = "cosmos.operators.kubernetes.fake";
    let facts = TaskInstanceFacts { install_deps: None, dbt_command: &["seed"], module, ..task() };
    let metrics = task_metrics(&facts);
    assert_eq!(metrics["dbt_command"], "seed".into());
    assert!(!metrics.contains_key("install_deps"));
    assert_eq!(metrics["execution_mode"], "kubernetes".into());
}

#[test]
fn a_subclass_of_the_users() {
    let metrics = task_metrics(&TaskInstanceFacts { module: "custom.pipeline.dummy", ..task() });
    assert_eq!(metrics["is_cosmos_operator_subclass"], true.into());
    assert_eq!(metrics["execution_mode"], Value::Null);
    assert_eq!(metrics["has_callback"], false.into());
}

#[test]
fn the_execution_mode_that_the_engine_says_goes_before_the_modules() {
    let facts = TaskInstanceFacts { execution_mode: Some("virtualenv"), ..task() };
    assert_eq!(task_metrics(&facts)["execution_mode"], "virtualenv".into());
}

#[test]
fn a_callback() {
    assert_eq!(
        task_metrics(&TaskInstanceFacts { has_callback: true, ..task() })["has_callback"],
        true.into()
    );
}

#[test]
fn a_dbt_command_that_is_missing_is_absent() {
    assert!(!task_metrics(&TaskInstanceFacts { dbt_command: &[], ..task() }).contains_key("dbt_command"));
    assert!(!task_metrics(&TaskInstanceFacts { dbt_command: &[""], ..task() }).contains_key("dbt_command"));
}

#[test]
fn a_dbt_command_of_one_word() {
    assert_eq!(
        task_metrics(&TaskInstanceFacts { dbt_command: &["deps"], ..task() })["dbt_command"],
        "deps".into()
    );
}

#[test]
fn a_dbt_command_of_several_words() {
    let metrics = task_metrics(&TaskInstanceFacts { dbt_command: &["run", "--full-refresh"], ..task() });
    assert_eq!(metrics["dbt_command"], "run --full-refresh".into());
}

#[test]
fn an_invocation_mode_that_is_missing_is_none() {
    assert_eq!(
        task_metrics(&TaskInstanceFacts { invocation_mode: None, ..task() })["invocation_mode"],
        Value::Null
    );
}

#[test]
fn an_invocation_mode_of_the_users() {
    let metrics = task_metrics(&TaskInstanceFacts { invocation_mode: Some("custom-mode"), ..task() });
    assert_eq!(metrics["invocation_mode"], "custom-mode".into());
    allowed_is_all("task_instance", metrics);
}

#[test]
fn what_only_dbt_operators_have() {
    let metrics = task_metrics(&TaskInstanceFacts { is_dbt_operator: false, has_callback: true, ..task() });
    assert_eq!(metrics["has_callback"], false.into());
    assert!(!metrics.contains_key("install_deps") && !metrics.contains_key("dbt_command"));
}

#[test]
fn a_task_that_succeeded() {
    let metrics = task_metrics(&task());
    assert_eq!((&metrics["status"], &metrics["dbt_command"]), (&"success".into(), &"run".into()));
}

#[test]
fn a_task_that_failed() {
    assert_eq!(
        task_metrics(&TaskInstanceFacts { status: Status::Failed, ..task() })["status"],
        "failed".into()
    );
}

#[test]
fn a_task_without_cosmos_is_no_event() {
    for status in [Status::Success, Status::Failed] {
        let facts =
            TaskInstanceFacts { status, module: "airflow.operators.bash", is_dbt_operator: false, ..task() };
        assert_eq!(task_instance_metrics(&facts), None);
    }
}

#[test]
fn the_duration_is_in_seconds_and_absent_when_nobody_knows_it() {
    let metrics = task_metrics(&TaskInstanceFacts { duration: Some(Duration::from_millis(1500)), ..task() });
    assert_eq!(metrics["duration"], 1.5.into());
    assert!(!task_metrics(&TaskInstanceFacts { duration: None, ..task() }).contains_key("duration"));
}
