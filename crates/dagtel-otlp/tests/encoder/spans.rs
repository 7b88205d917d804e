//! Every field of a span.

use dagtel_core::event::{Exception, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState};
use dagtel_core::id::{RunIds, task_span_id};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::value::{SmolStr, Value};
use opentelemetry_proto::tonic::common::v1::ArrayValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::story::{Story, at, attributes, decode_all, get, identity, named, string, text};

const FLAGS: u32 = 0x101;

fn key() -> RunKey {
    RunKey::new("sales", "2026-11-20")
}

#[test]
fn a_try_carries_its_ids_its_name_its_kind_its_times_and_its_flags() {
    let task = TryKey { task_id: "load".into(), map_index: 3, try_number: 2 };
    let mut story = Story::new();
    story.whole_run(&key(), RunState::Success, RunDetails::default());
    story.whole_try(&key(), &task, TaskState::Success, TaskDetails::default());
    let spans = story.decoded();
    let span = named(&spans, "task_run.load[3]");
    let ids = RunIds::of(&key());
    assert_eq!(span.trace_id, ids.trace_id.to_bytes());
    assert_eq!(span.span_id, task_span_id(&key(), &task).to_bytes());
    assert_eq!(span.parent_span_id, ids.span_id.to_bytes());
    assert_eq!(span.kind, SpanKind::Internal as i32);
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (at(1000).as_nanos(), at(2500).as_nanos())
    );
    assert_eq!(span.flags, FLAGS);
    assert_eq!(span.trace_state, "");
    assert_eq!(text(&span.attributes, "task_id"), Some("load"));
    assert_eq!(get(&span.attributes, "map_index"), Some(&Any::IntValue(3)));
    assert_eq!(get(&span.attributes, "duration_s"), Some(&Any::DoubleValue(1.5)));
}

#[test]
fn a_run_is_the_root_and_points_to_what_triggered_it() {
    let trigger = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let details = RunDetails { trigger: Some(trigger.into()), ..RunDetails::default() };
    let mut story = Story::new();
    story.whole_run(&key(), RunState::Success, details);
    let spans = story.decoded();
    let span = named(&spans, "dag_run.sales");
    assert_eq!(span.span_id, RunIds::of(&key()).span_id.to_bytes());
    assert_eq!(span.parent_span_id, Vec::<u8>::new());
    assert_eq!(span.flags, FLAGS);
    let link = &span.links[0];
    assert_eq!(link.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(link.span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(text(&link.attributes, "link.type"), Some("trigger"));
    assert_eq!(span.links.len(), 1);
}

#[test]
fn a_value_keeps_its_type_to_the_last_bit() {
    let list = |texts: &[&str]| Value::List(texts.iter().map(SmolStr::new).collect());
    let array = |texts: &[&str]| {
        Any::ArrayValue(ArrayValue { values: texts.iter().map(|text| string(text)).collect() })
    };
    let cases: Vec<(&str, Value, Any)> = vec![
        ("true", true.into(), Any::BoolValue(true)),
        ("false", false.into(), Any::BoolValue(false)),
        ("zero", 0i64.into(), Any::IntValue(0)),
        ("smallest", i64::MIN.into(), Any::IntValue(i64::MIN)),
        ("largest", i64::MAX.into(), Any::IntValue(i64::MAX)),
        ("float", 0.1f64.into(), Any::DoubleValue(0.1)),
        ("nothing", 0f64.into(), Any::DoubleValue(0.0)),
        ("tiny", f64::MIN_POSITIVE.into(), Any::DoubleValue(f64::MIN_POSITIVE)),
        ("nan", f64::NAN.into(), Any::StringValue("NaN".into())),
        ("infinite", f64::NEG_INFINITY.into(), Any::StringValue("-inf".into())),
        ("text", "é🚀".into(), Any::StringValue("é🚀".into())),
        ("empty", "".into(), Any::StringValue(String::new())),
        ("list", list(&["a", "", "b"]), array(&["a", "", "b"])),
        ("empty list", list(&[]), array(&[])),
    ];
    let told = cases.iter().map(|(key, value, _)| (SmolStr::from(*key), value.clone()));
    let mut story = Story::new();
    story.whole_try(&key(), &TryKey::new("t"), TaskState::Success, attributes(told));
    let spans = story.decoded();
    let span = named(&spans, "task_run.t");
    for (key, _, expected) in &cases {
        assert_eq!(get(&span.attributes, key), Some(expected), "{key}");
    }
}

#[test]
fn attributes_beyond_the_limit_are_dropped_and_counted() {
    let many = |from: usize| (from..from + 100).map(|n| (SmolStr::from(format!("k{n}")), Value::from(1i64)));
    let mut story = Story::new();
    story.whole_try(&key(), &TryKey::new("t"), TaskState::Success, attributes(many(0)));
    story.task(&key(), &TryKey::new("t"), 2000, TaskChange::Updated, attributes(many(100)));
    let spans = story.decoded();
    let span = named(&spans, "task_run.t");
    assert_eq!(span.attributes.len(), limits::ATTRIBUTES);
    let own = span.attributes.iter().filter(|attribute| !attribute.key.starts_with('k')).count();
    assert!(own >= 10, "the mapping's own attributes come first, and {own} are there");
    assert_eq!(span.dropped_attributes_count as usize, 200 + own - limits::ATTRIBUTES);
}

#[test]
fn events_come_in_time_and_an_exception_with_its_fields() {
    let task = TryKey::new("load");
    let mut exception = Exception::new("ValueError", "no such column");
    exception.stacktrace = "line 1\nline 2".into();
    let mut story = Story::new();
    story.task(&key(), &task, 100, TaskChange::Scheduled, TaskDetails::default());
    story.task(&key(), &task, 200, TaskChange::Queued, TaskDetails::default());
    story.task(&key(), &task, 1500, TaskChange::Deferred, TaskDetails::default());
    story.task(&key(), &task, 2000, TaskChange::Resumed, TaskDetails::default());
    story.failed_try(&key(), &task, exception);
    let spans = story.decoded();
    let span = named(&spans, "task_run.load");
    let told: Vec<_> = span.events.iter().map(|event| (event.time_unix_nano, event.name.as_str())).collect();
    let expected = [
        (100, "scheduled"),
        (200, "queued"),
        (1000, "started"),
        (1500, "deferred"),
        (2000, "resumed"),
        (2500, "exception"),
    ];
    assert_eq!(told, expected.map(|(millis, name)| (at(millis).as_nanos(), name)));
    let fields: Vec<_> = span.events[5].attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(fields, ["exception.type", "exception.message", "exception.stacktrace"]);
    assert_eq!(text(&span.events[5].attributes, "exception.stacktrace"), Some("line 1\nline 2"));
    assert_eq!(span.dropped_events_count, 0);
}

#[test]
fn only_an_error_has_a_status() {
    let mut story = Story::new();
    story.failed_try(&key(), &TryKey::new("bad"), Exception::new("E", "the reason"));
    story.whole_try(&key(), &TryKey::new("good"), TaskState::Success, TaskDetails::default());
    story.whole_run(&key(), RunState::Failed, RunDetails::default());
    let spans = story.decoded();
    let status = named(&spans, "task_run.bad").status.as_ref();
    let status = status.map(|status| (status.code, status.message.as_str()));
    assert_eq!(status, Some((StatusCode::Error as i32, "the reason")));
    assert_eq!(named(&spans, "task_run.good").status, None);
    let run = named(&spans, "dag_run.sales").status.as_ref();
    assert_eq!(run.map(|status| status.message.as_str()), Some("failed"));
}

#[test]
fn links_carry_what_they_are_and_those_beyond_the_limit_are_counted() {
    let instances = limits::LINKS as i32 + 10;
    let mut story = Story::new();
    for map_index in 0..instances {
        let task = TryKey { task_id: "part".into(), map_index, try_number: 1 };
        story.whole_try(&key(), &task, TaskState::Success, TaskDetails::default());
    }
    let upstream = TaskDetails { upstream: Some(vec!["part".into()]), ..TaskDetails::default() };
    story.whole_try(&key(), &TryKey::new("join"), TaskState::UpForRetry, upstream.clone());
    let second = TryKey { try_number: 2, ..TryKey::new("join") };
    story.whole_try(&key(), &second, TaskState::Success, upstream);
    let spans = story.decoded();
    let join: Vec<_> = spans.iter().filter(|span| span.name == "task_run.join").collect();
    let (first, second) = (join[0], join[1]);
    assert_eq!(second.links.len(), first.links.len() + 1);
    assert!(second.links.len() <= limits::LINKS);
    assert_eq!(first.links.len() + first.dropped_links_count as usize, instances as usize);
    let part = task_span_id(&key(), &TryKey { task_id: "part".into(), map_index: 0, try_number: 1 });
    assert_eq!(first.links[0].span_id, part.to_bytes());
    assert_eq!(text(&first.links[0].attributes, "link.type"), Some("dependency"));
    assert_eq!(text(&first.links[0].attributes, "link.direction"), Some("upstream"));
    let retry = second.links.last().unwrap();
    assert_eq!(retry.span_id, first.span_id);
    assert_eq!(text(&retry.attributes, "link.type"), Some("retry_of"));
    for link in first.links.iter().chain(&second.links) {
        assert_eq!(link.trace_id, first.trace_id);
        assert_eq!(link.flags, FLAGS);
    }
}

#[test]
fn a_span_of_no_length_is_a_microsecond_long() {
    let mut story = Story::new();
    story.run(&key(), 0, RunChange::Started, RunDetails::default());
    story.run(&key(), 0, RunChange::Finished(RunState::Success), RunDetails::default());
    let spans = story.decoded();
    assert_eq!(spans[0].end_time_unix_nano - spans[0].start_time_unix_nano, 1000);
}

#[test]
fn static_tags_are_on_every_span_and_never_beside_the_same_key() {
    let mut story = Story::new();
    story.whole_try(
        &key(),
        &TryKey::new("t"),
        TaskState::Success,
        attributes([("team".into(), "etl".into())]),
    );
    story.whole_run(&key(), RunState::Success, RunDetails::default());
    let mut identity = identity();
    identity.tags =
        vec![("team".into(), "bi".into()), ("dag_id".into(), "other".into()), ("env".into(), "prod".into())];
    let spans = decode_all(&dagtel_otlp::traces(story.spans(), &identity));
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(text(&span.attributes, "env"), Some("prod"));
        assert_eq!(text(&span.attributes, "dag_id"), Some("sales"));
        let mut keys: Vec<_> = span.attributes.iter().map(|attribute| &attribute.key).collect();
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    }
    assert_eq!(text(&named(&spans, "task_run.t").attributes, "team"), Some("etl"));
    assert_eq!(text(&named(&spans, "dag_run.sales").attributes, "team"), Some("bi"));
}

#[test]
fn what_is_over_the_limits_of_spans_is_left_out_and_counted() {
    let mut story = Story::new();
    let upstream = ["a", "b", "c"];
    for task in upstream {
        story.whole_try(&key(), &TryKey::new(task), TaskState::Success, TaskDetails::default());
    }
    let load = TryKey::new("load");
    let details = TaskDetails { upstream: Some(upstream.map(Into::into).into()), ..TaskDetails::default() };
    story.task(&key(), &load, 500, TaskChange::Queued, details);
    let mut exception = Exception::new("ValueError", "no such row");
    exception.stacktrace = "line 1".into();
    story.failed_try(&key(), &load, exception);
    let spans = story.spans();
    let encoded = |identity: &_| {
        let spans = decode_all(&dagtel_otlp::traces(&spans, identity));
        named(&spans, "task_run.load").clone()
    };
    let mut few = identity();
    few.tags = vec![("env".into(), "prod".into()), ("team".into(), "etl".into())];
    let whole = encoded(&few);
    assert_eq!(
        (whole.dropped_attributes_count, whole.dropped_events_count, whole.dropped_links_count),
        (0, 0, 0)
    );
    few.limits.span.attributes = whole.attributes.len() - 1;
    assert_eq!(encoded(&few).attributes, whole.attributes[..whole.attributes.len() - 1]);
    assert_eq!(encoded(&few).dropped_attributes_count, 1);
    (few.limits.span.attributes, few.limits.events, few.limits.links) = (5, 3, 2);
    (few.limits.event.attributes, few.limits.link.attributes) = (1, 0);
    (few.limits.event.characters, few.limits.link.characters) = (5, 2);
    let span = encoded(&few);
    assert_eq!(span.attributes, whole.attributes[..5]);
    assert_eq!(span.dropped_attributes_count as usize, whole.attributes.len() - 5);
    assert_eq!((span.events.len(), whole.events.len(), span.dropped_events_count), (3, 3, 0));
    let failed = span.events.iter().find(|event| event.name == "exception").unwrap();
    assert_eq!(text(&failed.attributes, "exception.type"), Some("Value"));
    assert_eq!((failed.attributes.len(), failed.dropped_attributes_count), (1, 2));
    assert_eq!((span.links.len(), span.dropped_links_count), (2, 1));
    assert_eq!(span.links[0].attributes, []);
    assert_eq!(span.links[0].dropped_attributes_count as usize, whole.links[0].attributes.len());
    (few.limits.events, few.limits.links) = (1, 0);
    let span = encoded(&few);
    assert_eq!((&span.events[0].name, span.dropped_events_count), (&whole.events[0].name, 2));
    assert_eq!((span.links.len(), span.dropped_links_count), (0, 3));
}

#[test]
fn texts_are_as_long_as_the_environment_lets_them_be() {
    let details = attributes([
        ("long".into(), "äöü".into()),
        ("list".into(), Value::List(vec!["abcd".into(), "a".into()])),
        ("number".into(), Value::Int(12345)),
    ]);
    let mut story = Story::new();
    story.whole_try(&key(), &TryKey::new("load"), TaskState::Success, details);
    let mut short = identity();
    (short.limits.span.characters, short.resource) = (2, vec![("long".into(), "abcd".into())]);
    let spans = decode_all(&dagtel_otlp::traces(story.spans(), &short));
    let span = named(&spans, "task_run.load");
    assert_eq!(text(&span.attributes, "long"), Some("äö"));
    assert_eq!(text(&span.attributes, "task_id"), Some("lo"));
    let Some(Any::ArrayValue(ArrayValue { values })) = get(&span.attributes, "list") else {
        panic!("{span:?}")
    };
    assert_eq!(*values, [string("ab"), string("a")]);
    assert_eq!(get(&span.attributes, "number"), Some(&Any::IntValue(12345)));
}
