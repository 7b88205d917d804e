//! Requests: what shares one, how large it gets, and that the same input gives the same bytes.

use dagtel_core::event::{RunDetails, RunState, TaskDetails, TaskState};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::limits;
use dagtel_core::signal::Span;
use dagtel_core::value::SmolStr;
use dagtel_otlp::{FRAME_BYTES, FRAME_ITEMS, Frame, Signal};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::story::{Story, at, attributes, decode, decode_all, identity, spans_of, text};

/// What gRPC receivers accept by default.
const GRPC_BYTES: usize = 4 * 1024 * 1024;

fn many_tries(tries: u32) -> Story {
    let mut story = Story::new();
    for try_number in 1..=tries {
        let key = TryKey { try_number, ..TryKey::new("load") };
        story.whole_try(&RunKey::new("sales", "r"), &key, TaskState::UpForRetry, TaskDetails::default());
    }
    story
}

fn concatenated(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.body.clone()).collect()
}

#[test]
fn a_frame_holds_so_many_spans_and_says_how_many() {
    let spans = many_tries(2 * FRAME_ITEMS as u32 + 1).spans();
    let frames = dagtel_otlp::traces(&spans, &identity());
    let sizes: Vec<_> = frames.iter().map(|frame| spans_of(decode(frame)).len()).collect();
    assert_eq!(sizes, [FRAME_ITEMS, FRAME_ITEMS, 1]);
    for (frame, size) in frames.iter().zip(sizes) {
        assert_eq!((frame.signal, frame.items), (Signal::Traces, size));
    }
}

#[test]
fn no_spans_are_no_frame() {
    assert!(dagtel_otlp::traces(Vec::<Span>::new(), &identity()).is_empty());
}

#[test]
fn a_frame_takes_no_more_when_it_is_large() {
    let long: SmolStr = "x".repeat(limits::STRING_BYTES).into();
    let list = || (0..100).map(|n| (SmolStr::from(format!("k{n}")), long.clone().into()));
    let mut story = Story::new();
    for try_number in 1..=20 {
        let key = TryKey { try_number, ..TryKey::new("load") };
        story.whole_try(&RunKey::new("sales", "r"), &key, TaskState::UpForRetry, attributes(list()));
    }
    let frames = dagtel_otlp::traces(story.spans(), &identity());
    let span = 100 * limits::STRING_BYTES;
    assert!(frames.len() > 5, "{} frames", frames.len());
    for frame in &frames[..frames.len() - 1] {
        let len = frame.body.len();
        assert!((FRAME_BYTES..FRAME_BYTES + 2 * span).contains(&len), "{len} bytes");
        assert!(len < GRPC_BYTES);
    }
    assert_eq!(decode_all(&frames).len(), 20);
}

#[test]
fn spans_of_one_dag_share_a_resource() {
    let mut story = Story::new();
    for dag in ["a", "b"] {
        story.whole_run(&RunKey::new(dag, "r"), RunState::Success, RunDetails::default());
        story.whole_try(
            &RunKey::new(dag, "r"),
            &TryKey::new("t"),
            TaskState::Success,
            TaskDetails::default(),
        );
    }
    let mut other = RunKey::new("b", "r");
    other.namespace = "staging".into();
    story.whole_run(&other, RunState::Success, RunDetails::default());
    let frames = dagtel_otlp::traces(story.spans(), &identity());
    assert_eq!(frames.len(), 1);
    let groups: Vec<_> = decode(&frames[0]).resource_spans;
    let shape: Vec<_> = groups
        .iter()
        .map(|group| {
            let resource = &group.resource.as_ref().unwrap().attributes;
            let name = text(resource, "service.name").unwrap();
            (name, text(resource, "service.namespace").unwrap(), group.scope_spans[0].spans.len())
        })
        .collect();
    assert_eq!(shape, [("a", "default", 2), ("b", "default", 2), ("b", "staging", 1)]);
    for group in &groups {
        assert_eq!(group.scope_spans.len(), 1);
        assert_eq!(group.scope_spans[0].scope.as_ref().unwrap().name, "dagtel");
    }
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let bytes = || {
        let mut story = many_tries(600);
        story.whole_run(&RunKey::new("sales", "r"), RunState::Failed, RunDetails::default());
        let spans = story.spans();
        let metrics = dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity());
        (dagtel_otlp::traces(&spans, &identity()), metrics)
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn frames_in_a_row_are_one_request() {
    let mut story = many_tries(1000);
    let frames = dagtel_otlp::traces(story.spans(), &identity());
    assert!(frames.len() > 1);
    let whole = ExportTraceServiceRequest::decode(&*concatenated(&frames)).unwrap();
    assert_eq!(spans_of(whole), decode_all(&frames));
    let metrics = dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity());
    let both =
        ExportMetricsServiceRequest::decode(&*concatenated(&[&metrics[..], &metrics].concat())).unwrap();
    assert_eq!(both.resource_metrics.len(), 2 * metrics.len());
}

#[test]
fn what_is_decoded_encodes_to_the_same_bytes() {
    // prost writes fields in their order and leaves out defaults, as this encoder does, except for members of a oneof.
    let mut story = many_tries(3);
    story.whole_run(&RunKey::new("sales", "r"), RunState::Failed, RunDetails::default());
    for frame in dagtel_otlp::traces(story.spans(), &identity()) {
        assert_eq!(decode(&frame).encode_to_vec(), frame.body);
    }
    for frame in dagtel_otlp::metrics(story.fold.metrics(), at(60_000), &identity()) {
        let request = ExportMetricsServiceRequest::decode(&*frame.body).unwrap();
        assert_eq!(request.encoded_len(), frame.body.len());
    }
}
