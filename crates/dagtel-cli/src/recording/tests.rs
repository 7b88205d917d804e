//! Each hook of Airflow's listener as events, and lines as they are read.

use std::io::Cursor;

use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::key::TryKey;
use dagtel_core::time::Timestamp;
use dagtel_core::value::Value;

use super::*;

fn told(lines: &str) -> (Vec<Event>, Vec<Problem>) {
    let (mut events, mut problems) = (Vec::new(), Vec::new());
    read(Cursor::new(lines), "prod", |event| events.push(event), |problem| problems.push(problem)).unwrap();
    (events, problems)
}

fn events(lines: &str) -> Vec<Event> {
    let (events, problems) = told(lines);
    assert_eq!(problems, []);
    events
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn run(event: &Event) -> (&RunChange, &RunDetails) {
    match &event.fact {
        Fact::Run { change, details } => (change, details),
        other => panic!("not about the run: {other:?}"),
    }
}

fn task(event: &Event) -> (&TryKey, &TaskChange, &TaskDetails) {
    match &event.fact {
        Fact::Task { key, change, details } => (key, change, details),
        other => panic!("not about a task: {other:?}"),
    }
}

fn get<'a>(attributes: &'a [(dagtel_core::value::SmolStr, Value)], key: &str) -> Option<&'a Value> {
    attributes.iter().find_map(|(name, value)| (name == key).then_some(value))
}

const STARTED: &str = r#"{"hook":"on_dag_run_running","at":10,"dag_run":{"dag_id":"d","run_id":"r","clear_number":2,"run_type":"manual","queued_at":"1970-01-01T00:00:05Z","start_date":"1970-01-01T00:00:09Z"},"edges":[["a","b"]]}
"#;

fn task_hook(hook: &str, ti: &str, task: &str, more: &str) -> String {
    format!(
        r#"{{"hook":"on_task_instance_{hook}","at":20,"pid":7,"ti":{{"dag_id":"d","run_id":"r","task_id":"a","try_number":1{ti}}},"task":{{{task}}}{more}}}"#
    )
}

#[test]
fn a_run_that_starts_is_told_with_when_it_was_queued() {
    let events = events(STARTED);
    assert_eq!(events.len(), 2);
    assert_eq!((run(&events[0]).0, events[0].at), (&RunChange::Queued, at(5)));
    let (change, details) = run(&events[1]);
    assert_eq!((change, events[1].at, events[1].truth), (&RunChange::Started, at(9), Truth::Reported));
    assert!(details.roster);
    assert_eq!(details.edges, [("a".into(), "b".into())]);
    assert_eq!(get(&details.attributes, "run_type"), Some(&"manual".into()));
    let key = &events[1].run;
    assert_eq!((&*key.namespace, &*key.dag_id, &*key.run_id, key.attempt), ("prod", "d", "r", 2));
}

#[test]
fn the_attempt_of_a_task_is_that_of_the_run_before_it() {
    let hook = task_hook("running", "", "", "") + "\n";
    let again = STARTED.replace("\"clear_number\":2", "\"clear_number\":3");
    let all = events(&[&hook, STARTED, &hook, &again, &hook].concat());
    let attempts: Vec<_> = all.iter().map(|event| event.run.attempt).collect();
    assert_eq!(attempts, [0, 2, 2, 2, 3, 3, 3]);
}

#[test]
fn a_run_that_ends_is_told_with_its_roster_and_its_start_only_once() {
    let end = r#"{"hook":"on_dag_run_failed","at":60,"msg":"task_failure","dag_run":{"dag_id":"d","run_id":"r","clear_number":2,"end_date":"1970-01-01T00:00:50Z"},"tis":[]}"#;
    let both = events(&(STARTED.to_owned() + end));
    assert_eq!(both.len(), 3);
    let (change, details) = run(&both[2]);
    assert_eq!((change, both[2].at), (&RunChange::Finished(RunState::Failed), at(50)));
    assert_eq!(details.exception.as_ref().map(|exception| &*exception.message), Some("task_failure"));
    let alone = events(end);
    assert_eq!(
        alone.iter().map(|event| run(event).0.clone()).collect::<Vec<_>>(),
        [RunChange::Started, RunChange::Finished(RunState::Failed)]
    );
    assert_eq!(alone[0].at, at(60), "without a start date the hook's own time counts");
}

#[test]
fn the_message_of_a_success_is_no_exception() {
    let end =
        r#"{"hook":"on_dag_run_success","at":60,"msg":"success","dag_run":{"dag_id":"d","run_id":"r"}}"#;
    let events = events(end);
    let (change, details) = run(&events[1]);
    assert_eq!((change, events[1].at), (&RunChange::Finished(RunState::Success), at(60)));
    assert_eq!(details.exception, None);
}

#[test]
fn every_hook_of_a_task_is_its_fact() {
    let started = r#","start_date":"1970-01-01T00:00:15Z""#;
    let ended = r#","end_date":"1970-01-01T00:00:18Z""#;
    let finished = TaskChange::Finished;
    let cases = [
        ("running", started, TaskChange::Started, 15),
        ("running", "", TaskChange::Started, 20),
        ("success", ended, finished(TaskState::Success), 18),
        ("success", "", finished(TaskState::Success), 20),
        ("skipped", ended, finished(TaskState::Skipped), 18),
        ("failed", "", finished(TaskState::Failed), 20),
        ("failed", r#","state":"failed""#, finished(TaskState::Failed), 20),
        (
            "failed",
            r#","state":"up_for_retry","end_date":"1970-01-01T00:00:18Z""#,
            finished(TaskState::UpForRetry),
            18,
        ),
    ];
    for (hook, ti, expected, seconds) in cases {
        let events = events(&task_hook(hook, ti, "", ""));
        let (key, change, _) = task(&events[0]);
        assert_eq!((change, events[0].at, events.len()), (&expected, at(seconds), 1), "{hook} {ti}");
        assert_eq!((&*key.task_id, key.map_index, key.try_number), ("a", -1, 1));
        assert_eq!(events[0].truth, Truth::Reported);
    }
}

#[test]
fn a_task_says_what_it_is_and_what_it_waited_for() {
    let ti = r#","map_index":3,"pool":"p","queue":"q","hostname":"h","operator":"ti's""#;
    let what = r#""operator":"task's","module":"cosmos.operators.virtualenv","upstream":["x","y"],"has_callbacks":true"#;
    let events = events(&task_hook("running", ti, what, ""));
    let (key, _, details) = task(&events[0]);
    assert_eq!(key.map_index, 3);
    assert_eq!(details.upstream, Some(vec!["x".into(), "y".into()]));
    let expected: [(&str, Value); 8] = [
        ("operator", "task's".into()),
        ("execution_mode", "virtualenv".into()),
        ("pool", "p".into()),
        ("queue", "q".into()),
        ("hostname", "h".into()),
        ("is_mapped", true.into()),
        ("has_callback", true.into()),
        ("process.pid", 7i64.into()),
    ];
    for (key, value) in &expected {
        assert_eq!(get(&details.attributes, key), Some(value), "{key}");
    }
}

#[test]
fn the_execution_mode_is_that_of_cosmos_modules_only() {
    let cases = [
        ("cosmos.operators.local", Some("local")),
        ("cosmos.operators.kubernetes.sub", Some("kubernetes")),
        ("airflow.providers.standard.decorators.bash", None),
        ("my.cosmos.operators.local", None),
        ("cosmos.operators.", None),
        ("", None),
    ];
    for (module, expected) in cases {
        let events = events(&task_hook("running", "", &format!(r#""module":"{module}""#), ""));
        let mode = get(&task(&events[0]).2.attributes, "execution_mode").and_then(Value::as_str);
        assert_eq!(mode, expected, "{module}");
    }
}

#[test]
fn an_error_may_be_an_object_or_a_text() {
    let error = |json: &str| {
        let events = events(&task_hook("failed", "", "", &format!(r#","error":{json}"#)));
        task(&events[0])
            .2
            .exception
            .clone()
            .map(|e| (e.kind.to_string(), e.message.to_string(), e.stacktrace.to_string()))
    };
    let text = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(error(r#"{"type":"E","message":"m","stacktrace":"s"}"#), text("E", "m", "s"));
    assert_eq!(error(r#"{"type":"E"}"#), text("E", "", ""));
    assert_eq!(error("\"plain\"").map(|error| error.1), Some("plain".into()));
    assert_eq!(error("null"), None);
}

fn roster(ti: &str) -> Vec<Event> {
    let line = format!(
        r#"{{"hook":"on_dag_run_success","at":60,"dag_run":{{"dag_id":"d","run_id":"r","end_date":"1970-01-01T00:00:50Z"}},"tis":[{{"task_id":"a",{ti}}}]}}"#
    );
    let events = events(&line).split_off(2);
    assert!(events.iter().all(|event| event.truth == Truth::Roster));
    events
}

fn changes(events: &[Event]) -> Vec<(TaskChange, Timestamp)> {
    events.iter().map(|event| (task(event).1.clone(), event.at)).collect()
}

#[test]
fn an_entry_of_the_roster_tells_all_its_times() {
    let events = roster(
        r#""try_number":2,"map_index":1,"state":"failed","scheduled_dttm":"1970-01-01T00:00:01Z","queued_dttm":"1970-01-01T00:00:02Z","start_date":"1970-01-01T00:00:03Z","end_date":"1970-01-01T00:00:04Z","queue":"q""#,
    );
    let expected = [
        (TaskChange::Scheduled, at(1)),
        (TaskChange::Queued, at(2)),
        (TaskChange::Started, at(3)),
        (TaskChange::Finished(TaskState::Failed), at(4)),
    ];
    assert_eq!(changes(&events), expected);
    let (key, _, details) = task(&events[3]);
    assert_eq!((key.map_index, key.try_number), (1, 2));
    assert_eq!(get(&details.attributes, "queue"), Some(&"q".into()));
    assert_eq!((&*events[3].run.dag_id, &*events[3].run.run_id), ("d", "r"));
}

#[test]
fn a_task_of_the_roster_that_never_ran_has_no_start() {
    let never = r#""try_number":0,"state":"upstream_failed","start_date":"1970-01-01T00:00:03Z","end_date":"1970-01-01T00:00:03Z""#;
    assert_eq!(changes(&roster(never)), [(TaskChange::Finished(TaskState::UpstreamFailed), at(3))]);
}

#[test]
fn an_entry_without_an_end_date_ends_with_its_run() {
    let ended = changes(&roster(r#""try_number":1,"state":"success""#));
    assert_eq!(ended, [(TaskChange::Finished(TaskState::Success), at(50))]);
    for state in ["\"running\"", "\"queued\"", "null"] {
        let open = changes(&roster(&format!(r#""try_number":1,"state":{state}"#)));
        assert_eq!(open, [(TaskChange::Updated, at(50))], "{state}");
    }
}

#[test]
fn lines_are_numbered_and_a_line_of_the_largest_size_is_taken() {
    let line = STARTED.trim_end();
    let largest = line.to_owned() + &" ".repeat(limits::LINE_BYTES - line.len());
    let (events, problems) = told(&format!("\n{largest}\n  \n{largest} \nbad"));
    assert_eq!(events.len(), 2);
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5]);
    assert!(problems[0].message.contains(&(limits::LINE_BYTES + 1).to_string()), "{}", problems[0].message);
}

#[test]
fn the_fixtures_are_told_without_a_problem() {
    for (lines, runs, tries) in [
        (include_str!("../../../../tests/fixtures/mixed_etl.jsonl"), 1, 11),
        (include_str!("../../../../tests/fixtures/shop_dbt.jsonl"), 1, 12),
    ] {
        let events = events(lines);
        let keys: std::collections::BTreeSet<_> = events.iter().map(|event| event.run.clone()).collect();
        let known: std::collections::BTreeSet<_> = events
            .iter()
            .filter_map(|event| match &event.fact {
                Fact::Task { key, .. } => Some(key.clone()),
                _ => None,
            })
            .collect();
        assert_eq!((keys.len(), known.len()), (runs, tries));
    }
}
