//! Names and texts that want to do harm: the protobuf stays valid, the texts stay UTF-8, and cuts are counted.

use std::collections::BTreeSet;

use dagtel_core::catalog::EngineLoop;
use dagtel_core::event::{Exception, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState};
use dagtel_core::guard::Guard;
use dagtel_core::id::{PassKey, RunIds, task_span_id};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::signal::{Pass, PassSpan, pass_spans};
use dagtel_core::value::{SmolStr, Value};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;

use super::story::{Story, at, decode, decode_metrics, get, identity, metrics_of, text};

fn names() -> Vec<String> {
    let short = [
        "",
        "\"quoted\"",
        "line\nbreak\r\n",
        "nul\0nul",
        "🚀👩‍👩‍👧‍👦",
        "\u{1b}[2J",
        "\u{202e}rtl",
        "{\"a\":[1",
        "\u{10ffff}\u{feff}",
    ];
    let long = [
        "x".repeat(4096),
        "🚀".repeat(1024),
        "é".repeat(2048),
        format!("{}🚀", "x".repeat(limits::KEY_BYTES - 1)),
    ];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

/// The name in every place where a name or a text may stand.
fn tell(name: &str) -> (Story, RunKey, TryKey) {
    let key = RunKey { namespace: name.into(), dag_id: name.into(), run_id: name.into(), attempt: 0 };
    let task = TryKey::new(name);
    let mut exception = Exception::new(name, name);
    exception.stacktrace = name.into();
    let attributes: Vec<(SmolStr, Value)> = vec![
        ("text".into(), name.to_owned().into()),
        ("list".into(), Value::List(vec![name.into(), name.into()])),
        (name.into(), name.to_owned().into()),
    ];
    let mut story = Story::new();
    let run = RunDetails {
        edges: vec![(name.into(), "other".into())],
        trigger: Some(name.into()),
        exception: Some(Box::new(exception.clone())),
        attributes: attributes.clone(),
        ..RunDetails::default()
    };
    story.run(&key, 0, RunChange::Started, run);
    let details =
        TaskDetails { upstream: Some(vec![name.into()]), exception: Some(Box::new(exception)), attributes };
    story.task(&key, &task, 1000, TaskChange::Started, details);
    story.task(&key, &task, 2000, TaskChange::Finished(TaskState::Failed), TaskDetails::default());
    story.run(&key, 3000, RunChange::Finished(RunState::Failed), RunDetails::default());
    (story, key.clipped().0, task.clipped().0)
}

/// Every text within its limit. That all of them are UTF-8 is what prost checks when it decodes.
fn check(span: &Span) {
    assert!(span.name.len() <= limits::TAG_BYTES + "scheduler.".len());
    let events = span.events.iter().flat_map(|event| &event.attributes);
    for attribute in span.attributes.iter().chain(events) {
        assert!(attribute.key.len() <= limits::TAG_BYTES);
        let most = if attribute.key == "exception.stacktrace" {
            limits::STACKTRACE_BYTES
        } else {
            limits::STRING_BYTES
        };
        match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Any::StringValue(text)) => assert!(text.len() <= most, "{}", attribute.key),
            Some(Any::ArrayValue(array)) => {
                for item in &array.values {
                    let Some(Any::StringValue(text)) = &item.value else { panic!("{item:?}") };
                    assert!(text.len() <= limits::KEY_BYTES);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn any_name_anywhere_gives_valid_requests() {
    for name in names() {
        let (mut story, key, task) = tell(&name);
        let spans = story.spans();
        let frames = dagtel_otlp::traces(&spans, &identity());
        let decoded: Vec<Span> =
            frames.iter().flat_map(|frame| super::story::spans_of(decode(frame))).collect();
        assert_eq!(decoded.len(), 2, "{name:?}");
        decoded.iter().for_each(check);
        let ids = RunIds::of(&key);
        assert_eq!(decoded[0].span_id, task_span_id(&key, &task).to_bytes());
        assert_eq!(decoded[1].span_id, ids.span_id.to_bytes());
        assert_eq!(decoded[1].trace_id, ids.trace_id.to_bytes());
        for span in &decoded {
            assert_eq!(text(&span.attributes, "dag_id"), Some(&*key.dag_id));
            assert_eq!(text(&span.attributes, "run_id"), Some(&*key.run_id));
            let expected = limits::clip(&name, limits::STRING_BYTES);
            assert_eq!(text(&span.attributes, "text"), Some(expected));
        }
        assert_eq!(text(&decoded[0].attributes, "task_id"), Some(&*task.task_id));
        assert!(decoded[1].links.is_empty(), "no trigger is made of {name:?}");
        for frame in dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity()) {
            assert!(!metrics_of(decode_metrics(&frame)).is_empty());
        }
    }
}

#[test]
fn any_text_in_a_pass_of_a_loop_gives_valid_requests() {
    for name in names() {
        let mut exception = Exception::new(name.as_str(), name.as_str());
        exception.stacktrace = name.as_str().into();
        let span = |place: u32| PassSpan {
            place,
            parent: 0,
            name: name.as_str().into(),
            start: at(1000),
            end: at(1000),
            attributes: vec![(name.as_str().into(), name.clone().into()), ("error.type".into(), 1i64.into())],
            exception: Some((at(1000), Box::new(exception.clone()))),
        };
        let key = PassKey {
            namespace: name.as_str().into(),
            of: EngineLoop::Scheduler,
            instance_id: name.as_str().into(),
            process: 1,
            began: at(0),
            number: 0,
        };
        let pass = Pass { key, spans: (0..limits::PASS_SPANS as u32 + 3).map(span).collect(), dropped: 0 };
        let (pass, found) = Guard::default().admit_pass(pass);
        let cut = found.cut;
        assert!(cut >= 3, "spans that are too many");
        let frames = dagtel_otlp::traces(pass_spans(pass), &identity());
        let decoded: Vec<Span> =
            frames.iter().flat_map(|frame| super::story::spans_of(decode(frame))).collect();
        decoded.iter().for_each(check);
        assert!(decoded.iter().all(|span| span.end_time_unix_nano > span.start_time_unix_nano));
        let ids: BTreeSet<_> = decoded.iter().map(|span| &span.span_id).collect();
        assert_eq!((decoded.len(), ids.len()), (limits::PASS_SPANS, limits::PASS_SPANS));
        let keys = decoded[1].attributes.iter().filter(|attribute| attribute.key == "error.type");
        assert_eq!(keys.count(), 1);
    }
}

#[test]
fn any_name_of_the_deployment_gives_valid_requests() {
    for name in names() {
        let mut identity = dagtel_otlp::Identity::new(name.clone(), name.clone());
        identity.tags =
            vec![("tag".into(), name.clone().into()), (name.as_str().into(), name.clone().into())];
        identity.resource = identity.tags.clone();
        identity.prefix = name.as_str().into();
        identity.dag_as_service = false;
        let (mut story, ..) = tell("plain");
        let spans = story.spans();
        let request = decode(&dagtel_otlp::traces(&spans, &identity)[0]);
        let resource = request.resource_spans[0].resource.as_ref().unwrap();
        let service = if name.is_empty() { "unknown_service" } else { &name };
        assert_eq!(text(&resource.attributes, "service.name"), Some(service));
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(text(&span.attributes, "tag"), Some(name.as_str()));
        for frame in dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity) {
            assert!(metrics_of(decode_metrics(&frame)).iter().all(|metric| metric.name.starts_with(&name)));
        }
    }
}

#[test]
fn what_is_within_the_limits_is_not_cut() {
    for name in names().into_iter().filter(|name| name.len() <= limits::TAG_BYTES) {
        let (mut story, ..) = tell(&name);
        assert_eq!(story.cut, 0, "{name:?}");
        let spans = story.decoded();
        let list = get(&spans[0].attributes, "list");
        let Some(Any::ArrayValue(list)) = list else { panic!("{list:?}") };
        assert_eq!(list.values[0].value, Some(Any::StringValue(name)));
    }
}

#[test]
fn every_cut_is_counted() {
    let run = RunKey::new("sales", "r");
    let cuts = |details: TaskDetails| {
        let mut story = Story::new();
        story.task(&run, &TryKey::new("t"), 0, TaskChange::Started, details);
        story.cut
    };
    let one = |value: Value| TaskDetails { attributes: vec![("k".into(), value)], ..TaskDetails::default() };
    let long = |bytes: usize| SmolStr::from("x".repeat(bytes + 1));
    assert_eq!(cuts(one("x".repeat(limits::STRING_BYTES).into())), 0);
    assert_eq!(cuts(one(long(limits::STRING_BYTES).into())), 1);
    assert_eq!(cuts(one(Value::List(vec![long(limits::TAG_BYTES); 3]))), 3);
    assert_eq!(cuts(one(Value::List(vec!["x".into(); limits::LIST_ITEMS + 5]))), 5);
    assert_eq!(
        cuts(TaskDetails { upstream: Some(vec![long(limits::KEY_BYTES)]), ..TaskDetails::default() }),
        1
    );
    let mut exception = Exception::new(long(limits::TAG_BYTES), long(limits::STRING_BYTES));
    exception.stacktrace = long(limits::STACKTRACE_BYTES);
    assert_eq!(cuts(TaskDetails { exception: Some(Box::new(exception)), ..TaskDetails::default() }), 3);
    let attributes = (0..limits::ATTRIBUTES + 2).map(|n| (format!("k{n}").into(), 1i64.into())).collect();
    assert_eq!(cuts(TaskDetails { attributes, ..TaskDetails::default() }), 2);
    let keys = vec![(long(limits::TAG_BYTES), 1i64.into())];
    assert_eq!(cuts(TaskDetails { attributes: keys, ..TaskDetails::default() }), 1);
}

#[test]
fn long_names_that_begin_alike_stay_two() {
    let long = |end: &str| RunKey::new("d".repeat(4096) + end, "r");
    let mut story = Story::new();
    for end in ["1", "2"] {
        story.whole_run(&long(end), RunState::Success, RunDetails::default());
    }
    assert_eq!(story.cut, 4);
    let spans = story.decoded();
    assert_eq!(spans.len(), 2);
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
    assert_ne!(text(&spans[0].attributes, "dag_id"), text(&spans[1].attributes, "dag_id"));
}

#[test]
fn a_span_full_of_the_longest_texts_fits_a_request() {
    let long: SmolStr = "x".repeat(limits::STRING_BYTES).into();
    let mut exception = Exception::new("E", long.clone());
    exception.stacktrace = "y".repeat(limits::STACKTRACE_BYTES).into();
    let mut story = Story::new();
    let (run, task) = (RunKey::new("sales", "r"), TryKey::new("t"));
    let attributes = (0..limits::ATTRIBUTES).map(|n| (format!("k{n}").into(), long.clone().into())).collect();
    story.task(&run, &task, 0, TaskChange::Started, TaskDetails { attributes, ..TaskDetails::default() });
    for n in 1..=50 {
        let details = TaskDetails { exception: Some(Box::new(exception.clone())), ..TaskDetails::default() };
        story.task(&run, &task, n, TaskChange::Updated, details);
    }
    let frames = dagtel_otlp::traces(story.spans(), &identity());
    assert_eq!(frames.len(), 1);
    assert!(frames[0].body.len() < 4 * 1024 * 1024, "{} bytes", frames[0].body.len());
}

#[test]
fn a_span_full_of_the_longest_lists_fits_a_request() {
    let item: SmolStr = "x".repeat(limits::TAG_BYTES).into();
    let list = Value::List(vec![item; limits::LIST_ITEMS]);
    let attributes = (0..limits::ATTRIBUTES).map(|n| (format!("k{n}").into(), list.clone())).collect();
    let mut story = Story::new();
    let details = TaskDetails { attributes, ..TaskDetails::default() };
    story.whole_try(&RunKey::new("sales", "r"), &TryKey::new("t"), TaskState::Success, details);
    let frames = dagtel_otlp::traces(story.spans(), &identity());
    assert!(frames[0].body.len() < 4 * 1024 * 1024, "{} bytes", frames[0].body.len());
}
