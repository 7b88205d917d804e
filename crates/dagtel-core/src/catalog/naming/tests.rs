use super::*;
use crate::catalog::registry;

#[test]
fn a_list_is_searched_for_anywhere_in_the_name_whatever_the_case() {
    let allow = NameFilter::new("Executor, ^ti\\.", "").unwrap();
    for name in ["my_executor_thing", "EXECUTOR.open_slots", "ti.start"] {
        assert!(allow.admits(name), "{name}");
    }
    assert!(!allow.admits("dagbag_size") && !allow.admits("edge_worker.ti.start"));
    let block = NameFilter::new("", "pool.*slots,heartbeat").unwrap();
    assert!(!block.admits("pool.open_slots") && !block.admits("scheduler_heartbeat"));
    assert!(block.admits("pool.starving_tasks"));
}

#[test]
fn the_block_list_does_not_count_beside_an_allow_list() {
    let both = NameFilter::new("ti", "ti.start").unwrap();
    assert!(both.admits("ti.start") && !both.admits("pool.open_slots"));
    let none = NameFilter::new("", "").unwrap();
    assert!(none.admits("ti.start") && NameFilter::default().admits("ti.start"));
}

#[test]
fn an_empty_entry_matches_every_name_as_in_airflow() {
    assert!(NameFilter::new("ti,", "").unwrap().admits("pool.open_slots"));
    assert!(!NameFilter::new("", "ti,").unwrap().admits("pool.open_slots"));
}

#[test]
fn a_pattern_that_is_none_is_named() {
    let error = NameFilter::new("ti, po(ol", "").unwrap_err().to_string();
    assert!(error.starts_with("\"po(ol\" is no regular expression: "), "{error}");
}

#[test]
fn legacy_names_take_tags_in_and_leave_the_rest() {
    let tags =
        [("dag_id", "shop"), ("task_id", "grp.load"), ("state", "success"), ("execution_mode", "local")];
    let legacy = legacy_name("ti.finish.{dag_id}.{task_id}.{state}", &tags).unwrap();
    assert_eq!(legacy.name, "ti.finish.shop.grp__load.success");
    assert_eq!(legacy.tags, [("execution_mode", "local")]);
    let legacy = legacy_name("dag.{dag_id}.{task_id}.duration", &tags).unwrap();
    assert_eq!(legacy.name, "dag.shop.grp__load.duration");
    assert_eq!(legacy_name("pool.open_slots.{pool_name}", &tags), None);
}

#[test]
fn values_are_normalized_as_airflow_does_it() {
    assert_eq!(normalized("default_pool"), "default_pool");
    assert_eq!(normalized("my pool/ä, 2-x.y"), "my_pool____2-x.y");
}

#[test]
fn a_name_has_the_characters_of_its_backend() {
    assert_eq!(wire_name(Rules::Otel, "airflow.", "ti.start").as_deref(), Ok("airflow.ti.start"));
    assert_eq!(wire_name(Rules::Statsd, "airflow.", "a/b-c_d.e1").as_deref(), Ok("airflow.a/b-c_d.e1"));
    for name in ["ti.start.größe", "pool.open_slots.a b", "a,b=c"] {
        assert_eq!(wire_name(Rules::Otel, "airflow.", name), Err(NameError::Character), "{name}");
        assert_eq!(wire_name(Rules::Statsd, "airflow.", name), Err(NameError::Character), "{name}");
    }
    assert_eq!(wire_name(Rules::Influx, "", "a,b=c").as_deref(), Ok("a,b=c"));
}

#[test]
fn names_of_ids_are_cut_and_others_that_are_too_long_are_not_sent() {
    let cut = |name: &str| wire_name(Rules::Otel, "airflow.", name).map(|name| name.len());
    let name = |length: usize| format!("ti.start.d.{}", "x".repeat(length - "ti.start.d.".len()));
    assert_eq!(cut(&name(247)), Ok(255));
    assert_eq!(cut(&name(248)), Ok(255));
    assert_eq!(cut(&name(991)), Ok(255));
    assert_eq!(cut(&name(992)), Err(NameError::TooLong));
    // No name of ids: the task is missing.
    assert_eq!(cut(&format!("ti.start.{}", "x".repeat(300))), Err(NameError::TooLong));
    assert_eq!(cut(&format!("dag.d.{}.duration", "x".repeat(300))), Ok(255));
    assert_eq!(cut(&format!("ti.finish.d.{}.success", "ä".repeat(200))), Err(NameError::Character));
    let statsd = |length| wire_name(Rules::Statsd, "airflow.", &name(length)).map(|name| name.len());
    assert_eq!((statsd(250), statsd(251)), (Ok(258), Err(NameError::TooLong)));
}

#[test]
fn every_pattern_matches_what_it_stands_for_and_nothing_that_is_written_otherwise() {
    for pattern in CUT {
        let name = pattern.replace('*', "x.y");
        assert!(is_like(&name, pattern) && may_be_cut(&name), "{pattern}");
        assert!(!is_like(&name.replace(['.', '_'], "-"), pattern), "{pattern}");
    }
}

#[test]
fn prometheus_names_say_unit_and_kind_once() {
    let name = |wanted: &str| {
        let mut entries = registry::entries().map(|entry| entry.definition);
        prometheus_name("airflow.", entries.find(|definition| definition.name == wanted).unwrap())
    };
    assert_eq!(name("ti.finish"), "airflow_ti_finish_total");
    assert_eq!(name("task.memory.peak"), "airflow_task_memory_peak_bytes");
    assert_eq!(name("dagrun.dependency-check"), "airflow_dagrun_dependency_check_seconds");
    assert_eq!(name("dag_processing.last_run.seconds_ago"), "airflow_dag_processing_last_run_seconds_ago");
    assert_eq!(name("edge_worker.status"), "airflow_edge_worker_status_ratio");
}
