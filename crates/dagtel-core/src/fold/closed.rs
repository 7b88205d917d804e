//! Which runs were closed last.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use crate::key::RunKey;
use crate::limits;

/// The runs that were closed last, so that a late fact is known as late.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "VecDeque<Arc<RunKey>>", into = "VecDeque<Arc<RunKey>>")]
pub(super) struct Closed {
    order: VecDeque<Arc<RunKey>>,
    keys: HashSet<Arc<RunKey>>,
}

impl Closed {
    pub(super) fn contains(&self, key: &Arc<RunKey>) -> bool {
        self.keys.contains(key)
    }

    pub(super) fn remember(&mut self, key: Arc<RunKey>) {
        if self.order.len() >= limits::CLOSED_RUNS
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.keys.insert(key.clone());
        self.order.push_back(key);
    }
}

impl Clone for Closed {
    fn clone(&self) -> Self {
        Self { order: self.order.clone(), keys: self.keys.clone() }
    }
}

impl From<VecDeque<Arc<RunKey>>> for Closed {
    fn from(order: VecDeque<Arc<RunKey>>) -> Self {
        Self { keys: order.iter().cloned().collect(), order }
    }
}

impl From<Closed> for VecDeque<Arc<RunKey>> {
    fn from(closed: Closed) -> Self {
        closed.order
    }
}
