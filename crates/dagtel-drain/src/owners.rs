//! Who started what, so that the death of a process tells which tries it left open.

use std::collections::BTreeMap;
use std::sync::Arc;

use dagtel_core::event::{
    Event, Fact, RunChange, RunDetails, RunState, TaskChange, TaskDetails, TaskState, Truth,
};
use dagtel_core::key::{RunKey, TryKey};
use dagtel_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A writer of events: a writer of the journal, or a file of the inbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Owner {
    Writer(dagtel_spool::WriterId),
    Inbox(String),
}

/// The runs and tries that were started and not ended, each with who started it last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Owners {
    #[serde(with = "pairs")]
    tries: BTreeMap<(Arc<RunKey>, TryKey), Owner>,
    #[serde(with = "pairs")]
    runs: BTreeMap<Arc<RunKey>, Owner>,
    /// The last time of anything that an owner said.
    #[serde(with = "pairs")]
    last_seen: BTreeMap<Owner, Timestamp>,
    /// Since when the owner of a run is known to be dead.
    #[serde(with = "pairs")]
    orphaned: BTreeMap<Arc<RunKey>, Timestamp>,
}

impl Owners {
    /// Notes what an event says about who owns what.
    pub(crate) fn note(&mut self, owner: &Owner, event: &Event) {
        if event.truth != Truth::Reported {
            return;
        }
        match self.last_seen.get_mut(owner) {
            Some(last) => *last = event.at.max(*last),
            None => {
                self.last_seen.insert(owner.clone(), event.at);
            }
        }
        match &event.fact {
            Fact::Run { change, .. } => self.note_run(owner, &event.run, change),
            Fact::Task { key, change, .. } => {
                let id = (event.run.clone(), key.clone());
                match change {
                    TaskChange::Started | TaskChange::Resumed => {
                        self.tries.insert(id, owner.clone());
                    }
                    TaskChange::Finished(_) | TaskChange::HandedOver | TaskChange::Deferred => {
                        self.tries.remove(&id);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn note_run(&mut self, owner: &Owner, run: &Arc<RunKey>, change: &RunChange) {
        match change {
            RunChange::Started => {
                self.runs.insert(run.clone(), owner.clone());
                self.orphaned.remove(run);
            }
            RunChange::Finished(_) | RunChange::HandedOver => {
                self.runs.remove(run);
                self.orphaned.remove(run);
            }
            _ => {}
        }
    }

    /// The owners of anything.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.last_seen.keys()
    }

    /// The tries that were started by way of the inbox and have not ended, each with the name of the file.
    pub(crate) fn inbox_tries(&self) -> impl Iterator<Item = (&Arc<RunKey>, &TryKey, &str)> {
        self.tries.iter().filter_map(|((run, key), owner)| match owner {
            Owner::Inbox(file) => Some((run, key, file.as_str())),
            Owner::Writer(_) => None,
        })
    }

    /// An owner is dead and has been read to its end. Returns what is to be concluded from that: each try that it left
    /// open is lost at its last sign of life.
    pub(crate) fn died(&mut self, owner: &Owner, now: Timestamp) -> Vec<Event> {
        let at = self.last_seen.remove(owner).unwrap_or(now);
        let open = self.tries.extract_if(.., |_, started_by| started_by == owner);
        let lost = open.map(|((run, key), _)| {
            let change = TaskChange::Finished(TaskState::Lost);
            let fact = Fact::Task { key, change, details: TaskDetails::default() };
            Event { run, at, truth: Truth::Inferred, fact }
        });
        let lost = lost.collect();
        for run in self.runs.extract_if(.., |_, started_by| started_by == owner).map(|(run, _)| run) {
            self.orphaned.insert(run, now);
        }
        lost
    }

    /// The runs whose owner has been dead for so long that nobody will adopt them: each is lost at that time.
    pub(crate) fn abandoned(&mut self, before: Timestamp) -> Vec<Event> {
        let given_up = self.orphaned.extract_if(.., |_, since| *since <= before);
        let lost = given_up.map(|(run, since)| {
            let change = RunChange::Finished(RunState::Lost);
            let fact = Fact::Run { change, details: RunDetails::default() };
            Event { run, at: since, truth: Truth::Inferred, fact }
        });
        lost.collect()
    }

    /// Whether a run waits to be adopted.
    pub(crate) fn has_orphans(&self) -> bool {
        !self.orphaned.is_empty()
    }
}

mod pairs {
    use super::{BTreeMap, Deserialize, Serialize};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: serde::Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: serde::Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
