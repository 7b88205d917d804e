//! The thread of a writer that gathers or syncs in groups. It holds no lock while the disk works.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    lane::{Lane, sync_directories},
    segment::SyncFile,
    state::{State, find},
};
use crate::{id::StreamId, options::Durability, spool::Context};

/// What the handles of a writer and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) state: Mutex<State>,
    pub(crate) wake: Condvar,
}

impl Shared {
    /// The state; a panic elsewhere has left it whole, because nothing between two steps of it can panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the writer ends.
pub(crate) fn run(shared: &Shared) {
    let mut state = shared.lock();
    while !state.closing {
        let Some(due) = state.due else {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let now = shared.context.clock.monotonic();
        if now < due {
            let waited = shared.wake.wait_timeout(state, due - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        state.due = None;
        state = care(shared, state);
    }
}

fn care<'a>(shared: &'a Shared, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    // A failure leaves the records pending and sets the next time.
    let written = state.write_out(&shared.context);
    if written.is_err() || shared.context.options.durability == Durability::Batched {
        return state;
    }
    let tasks: Vec<SyncTask> = state.lanes().iter().filter_map(SyncTask::of).collect();
    drop(state);
    let results: Vec<io::Result<()>> = tasks.iter().map(|task| task.run(&shared.context)).collect();
    let mut state = shared.lock();
    for (task, result) in tasks.into_iter().zip(results) {
        task.finish(&shared.context, &mut state, result);
    }
    state
}

/// A segment to sync while others append to it.
struct SyncTask {
    stream: StreamId,
    file: Arc<SyncFile>,
    number: u64,
    upto: u64,
    unlisted: bool,
    rooted: bool,
}

impl SyncTask {
    fn of(lane: &Lane) -> Option<Self> {
        let segment = lane.active.as_ref().filter(|_| !lane.unsynced.is_empty())?;
        Some(Self {
            stream: lane.stream,
            file: Arc::clone(&segment.file),
            number: segment.number,
            upto: segment.len,
            unlisted: segment.unlisted,
            rooted: lane.rooted,
        })
    }

    fn run(&self, context: &Context) -> io::Result<()> {
        self.file.sync()?;
        if self.unlisted {
            sync_directories(context, self.stream.writer, self.rooted)?;
        }
        Ok(())
    }

    /// Notes the result, unless the segment has been sealed meanwhile: then the sealing has seen to it.
    fn finish(self, context: &Context, state: &mut State, result: io::Result<()>) {
        let Some(lane) = find(state.lanes(), self.stream) else { return };
        if lane.active.as_ref().is_none_or(|segment| segment.number != self.number) {
            return;
        }
        match result {
            Ok(()) => lane.confirm(self.upto),
            Err(_) => {
                lane.fail_sync(context);
                let rescued = lane.write_out(context).and_then(|()| lane.sync(context));
                if rescued.is_err() {
                    state.due = Some(context.clock.monotonic() + super::state::RETRY);
                }
            }
        }
    }
}
