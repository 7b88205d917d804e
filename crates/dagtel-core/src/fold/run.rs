//! What is known of one DAG run.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timing;
use super::task::{Try, insert};
use super::told::{Layer, Layers, Merged, News, Told, tell, tell_by};
use crate::event::{Exception, RunChange, RunDetails, RunState, Truth};
use crate::id::TaskSpanIds;
use crate::key::{RunKey, TryKey};
use crate::limits;
use crate::time::Timestamp;

/// Exceptions kept of one run.
const EXCEPTIONS: usize = 16;

/// The end of a run, and how strongly it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunEnd {
    pub(crate) truth: Truth,
    pub(crate) at: Timestamp,
    pub(crate) state: RunState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) key: Arc<RunKey>,
    /// Whether anything was said about the run itself, and not only about its tries.
    pub(crate) announced: bool,
    /// Whether the run itself is closed, and these are tries that came after it.
    pub(crate) remnant: bool,
    pub(crate) handed_over: bool,
    pub(crate) roster: bool,
    pub(crate) queued: Option<Told>,
    pub(crate) started: Option<Told>,
    /// The last time that an engine said it started the run: one that restarted says it again.
    taken_up: Timestamp,
    pub(crate) end: Option<RunEnd>,
    pub(crate) exceptions: Vec<(Timestamp, Box<Exception>)>,
    pub(crate) layers: Layers,
    pub(crate) trigger: Option<SmolStr>,
    /// The upstream tasks of each task.
    pub(crate) upstreams: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
    edges: usize,
    /// Boxed: a node of the tree has room for eleven, and most runs of many DAGs have few tries.
    #[serde(with = "tries")]
    pub(crate) tries: BTreeMap<TryKey, Box<Try>>,
    #[serde(skip)]
    pub(crate) span_ids: TaskSpanIds,
    /// Tries about which there is news to look at.
    pub(crate) news: Vec<TryKey>,
    /// The first and the last time of anything in it.
    pub(crate) first_seen: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) news_at: News,
    /// Whether nothing is missing in what was known when the news was seen; only kept across hosts.
    whole: bool,
    /// Execution modes of the tries that are closed.
    pub(crate) execution_modes: BTreeSet<SmolStr>,
    /// Its start was told.
    pub(crate) start_told: bool,
    /// Counted in `dagrun.active`.
    pub(crate) active: bool,
    /// Waits in the fold's list of runs to look at.
    pub(crate) listed: bool,
}

impl Run {
    pub(crate) fn new(key: Arc<RunKey>) -> Self {
        Self {
            key,
            announced: false,
            remnant: false,
            handed_over: false,
            roster: false,
            queued: None,
            started: None,
            taken_up: Timestamp::MIN,
            end: None,
            exceptions: Vec::new(),
            layers: Layers::default(),
            trigger: None,
            upstreams: BTreeMap::new(),
            edges: 0,
            tries: BTreeMap::new(),
            span_ids: TaskSpanIds::default(),
            news: Vec::new(),
            first_seen: Timestamp::MAX,
            last_seen: Timestamp::MIN,
            news_at: News::NotSeen,
            whole: false,
            execution_modes: BTreeSet::new(),
            start_told: false,
            active: false,
            listed: false,
        }
    }

    pub(crate) fn apply(
        &mut self,
        at: Timestamp,
        truth: Truth,
        change: &RunChange,
        details: RunDetails,
    ) -> Merged {
        let announced = std::mem::replace(&mut self.announced, true);
        let merged = self.change(Told { truth, at }, change).and(self.add(at, truth, details));
        if announced { merged } else { merged.and(Merged::News) }
    }

    fn change(&mut self, told: Told, change: &RunChange) -> Merged {
        let Told { truth, at } = told;
        match change {
            RunChange::Queued => tell(&mut self.queued, told),
            RunChange::Started => {
                if truth == Truth::Reported {
                    self.taken_up = self.taken_up.max(at);
                }
                tell(&mut self.started, told)
            }
            RunChange::Finished(state) => {
                tell_by(&mut self.end, RunEnd { truth, at, state: *state }, first_end, |end| end.truth)
            }
            RunChange::Updated => Merged::Known,
            RunChange::HandedOver => news_if(!std::mem::replace(&mut self.handed_over, true)),
        }
    }

    fn add(&mut self, at: Timestamp, truth: Truth, details: RunDetails) -> Merged {
        let RunDetails { edges, roster, trigger, exception, attributes } = details;
        let mut merged = news_if(roster && !std::mem::replace(&mut self.roster, true));
        for edge in edges {
            merged = merged.and(self.add_edge(edge));
        }
        merged = merged.and(keep_greatest(&mut self.trigger, trigger));
        if let Some(exception) = exception {
            merged = merged.and(insert(&mut self.exceptions, (at, exception), EXCEPTIONS));
        }
        merged.and(self.layers.add(Layer { truth, at, upstream: None, attributes }))
    }

    fn add_edge(&mut self, (upstream, downstream): (SmolStr, SmolStr)) -> Merged {
        if self.edges >= limits::EDGES {
            return Merged::Weaker;
        }
        let new = self.upstreams.entry(downstream).or_default().insert(upstream);
        self.edges += usize::from(new);
        news_if(new)
    }

    /// Its end, unless it was only inferred from the death of an engine and the run was taken up after that.
    pub(crate) fn ended(&self) -> Option<RunEnd> {
        self.end.filter(|end| end.truth != Truth::Inferred || self.taken_up <= end.at)
    }

    /// Whether it has an end, and the watermark is past that by what `timing` asks for.
    pub(crate) fn is_final(&mut self, watermark: Timestamp, timing: &Timing) -> bool {
        if self.remnant {
            self.news_at.look(watermark);
            let ended = self.tries.values().all(|task| task.end.is_some());
            return ended && self.news_at.is_past(watermark, timing.grace);
        }
        let Some(patience) = timing.patience else {
            return self.ended().is_some_and(|end| watermark >= end.at.saturating_add(timing.grace));
        };
        let news = self.news_at.look(watermark);
        if self.ended().is_none() {
            return false;
        }
        if news {
            self.whole = self.is_whole();
        }
        self.news_at.is_past(watermark, if self.whole { timing.grace } else { patience })
    }

    /// Whether its end will be told elsewhere, and nothing in it waits for anything here: only tries of it were seen, or it
    /// was handed over, and each try is closed or handed over.
    pub(crate) fn ends_elsewhere(&self) -> bool {
        let elsewhere = (!self.announced || self.handed_over) && self.ended().is_none() && !self.remnant;
        elsewhere && self.tries.values().all(|task| task.closed || task.handed_over)
    }

    /// The tasks that this one waited for: by its own word, else by the run's edges.
    pub(crate) fn upstream_of<'a>(&'a self, task: &str, layers: &'a Layers) -> Vec<&'a SmolStr> {
        match layers.upstream() {
            Some(upstream) => {
                let mut upstream: Vec<_> = upstream.iter().collect();
                upstream.sort_unstable();
                upstream.dedup();
                upstream
            }
            None => self.upstreams.get(task).into_iter().flatten().collect(),
        }
    }

    /// The tries of all instances of a task, by map index and try number.
    pub(crate) fn tries_of(&self, task_id: &SmolStr) -> impl DoubleEndedIterator<Item = (&TryKey, &Try)> {
        let end = |map_index, try_number| TryKey { task_id: task_id.clone(), map_index, try_number };
        let range = (Bound::Included(end(i32::MIN, 0)), Bound::Included(end(i32::MAX, u32::MAX)));
        self.tries.range(range).map(|(key, task)| (key, &**task))
    }

    /// The try before this one, of the same task instance.
    pub(crate) fn previous_try(&self, key: &TryKey) -> Option<&Try> {
        if key.try_number <= 1 {
            return None;
        }
        let first = TryKey { task_id: key.task_id.clone(), map_index: key.map_index, try_number: 1 };
        self.tries.range(first..key.clone()).next_back().map(|(_, task)| &**task)
    }

    /// The last try of each instance of a task.
    pub(crate) fn last_tries(&self, task_id: &SmolStr) -> Vec<(&TryKey, &Try)> {
        let mut last: Vec<(&TryKey, &Try)> = Vec::new();
        for (key, task) in self.tries_of(task_id) {
            match last.last_mut() {
                Some(before) if before.0.map_index == key.map_index => *before = (key, task),
                _ => last.push((key, task)),
            }
        }
        last
    }
}

/// The stronger first; of equally strong ones the earlier, but of inferred ones the later: what was inferred first may have
/// been wrong, as the run was taken up again.
fn first_end(a: &RunEnd, b: &RunEnd) -> Ordering {
    let by_time = if a.truth == Truth::Inferred { b.at.cmp(&a.at) } else { a.at.cmp(&b.at) };
    b.truth.cmp(&a.truth).then(by_time).then(a.state.cmp(&b.state))
}

fn keep_greatest(known: &mut Option<SmolStr>, told: Option<SmolStr>) -> Merged {
    match (&known, told) {
        (_, None) => Merged::Known,
        (Some(old), Some(new)) if *old == new => Merged::Known,
        (Some(old), Some(new)) if *old > new => Merged::Contradicts,
        (old, new) => {
            let merged = if old.is_some() { Merged::Contradicts } else { Merged::News };
            *known = new;
            merged
        }
    }
}

fn news_if(news: bool) -> Merged {
    if news { Merged::News } else { Merged::Known }
}

mod tries {
    use super::{BTreeMap, Deserialize, Serialize, Try, TryKey};

    pub(super) fn serialize<S: serde::Serializer>(
        tries: &BTreeMap<TryKey, Box<Try>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        tries.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<TryKey, Box<Try>>, D::Error> {
        Ok(Vec::<(TryKey, Box<Try>)>::deserialize(deserializer)?.into_iter().collect())
    }
}
