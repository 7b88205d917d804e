//! The attributes of a span, and which of them are the mapping's own.

use smol_str::SmolStr;

use crate::catalog::attribute::text as key;
use crate::limits;
use crate::value::{Attribute, Value};

/// The attributes of a span: first those that the mapping gives, in its order, then those that came with events.
#[derive(Default)]
pub(super) struct Own(Vec<Attribute>);

impl Own {
    /// The most attributes that the mapping itself gives.
    const MOST: usize = 23;

    pub(super) fn with_room(events: usize) -> Self {
        Self(Vec::with_capacity(Self::MOST + events))
    }

    pub(super) fn put(&mut self, key: SmolStr, value: impl Into<Value>) {
        self.0.push((key, value.into()));
    }

    /// Adds what came with events, as far as it is not the mapping's own. Returns all, and how many did not fit.
    pub(super) fn and(self, attributes: Vec<Attribute>) -> (Vec<Attribute>, u32) {
        self.and_unless(attributes, is_own)
    }

    /// Adds all of which `is_own` does not say that it is the mapping's own.
    pub(super) fn and_unless(
        mut self,
        attributes: Vec<Attribute>,
        is_own: impl Fn(&str) -> bool,
    ) -> (Vec<Attribute>, u32) {
        let mut dropped = 0;
        for attribute in attributes {
            if is_own(&attribute.0) {
                continue;
            }
            if self.0.len() >= limits::ATTRIBUTES {
                dropped += 1;
            } else {
                self.0.push(attribute);
            }
        }
        (self.0, dropped)
    }
}

/// The keys of the attributes that the mapping itself gives: what came with an event must not stand beside them.
const OWN: [&str; 27] = [
    key::DAG_ID,
    key::RUN_ID,
    key::ATTEMPT,
    key::TASK_ID,
    key::MAP_INDEX,
    key::TRY_NUMBER,
    key::STATE,
    key::QUEUED_AT,
    key::TASK_COUNT,
    key::EXECUTION_MODES,
    key::DURATION,
    key::QUEUED_DURATION,
    key::SCHEDULED_DURATION,
    key::UPSTREAM_TASK_IDS,
    key::ERROR_TYPE,
    key::MEMORY_PEAK_BYTES,
    key::MEMORY_PEAK_METHOD,
    key::MEMORY_USAGE_BYTES,
    key::MEMORY_USAGE_METHOD,
    key::CPU_TIME,
    key::TRACEPARENT,
    key::CICD_PIPELINE_NAME,
    key::CICD_PIPELINE_RUN_ID,
    key::CICD_PIPELINE_RESULT,
    key::CICD_PIPELINE_TASK_NAME,
    key::CICD_PIPELINE_TASK_RUN_ID,
    key::CICD_PIPELINE_TASK_RUN_RESULT,
];

/// The lengths of those keys as bits: most keys of events are of another length, and need not be compared.
const OWN_LENGTHS: u64 = {
    let (mut lengths, mut n) = (0, 0);
    while n < OWN.len() {
        lengths |= 1 << OWN[n].len();
        n += 1;
    }
    lengths
};

fn is_own(key: &str) -> bool {
    key.len() < 64 && OWN_LENGTHS >> key.len() & 1 == 1 && OWN.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_keys_are_kept_out_and_others_are_not() {
        assert!(OWN.iter().all(|key| is_own(key)));
        // `queue` is as long as `state`.
        for other in ["", "queue", "operator", "State", &"x".repeat(64), &"x".repeat(4096)] {
            assert!(!is_own(other), "{other}");
        }
    }
}
