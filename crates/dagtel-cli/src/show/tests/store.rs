//! What the store keeps, and what it does not.

use super::{
    input::{TRACE, request, span, stored},
    plain,
};
use crate::show::{
    Store, all_traces,
    store::{MAX_SPANS_PER_TRACE, MAX_TRACES, Trace},
};

fn spans_of(store: &Store) -> usize {
    store.traces().map(|trace| trace.spans.len()).sum()
}

#[test]
fn a_resend_is_one_span_and_a_change_is_another() {
    let mut store = stored("a", vec![span(1, 0, "same", 0, 5)]);
    store.add_traces(&request("a", vec![span(1, 0, "same", 0, 5)]));
    assert_eq!(spans_of(&store), 1);
    store.add_traces(&request("a", vec![span(1, 0, "same", 0, 6)]));
    assert_eq!(spans_of(&store), 2);
    assert!(trace(&store, &TRACE).is_some() && trace(&store, &[0; 16]).is_none());
}

#[test]
fn many_versions_of_one_span_are_not_kept() {
    let versions = (0..1000).map(|end| span(1, 0, "flicker", 0, end)).collect();
    let store = stored("a", versions);
    assert_eq!(spans_of(&store), 4);
    assert!(all_traces(&store, &plain(80)).ends_with("(996 more spans are not kept)\n"));
}

#[test]
fn spans_without_ids_are_counted() {
    let no_id = span(1, 0, "a", 0, 1).with(|span| span.span_id.clear());
    let odd_trace = span(1, 0, "b", 0, 1).with(|span| span.trace_id.truncate(3));
    let zeros = span(0, 0, "c", 0, 1);
    let store = stored("a", vec![no_id, odd_trace, zeros]);
    assert_eq!(
        all_traces(&store, &plain(80)),
        "(no spans received)\n(3 spans without a valid id are left out)\n"
    );
}

#[test]
fn a_trace_is_bounded() {
    let spans = (0..MAX_SPANS_PER_TRACE as u64 + 7)
        .map(|n| span(1, 0, "many", 0, 1).with(|span| span.span_id = (n + 1).to_be_bytes().to_vec()));
    let store = stored("a", spans.collect());
    assert_eq!(spans_of(&store), MAX_SPANS_PER_TRACE);
    assert!(all_traces(&store, &plain(80)).ends_with("(7 more spans are not kept)\n"));
}

#[test]
fn the_oldest_trace_makes_room() {
    let trace_of = |n: usize| (n as u128 + 1).to_be_bytes();
    let mut store = Store::default();
    for n in 0..MAX_TRACES + 3 {
        let span = span(1, 0, "run", 0, 1).with(|span| span.trace_id = trace_of(n).to_vec());
        store.add_traces(&request("a", vec![span]));
    }
    assert_eq!(store.traces().count(), MAX_TRACES);
    assert!(trace(&store, &trace_of(2)).is_none() && trace(&store, &trace_of(3)).is_some());
    assert!(all_traces(&store, &plain(80)).ends_with("(3 older traces are not kept)\n"));
}

fn trace<'a>(store: &'a Store, id: &[u8; 16]) -> Option<&'a Trace> {
    store.traces().find(|trace| trace.id == *id)
}
