//! What else arrives: metrics, memory and usage events.

use std::collections::BTreeMap;
use std::fs;

use dagtel_system_tests::airflow::Rows;
use dagtel_system_tests::wait;
use dagtel_testkit::gateway::Server;
use serde_json::Value;

use crate::deployment::{Deployment, SOON};
use crate::shown::Shown;

impl Deployment {
    /// Scheduler, DAG processor and triggerer tell of themselves by Airflow's own StatsD, and of runs and tasks nothing.
    pub(crate) fn components_tell_of_themselves(&self) {
        for query in [
            "airflow_scheduler_heartbeat_total > 0",
            "airflow_scheduler_scheduler_loop_duration_count > 0",
            "airflow_dag_processing_total_parse_time > 0",
            "airflow_dag_processing_import_errors == 0",
            "airflow_triggerer_heartbeat_total > 0",
            r#"airflow_pool_open_slots{pool_name="default_pool"} > 0"#,
            r#"airflow_executor_open_slots{executor_class_name="LocalExecutor"} > 0"#,
        ] {
            let samples = self.stack.series().wait_for(query, |samples| !samples.is_empty(), SOON);
            println!("{query}: {}", samples[0].value);
        }
    }

    /// The peak of a task is on its span, in the gauge and in the file.
    pub(crate) fn memory_is_known(&self, kinds: &Shown) {
        pub(crate) const TAKEN: f64 = 200.0;
        let peak = kinds.span("task_run.hungry").tags["memory_peak_bytes"].as_f64().expect("a number");
        let query = r#"airflow_task_memory_peak_bytes{dag_id="kinds",task_id="hungry"}"#;
        let [sample] = &self.stack.series().wait_for(query, |samples| !samples.is_empty(), SOON)[..] else {
            panic!("one task is one series");
        };
        let lines = fs::read_to_string(self.peaks()).expect("the agent wrote peaks");
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
        let lines: Vec<_> = lines.filter(|line| line["task_id"] == "hungry").collect();
        let told: Vec<_> =
            lines.iter().filter_map(|line| line["cosmos_debug_max_memory_mb"].as_f64()).collect();
        let mebibytes = peak / 1024.0 / 1024.0;
        println!(
            "hungry: {mebibytes:.1} MiB on the span, {:.0} bytes in the gauge, {told:?} in the file",
            sample.value
        );
        assert!(mebibytes > TAKEN && sample.value == peak && told.len() == 1 && told[0] > TAKEN);
    }

    /// Prometheus counts each end of a try once, by its state.
    pub(crate) fn every_end_is_counted(&self, rows: &Rows) {
        let mut expected = BTreeMap::<(&str, &str), f64>::new();
        let tries = rows.instances.iter().chain(&rows.history).filter(|row| row.dag_id != "fails");
        for row in tries {
            let retried = rows.history.iter().any(|tried| std::ptr::eq(tried, row));
            let state = if retried { "up_for_retry" } else { row.state.as_deref().unwrap_or_default() };
            *expected.entry((&row.dag_id, state)).or_default() += 1.0;
        }
        // What `dagtel exec` ran is one too.
        *expected.entry(("kinds", "success")).or_default() += 1.0;
        for ((dag_id, state), count) in expected {
            let query = format!(r#"sum(airflow_ti_finish_total{{dag_id="{dag_id}",state="{state}"}})"#);
            self.stack.series().wait_for(&query, |samples| samples.iter().any(|s| s.value == count), SOON);
        }
    }

    /// The gateway got what Cosmos's own emitter has sent since it had sent so many events `before`, and how long tasks took
    /// besides.
    pub(crate) fn usage_events_are_those_of_the_original(&self, before: usize) {
        let sent = |server: &Server, before: usize| {
            let heads = server.heads().split_off(before);
            let targets = heads.iter().filter_map(|head| head.split(' ').nth(1)).map(str::to_owned);
            let mut targets: Vec<_> = targets.collect();
            targets.sort();
            targets
        };
        let without_duration = |target: &String| match target.split_once("&duration=") {
            Some((before, seconds)) => {
                assert!(seconds.parse::<f64>().is_ok_and(|seconds| seconds > 0.0), "{target}");
                before.to_owned()
            }
            None => target.clone(),
        };
        let original = sent(&self.original, before);
        let ours = wait::until("usage events", SOON, || {
            let ours = sent(&self.gateway, 0);
            if ours.len() == original.len() {
                Ok(ours)
            } else {
                Err(format!("{} of {}", ours.len(), original.len()))
            }
        });
        let durations = ours.iter().filter(|target| target.contains("&duration=")).count();
        let tasks = ours.iter().filter(|target| target.contains("/task_instance?")).count();
        println!("{} usage events, of which {tasks} of tasks, {durations} with a duration", ours.len());
        let mut plain: Vec<_> = ours.iter().map(without_duration).collect();
        plain.sort();
        assert_eq!(plain, original);
        assert!(tasks > 0 && durations == tasks && tasks < ours.len());
    }
}
