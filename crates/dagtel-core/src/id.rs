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
//! | trace of a pass of a loop, 16 | LP("dagtel.pass.v1") LP(namespace) LP(loop) LP(instance) u32(process) u64(began) u64(number) |
//! | span of a pass, 8 | LP("dagtel.step.v1"), the rest as the pass's, u32(place) |
//!
//! An id of zeros is no id (W3C Trace Context, "trace-id"): then a byte 0x01 is appended, then 0x02, … and hashed again.
//! The derivation is part of the public contract: `tests/fixtures/id_vectors.json` holds vectors for other languages.

pub use opentelemetry::trace::{SpanId, TraceId};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::catalog::EngineLoop;
use crate::key::{RunKey, TryKey};
use crate::time::Timestamp;

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

/// Which pass of which loop of which process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a new part would be a new derivation")]
pub struct PassKey {
    /// The deployment.
    pub namespace: SmolStr,
    /// The loop.
    pub of: EngineLoop,
    /// `service.instance.id` of who tells it.
    pub instance_id: SmolStr,
    /// The process, because a forked one has the same instance id.
    pub process: u32,
    /// When it began to count passes, because a process that begins anew may have the same instance id.
    pub began: Timestamp,
    /// How many passes of this loop there were before.
    pub number: u64,
}

impl PassKey {
    /// The trace of the pass.
    pub fn trace_id(&self) -> TraceId {
        TraceId::from_bytes(first_non_zero(self.hash("dagtel.pass.v1")))
    }

    /// The spans of the pass: place 0 is the pass itself.
    pub(crate) fn span_ids(&self) -> impl Fn(u32) -> SpanId + use<> {
        let hash = self.hash("dagtel.step.v1");
        move |place| {
            let mut hash = hash.clone();
            hash.update(place.to_be_bytes());
            SpanId::from_bytes(first_non_zero(hash))
        }
    }

    fn hash(&self, domain: &str) -> Sha256 {
        let mut hash = Sha256::new();
        text(&mut hash, domain);
        text(&mut hash, &self.namespace);
        text(&mut hash, self.of.prefix());
        text(&mut hash, &self.instance_id);
        hash.update(self.process.to_be_bytes());
        hash.update(self.began.as_nanos().to_be_bytes());
        hash.update(self.number.to_be_bytes());
        hash
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
    fn every_part_of_a_pass_makes_another_trace() {
        let key = PassKey {
            namespace: "n".into(),
            of: EngineLoop::Scheduler,
            instance_id: "i".into(),
            process: 1,
            began: Timestamp::MIN,
            number: 0,
        };
        let others = [
            PassKey { namespace: "o".into(), ..key.clone() },
            PassKey { of: EngineLoop::Triggerer, ..key.clone() },
            PassKey { instance_id: "j".into(), ..key.clone() },
            PassKey { process: 2, ..key.clone() },
            PassKey { began: Timestamp::from_nanos(1), ..key.clone() },
            PassKey { number: 1, ..key.clone() },
        ];
        let mut ids: Vec<_> = others.iter().chain([&key]).map(|key| key.trace_id().to_bytes()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 7);
        assert_eq!(key.trace_id(), key.clone().trace_id());
        let span = key.span_ids();
        assert!(span(0) == span(0) && span(0) != span(1));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = RunIds::of(&RunKey::new("ab", "c"));
        let two = RunIds::of(&RunKey::new("a", "bc"));
        assert_ne!(one.trace_id, two.trace_id);
    }
}
