//! Trace and span ids, derived from keys so that every party agrees on them without talking.
//!
//! `LP(x)` = the length of `x` in bytes as u32, then `x` in UTF-8; integers are big-endian;
//! Key = LP(namespace) LP(dag_id) LP(run_id) u32(attempt).
//!
//! | id | first bytes of SHA-256 over |
//! |---|---|
//! | trace id, 16 | LP("dagtel.trace.v1") Key |
//! | DAG-run span, 8 | LP("dagtel.run.v1") Key |
//! | task-instance span, 8 | LP("dagtel.task.v1") Key LP(task_id) i32(map_index) u32(try_number) |
//! | executor span, 8 | LP("dagtel.executor.v1"), the rest as the task's |
//!
//! An id of zeros is no id (W3C Trace Context, "trace-id"): then a byte 0x01 is appended, then 0x02, … and hashed again.
//! The derivation is part of the public contract: `tests/fixtures/id_vectors.json` holds vectors for other languages.

pub use opentelemetry::trace::{SpanId, TraceId};
use sha2::{Digest, Sha256};

use crate::key::{RunKey, TryKey};

const TASK: &str = "dagtel.task.v1";

/// The ids of a DAG run, with what is needed to derive those of its tasks cheaply.
#[derive(Clone, Debug)]
pub struct RunIds {
    /// The trace of the run.
    pub trace_id: TraceId,
    /// The run's own span, the root of the trace.
    pub span_id: SpanId,
}

impl RunIds {
    /// Derives the ids of a run.
    pub fn of(run: &RunKey) -> Self {
        Self {
            trace_id: TraceId::from_bytes(derive("dagtel.trace.v1", run, None)),
            span_id: SpanId::from_bytes(derive("dagtel.run.v1", run, None)),
        }
    }
}

/// The span of one try of a task instance.
pub fn task_span_id(run: &RunKey, task: &TryKey) -> SpanId {
    SpanId::from_bytes(derive(TASK, run, Some(task)))
}

/// The span of the executor's part in one try of a task instance.
pub fn executor_span_id(run: &RunKey, task: &TryKey) -> SpanId {
    SpanId::from_bytes(derive("dagtel.executor.v1", run, Some(task)))
}

/// Gives the span ids of one run's tries. What all of them begin with is hashed once.
///
/// It is derived from the run's key and no state of its own: it is not saved, and any two are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskSpanIds(Option<Sha256>);

impl TaskSpanIds {
    /// The same as [`task_span_id`]. `run` must be the same one each time.
    pub(crate) fn of(&mut self, run: &RunKey, task: &TryKey) -> SpanId {
        let run = self.0.get_or_insert_with(|| hash_of_run(TASK, run));
        SpanId::from_bytes(first_non_zero(with_task(run.clone(), task)))
    }
}

impl PartialEq for TaskSpanIds {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The W3C `traceparent` header that makes a span of the run the parent of what follows.
pub fn traceparent(trace_id: TraceId, span_id: SpanId) -> String {
    format!("00-{trace_id}-{span_id}-01")
}

fn derive<const N: usize>(domain: &str, run: &RunKey, task: Option<&TryKey>) -> [u8; N] {
    let hash = hash_of_run(domain, run);
    first_non_zero(match task {
        Some(task) => with_task(hash, task),
        None => hash,
    })
}

fn hash_of_run(domain: &str, run: &RunKey) -> Sha256 {
    let mut hash = Sha256::new();
    text(&mut hash, domain);
    text(&mut hash, &run.namespace);
    text(&mut hash, &run.dag_id);
    text(&mut hash, &run.run_id);
    hash.update(run.attempt.to_be_bytes());
    hash
}

fn with_task(mut hash: Sha256, task: &TryKey) -> Sha256 {
    text(&mut hash, &task.task_id);
    hash.update(task.map_index.to_be_bytes());
    hash.update(task.try_number.to_be_bytes());
    hash
}

fn text(hash: &mut Sha256, part: &str) {
    // Keys are clipped long before 4 GiB; saturating keeps the function total.
    hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    hash.update(part);
}

fn first_non_zero<const N: usize>(mut hash: Sha256) -> [u8; N] {
    let mut salt = 0u8;
    loop {
        let mut id = [0; N];
        id.copy_from_slice(&hash.clone().finalize()[..N]);
        if id != [0; N] {
            return id;
        }
        salt = salt.wrapping_add(1);
        hash.update([salt]);
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vector {
        #[serde(flatten)]
        run: RunKey,
        #[serde(flatten)]
        task: TryKey,
        trace_id: String,
        run_span_id: String,
        task_span_id: String,
        executor_span_id: String,
        traceparent_run: String,
        traceparent_task: String,
    }

    #[test]
    fn every_published_vector() {
        let vectors = include_str!("../../../tests/fixtures/id_vectors.json");
        let vectors: Vec<Vector> = serde_json::from_str(vectors).unwrap();
        assert_eq!(vectors.len(), 5);
        for v in vectors {
            let ids = RunIds::of(&v.run);
            let task = task_span_id(&v.run, &v.task);
            assert_eq!(ids.trace_id.to_string(), v.trace_id);
            assert_eq!(ids.span_id.to_string(), v.run_span_id);
            assert_eq!(task.to_string(), v.task_span_id);
            let mut span_ids = TaskSpanIds::default();
            assert_eq!([span_ids.of(&v.run, &v.task), span_ids.of(&v.run, &v.task)], [task; 2]);
            assert_eq!(executor_span_id(&v.run, &v.task).to_string(), v.executor_span_id);
            assert_eq!(traceparent(ids.trace_id, ids.span_id), v.traceparent_run);
            assert_eq!(traceparent(ids.trace_id, task), v.traceparent_task);
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = RunIds::of(&RunKey::new("ab", "c"));
        let two = RunIds::of(&RunKey::new("a", "bc"));
        assert_ne!(one.trace_id, two.trace_id);
    }
}
