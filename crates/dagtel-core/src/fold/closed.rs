//! Which runs were closed last, and which tries of them came out.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use opentelemetry::trace::SpanId;
use serde::{Deserialize, Serialize, Serializer};

use crate::key::RunKey;
use crate::limits;

/// The runs that were closed last, so that a late fact is known as late; and, where tries of several hosts may come after
/// their run, which of them came out with it.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "VecDeque<Row>")]
pub(super) struct Closed {
    order: VecDeque<Arc<RunKey>>,
    tries: HashMap<Arc<RunKey>, Option<Tries>>,
    /// Of all runs together.
    remembered: usize,
}

/// Parts of span ids, in order. Two tries of one run with the same part would be taken for one, which is one in four
/// thousand millions.
type Tries = Vec<u32>;
type Row = (Arc<RunKey>, Option<Tries>);

impl Closed {
    pub(super) fn contains(&self, key: &Arc<RunKey>) -> bool {
        self.tries.contains_key(key)
    }

    /// Whether a run was closed of which it is known that this try did not come out.
    pub(super) fn lacks(&self, key: &Arc<RunKey>, span_id: SpanId) -> bool {
        let tries = self.tries.get(key).and_then(Option::as_ref);
        tries.is_some_and(|tries| tries.binary_search(&part(span_id)).is_err())
    }

    /// Remembers a run, and the tries that came out if they are known. Those of a run that was there already are added.
    pub(super) fn remember(&mut self, key: Arc<RunKey>, tries: Option<impl Iterator<Item = SpanId>>) {
        let mut tries: Option<Tries> = tries.map(|tries| tries.map(part).collect());
        if let Some(tries) = &mut tries {
            if let Some(Some(before)) = self.tries.get_mut(&key) {
                self.remembered -= before.len();
                tries.append(before);
            }
            tries.sort_unstable();
            tries.dedup();
            tries.shrink_to_fit();
            self.remembered += tries.len();
        }
        if self.tries.insert(key.clone(), tries).is_none() {
            self.order.push_back(key);
        }
        self.forget();
    }

    /// The oldest runs first, and of those that stay the tries of the oldest.
    fn forget(&mut self) {
        while self.order.len() > limits::CLOSED_RUNS
            && let Some(oldest) = self.order.pop_front()
        {
            let tries = self.tries.remove(&oldest).flatten();
            self.remembered -= tries.map_or(0, |tries| tries.len());
        }
        if self.remembered > limits::CLOSED_TRIES {
            for key in &self.order {
                let tries = self.tries.get_mut(key).and_then(Option::take);
                self.remembered -= tries.map_or(0, |tries| tries.len());
                // More than is needed, so that it is not done for each run.
                if self.remembered <= limits::CLOSED_TRIES / 4 * 3 {
                    break;
                }
            }
        }
    }
}

fn part(span_id: SpanId) -> u32 {
    let [.., a, b, c, d] = span_id.to_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl From<VecDeque<Row>> for Closed {
    fn from(rows: VecDeque<Row>) -> Self {
        let remembered = rows.iter().flat_map(|(_, tries)| tries).map(Vec::len).sum();
        let order = rows.iter().map(|(key, _)| key.clone()).collect();
        Self { order, tries: rows.into_iter().collect(), remembered }
    }
}

/// As it is read back, without a copy: it is saved with each step of the drainer.
impl Serialize for Closed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_seq(self.order.iter().map(|key| (key, self.tries.get(key).and_then(Option::as_ref))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: usize) -> Arc<RunKey> {
        Arc::new(RunKey::new("sales", format!("run-{n}")))
    }

    fn span_id(n: u64) -> SpanId {
        SpanId::from_bytes(n.to_be_bytes())
    }

    #[test]
    fn tries_are_known_until_there_are_too_many_and_runs_longer() {
        let mut closed = Closed::default();
        let each = 1000;
        let runs = limits::CLOSED_TRIES / each + 10;
        for n in 0..runs {
            closed.remember(run(n), Some((0..each as u64).map(span_id)));
            assert!(closed.remembered <= limits::CLOSED_TRIES);
        }
        let last = run(runs - 1);
        assert!(closed.lacks(&last, span_id(each as u64)) && !closed.lacks(&last, span_id(7)));
        assert!(closed.contains(&run(0)) && !closed.lacks(&run(0), span_id(each as u64)));
        // What came out later belongs to it too.
        closed.remember(last.clone(), Some([span_id(each as u64)].into_iter()));
        assert!(!closed.lacks(&last, span_id(each as u64)) && !closed.lacks(&last, span_id(7)));
        let saved = serde_json::to_string(&closed).unwrap();
        let read: Closed = serde_json::from_str(&saved).unwrap();
        assert_eq!(
            (read.remembered, &read.order, &read.tries),
            (closed.remembered, &closed.order, &closed.tries)
        );
        let none = || None::<std::iter::Empty<SpanId>>;
        (runs..runs + limits::CLOSED_RUNS).for_each(|n| closed.remember(run(n), none()));
        assert_eq!((closed.order.len(), closed.tries.len()), (limits::CLOSED_RUNS, limits::CLOSED_RUNS));
        assert_eq!((closed.remembered, closed.contains(&last)), (0, false));
    }
}
