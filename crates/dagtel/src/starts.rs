//! When tries started of which hooks tell: a hook that tells of an end does not say it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;

use crate::describe::{DagRun, TaskInstance};

/// Tries that are remembered. A hook may never tell of an end, so beyond it all are forgotten: of those that are open
/// then, nobody is told how long they ran.
const TRIES: usize = 65_536;

/// When the open tries started.
#[derive(Debug, Default)]
pub(crate) struct Starts(Mutex<HashMap<(RunKey, TryKey), Timestamp>>);

impl Starts {
    pub(crate) fn put(&self, run: &DagRun, task: &TaskInstance, at: Timestamp) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if starts.len() >= TRIES {
            starts.clear();
        }
        starts.insert((run.key.clone(), task.key.clone()), at);
    }

    pub(crate) fn take(&self, run: &DagRun, task: &TaskInstance) -> Option<Timestamp> {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.remove(&(run.key.clone(), task.key.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_told_once_and_of_its_own_try() {
        let (starts, run) = (Starts::default(), DagRun::new("d", "r"));
        let (first, second) = (TaskInstance::new("t"), TaskInstance::new("t").try_number(2));
        starts.put(&run, &first, Timestamp::from_millis(5));
        assert_eq!(starts.take(&run, &second), None);
        assert_eq!(starts.take(&run, &first), Some(Timestamp::from_millis(5)));
        assert_eq!(starts.take(&run, &first), None);
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let (starts, run) = (Starts::default(), DagRun::new("d", "r"));
        let task = |number| TaskInstance::new("t").try_number(number);
        for number in 0..=TRIES as u32 {
            starts.put(&run, &task(number), Timestamp::from_millis(5));
        }
        assert_eq!(starts.take(&run, &task(0)), None);
        assert!(starts.take(&run, &task(TRIES as u32)).is_some());
    }
}
