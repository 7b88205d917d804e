//! A whole Airflow with Cosmos and dbt: what its database has is what Jaeger shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dagtel::core::id::{RunIds, task_span_id};
use dagtel::core::key::{RunKey, TryKey};
use dagtel_system_tests::Stack;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::airflow::{Airflow, Rows, RunRow, TryRow};
use dagtel_system_tests::jaeger::{Span, Trace};
use dagtel_system_tests::wait;
use dagtel_testkit::gateway::{Server, says};
use serde_json::Value;

const RUN: &str = "first";
const SOON: Duration = Duration::from_secs(60);
/// Two processors run some forty tasks, each a Python process, six of which are dbt.
const RUNS_END: Duration = Duration::from_secs(240);

/// A stack, an agent and an Airflow that writes to its inbox.
struct Deployment {
    airflow: Airflow,
    agent: Option<Agent>,
    stack: Stack,
    original: Server,
    gateway: Server,
}

impl Deployment {
    fn start(name: &str, variables: &[(&'static str, String)]) -> Option<Self> {
        let stack = Stack::start(name)?;
        let (original, gateway) =
            (Server::http(says("204 No Content")), Server::http(says("204 No Content")));
        let directory = stack.directory();
        let mut all = vec![
            ("DAGTEL_SPOOL_DIR", spool(directory).display().to_string()),
            ("DAGTEL_TEST_OTLP_HTTP", stack.otlp_http()),
            ("DAGTEL_TEST_ORIGINAL_GATEWAY", original.gateway().to_string()),
        ];
        all.extend(variables.iter().cloned());
        let airflow = Airflow::start(directory, &all);
        let mut deployment = Self { airflow, agent: None, stack, original, gateway };
        deployment.start_agent();
        Some(deployment)
    }

    fn start_agent(&mut self) {
        let directory = self.stack.directory();
        let more = ["--memory-peaks", &self.peaks(), "--usage-gateway", &self.gateway.gateway().to_string()];
        let more = more.map(str::to_owned);
        let said = directory.join("agent.log");
        self.agent = Some(Agent::start_with(&spool(directory), &self.stack.otlp_grpc(), &more, &said));
    }

    fn peaks(&self) -> String {
        self.stack.directory().join("peaks.jsonl").display().to_string()
    }

    /// Checks each try of one attempt of a run, and gives its trace.
    #[track_caller]
    fn check(&self, rows: &Rows, run: &RunRow, also: &[&str]) -> Shown {
        let began = Instant::now();
        let attempt = Attempt::of(rows, run);
        let expected = attempt.tries.len() + 1 + also.len();
        let id = RunIds::of(&attempt.key).trace_id.to_string();
        let trace = self.stack.traces().wait_for_trace(&id, |trace| trace.spans.len() >= expected, SOON);
        let shown = Shown { attempt, trace };
        shown.agrees(also);
        println!(
            "{}, attempt {}: {} rows, {} spans, {} links, {} warnings ({:.1} s)",
            run.dag_id,
            run.clear_number,
            shown.attempt.tries.len(),
            shown.trace.spans.len(),
            shown.trace.spans.iter().map(|span| span.links().count()).sum::<usize>(),
            shown.trace.spans.iter().map(|span| span.warnings.len()).sum::<usize>(),
            began.elapsed().as_secs_f64(),
        );
        shown
    }
}

impl Deployment {
    /// The peak of a task is on its span, in the gauge and in the file.
    fn memory_is_known(&self, kinds: &Shown) {
        const TAKEN: f64 = 200.0;
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
    fn every_end_is_counted(&self, rows: &Rows) {
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

    /// The gateway got what Cosmos's own emitter sends, and how long tasks took besides.
    fn usage_events_are_those_of_the_original(&self) {
        let sent = |server: &Server| {
            let heads = server.heads();
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
        let original = sent(&self.original);
        let ours = wait::until("usage events", SOON, || {
            let ours = sent(&self.gateway);
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

fn spool(directory: &Path) -> PathBuf {
    directory.join("spool")
}

/// One attempt of a run, as the database has it.
struct Attempt {
    key: RunKey,
    run: RunRow,
    tries: BTreeMap<TryKey, TryRow>,
    edges: Vec<(String, String)>,
}

impl Attempt {
    /// The rows of the attempt that is the run's last: those that began after the run was cleared, if it was.
    fn of(rows: &Rows, run: &RunRow) -> Self {
        let since = run.queued_at.filter(|_| run.clear_number > 0).unwrap_or(0);
        let is_of = |row: &&TryRow| {
            let began = row.start_date.or(row.end_date).unwrap_or(u64::MAX);
            row.dag_id == run.dag_id && row.run_id == run.run_id && began >= since
        };
        let earlier = rows.history.iter().filter(is_of).cloned().map(|mut row| {
            // The history has no word for a try that another one followed.
            if row.state.as_deref() == Some("failed") {
                row.state = Some("up_for_retry".into());
            }
            row
        });
        let tries = earlier.chain(rows.instances.iter().filter(is_of).cloned());
        let key = |row: &TryRow| TryKey {
            task_id: row.task_id.as_str().into(),
            map_index: row.map_index,
            try_number: row.try_number,
        };
        Self {
            key: RunKey {
                namespace: "default".into(),
                dag_id: run.dag_id.as_str().into(),
                run_id: run.run_id.as_str().into(),
                attempt: run.clear_number,
            },
            run: run.clone(),
            tries: tries.map(|row| (key(&row), row)).collect(),
            edges: rows.edges[&run.dag_id].clone(),
        }
    }

    fn span_id(&self, key: &TryKey) -> String {
        task_span_id(&self.key, key).to_string()
    }

    /// The last try of each instance of a task.
    fn last_tries(&self, task_id: &str) -> Vec<&TryKey> {
        let of = self.tries.keys().filter(|key| key.task_id == task_id);
        of.map(|key| (key.map_index, key)).collect::<BTreeMap<_, _>>().into_values().collect()
    }
}

/// An attempt beside what Jaeger shows of it.
struct Shown {
    attempt: Attempt,
    trace: Trace,
}

impl Shown {
    /// Every row is one span with its state and its times, every dependency is a link, and there is nothing else but the
    /// spans named in `also`.
    #[track_caller]
    fn agrees(&self, also: &[&str]) {
        let Self { attempt, trace } = self;
        let mut spans = BTreeMap::<&str, Vec<&Span>>::new();
        for span in &trace.spans {
            spans.entry(&span.id).or_default().push(span);
            assert_eq!(span.warnings, [""; 0], "{}", span.operation);
        }
        let mut only = |id: &str, what: &str| match spans.remove(id).as_deref() {
            Some([span]) => (*span).clone(),
            Some(more) => panic!("{what} has {} spans", more.len()),
            None => panic!("{what} has no span"),
        };
        let root = only(&RunIds::of(&attempt.key).span_id.to_string(), "the run");
        let run = &attempt.run;
        assert_eq!((root.parent(), text(&root, "state")), (None, run.state.as_str()));
        assert_eq!(
            Some(root.start_us),
            run.queued_at.min(run.start_date),
            "the run starts when it is queued"
        );
        assert_eq!(Some(root.start_us + root.duration_us), run.end_date, "the run ends as the database says");
        for (key, row) in &attempt.tries {
            let span = only(&attempt.span_id(key), &format!("{key:?}"));
            assert_eq!(span.parent(), Some(&*root.id), "{key:?}");
            assert_eq!(Some(text(&span, "state")), row.state.as_deref(), "{key:?}");
            assert_eq!(Some(span.start_us), row.start_date, "the start of {key:?}");
            // What took no time is shown as a microsecond.
            let length = row.end_date.expect("it has ended") - span.start_us;
            assert_eq!(span.duration_us, length.max(1), "the length of {key:?}");
            let failed = matches!(row.state.as_deref(), Some("failed" | "up_for_retry"));
            assert_eq!(span.tags.contains_key("error"), failed, "{key:?} is an error if it failed");
            self.links(key, &span);
        }
        let more: BTreeSet<_> = spans.values().flatten().map(|span| span.operation.as_str()).collect();
        assert_eq!(more, also.iter().copied().collect(), "besides the rows");
    }

    #[track_caller]
    fn links(&self, key: &TryKey, span: &Span) {
        let linked: BTreeSet<_> = span.links().map(|link| link.span_id.as_str()).collect();
        let ups = self.attempt.edges.iter().filter(|(_, below)| *below == *key.task_id);
        for to in ups.flat_map(|(up, _)| self.attempt.last_tries(up)) {
            assert!(linked.contains(&*self.attempt.span_id(to)), "{key:?} is linked to {to:?}");
        }
        let before = TryKey { try_number: key.try_number.saturating_sub(1), ..key.clone() };
        if key.try_number > 1 && self.attempt.tries.contains_key(&before) {
            assert!(linked.contains(&*self.attempt.span_id(&before)), "{key:?} is linked to the try before");
        }
    }

    fn span(&self, operation: &str) -> &Span {
        self.trace.span(operation)
    }
}

fn text<'a>(span: &'a Span, key: &str) -> &'a str {
    span.tags.get(key).and_then(|value| value.as_str()).unwrap_or_default()
}

fn row<'a>(rows: &'a Rows, dag_id: &str, run_id: &str) -> &'a RunRow {
    let mut runs = rows.runs.iter();
    runs.find(|run| run.dag_id == dag_id && run.run_id == run_id).expect("the run is in the database")
}

fn events(span: &Span) -> Vec<&str> {
    span.logs.iter().filter_map(|log| log.fields.get("event")?.as_str()).collect()
}

#[test]
fn every_task_instance_of_airflows_database_is_one_span_as_it_is_there() {
    let began = Instant::now();
    let Some(deployment) = Deployment::start("airflow", &[]) else { return };
    let airflow = &deployment.airflow;
    println!("Airflow is up after {:.1} s", began.elapsed().as_secs_f64());
    for dag_id in ["fails", "kinds", "dbt_dag", "dbt_task_group"] {
        airflow.trigger(dag_id, RUN);
    }
    for run_id in ["one", "two"] {
        airflow.trigger("twins", run_id);
    }
    let rows = airflow.wait_for_runs(&[("fails", RUN, 0)], RUNS_END);
    let failed = deployment.check(&rows, row(&rows, "fails", RUN), &[]);
    killed_tries_say_so(&failed);
    fs::write(airflow.home().join("mended"), "").unwrap();
    airflow.clear_failed("fails", RUN);

    let all = [
        ("kinds", RUN, 0),
        ("dbt_dag", RUN, 0),
        ("dbt_task_group", RUN, 0),
        ("twins", "one", 0),
        ("twins", "two", 0),
    ];
    let rows = airflow.wait_for_runs(&[&all[..], &[("fails", RUN, 1)]].concat(), RUNS_END);
    println!("all runs have ended after {:.1} s", began.elapsed().as_secs_f64());
    deployment.check(&rows, row(&rows, "fails", RUN), &[]);
    for (dag_id, run_id, _) in [all[1], all[2], all[3], all[4]] {
        deployment.check(&rows, row(&rows, dag_id, run_id), &[]);
    }
    let kinds = deployment.check(&rows, row(&rows, "kinds", RUN), &["task_run.inner", "by_hand"]);
    children_nest(&kinds);
    pauses_are_events(&kinds);
    deployment.memory_is_known(&kinds);
    deployment.every_end_is_counted(&rows);
    deployment.usage_events_are_those_of_the_original();
    println!("everything is checked after {:.1} s", began.elapsed().as_secs_f64());
}

/// A task that was killed told its start only; that is why its end is an error.
fn killed_tries_say_so(failed: &Shown) {
    assert_eq!(text(failed.span("task_run.killed"), "state"), "failed");
    let broken = failed.span("task_run.breaks");
    assert_eq!(text(broken, "error.type"), "RuntimeError");
    assert!(events(broken).contains(&"exception"));
    assert_eq!(text(failed.span("task_run.after"), "state"), "upstream_failed");
}

/// What a task starts is under the task: a command by `dagtel exec`, and spans of opentelemetry-python.
fn children_nest(kinds: &Shown) {
    for (inner, outer) in [("task_run.inner", "task_run.wrapped"), ("by_hand", "task_run.traced")] {
        assert_eq!(kinds.span(inner).parent(), Some(&*kinds.span(outer).id), "{inner} is under {outer}");
    }
}

fn pauses_are_events(kinds: &Shown) {
    for task in ["task_run.waits", "task_run.looks"] {
        let events = events(kinds.span(task));
        assert!(events.contains(&"deferred") && events.contains(&"resumed"), "{task}: {events:?}");
    }
}
