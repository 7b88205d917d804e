//! Whether something is missing in what is known of a run that has ended.
//!
//! Facts of several hosts come in no order in time. But they speak of each other: a task names what it waited for, a try
//! is preceded by the tries before it, a start calls for an end. A run in which nothing that is spoken of is missing can
//! be closed soon; one in which something is missing waits, and so does one in which nothing ran. What looks missing may only be unusual (a task that runs after
//! a failed one), which costs time and nothing else.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::run::Run;
use super::task::Try;
use crate::event::{RunState, TaskState};
use crate::key::TryKey;

impl Run {
    /// Whether everything that is spoken of is there.
    pub(crate) fn is_whole(&self) -> bool {
        let state = self.ended().map(|end| end.state);
        let succeeded = state == Some(RunState::Success);
        // A run in which nothing ran says so.
        (!self.tries.is_empty() || state == Some(RunState::Skipped))
            && self.every_try_is_whole(succeeded)
            && self.waited_for().into_iter().all(|task| self.is_done(task))
            && (!succeeded || self.on_edges().all(|task| self.tries_of(task).next().is_some()))
    }

    /// Whether each try has an end and the one before it, and the last one of a run that succeeded is no error.
    fn every_try_is_whole(&self, succeeded: bool) -> bool {
        let mut tries = self.tries.iter().peekable();
        let mut before: Option<&TryKey> = None;
        while let Some((key, task)) = tries.next() {
            let same = |other: &TryKey| other.task_id == key.task_id && other.map_index == key.map_index;
            let follows =
                before.is_some_and(|before| same(before) && before.try_number + 1 == key.try_number);
            let is_last = !tries.peek().is_some_and(|(next, _)| same(next));
            let Some(end) = task.end else { return false };
            let retried = end.state == TaskState::UpForRetry || (succeeded && end.state.is_error());
            if (key.try_number > 1 && !follows) || (is_last && retried) {
                return false;
            }
            before = Some(key);
        }
        true
    }

    /// The tasks that any try which ran has waited for.
    fn waited_for(&self) -> BTreeSet<&SmolStr> {
        let ran = self.tries.iter().filter(|(_, task)| task.started.is_some());
        ran.flat_map(|(key, task)| self.upstream_of(&key.task_id, &task.layers)).collect()
    }

    /// Whether the task was seen and, as far as is known, let go on what waited for it.
    fn is_done(&self, task: &SmolStr) -> bool {
        let last = self.last_tries(task);
        let let_go = |task: &Try| task.end.is_some_and(|end| !end.state.is_error());
        !last.is_empty() && last.iter().all(|(_, task)| let_go(task))
    }

    fn on_edges(&self) -> impl Iterator<Item = &SmolStr> {
        self.upstreams.iter().flat_map(|(downstream, upstream)| upstream.iter().chain([downstream]))
    }
}
