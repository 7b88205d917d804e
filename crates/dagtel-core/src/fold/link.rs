//! Which tries a try is linked to.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;
use opentelemetry::trace::SpanId;
use smol_str::SmolStr;

use super::change::{Link, LinkKind, Links};
use super::run::Run;
use super::task::Try;
use crate::event::TaskState;
use crate::key::TryKey;
use crate::limits;

/// Tasks looked at in search of a culprit. A failure farther away than this many tasks is not found.
const CULPRIT_SEARCH: usize = 4096;

/// Finds links among the tries of one run, as they are known now.
pub(super) struct LinkFinder<'a> {
    run: &'a Run,
    /// The last tries of a task's instances, as many as may be linked, and how many there are.
    instances: HashMap<&'a SmolStr, (Vec<SpanId>, usize)>,
    culprits: HashMap<(SmolStr, Wanted), Option<SpanId>>,
}

/// What kind of culprit is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Wanted {
    Error,
    Skip,
}

impl<'a> LinkFinder<'a> {
    pub(super) fn new(run: &'a Run) -> Self {
        Self { run, instances: HashMap::new(), culprits: HashMap::new() }
    }

    pub(super) fn links(&mut self, key: &TryKey) -> Links {
        let mut found = Links::default();
        let run = self.run;
        let Some(task) = run.tries.get(key) else { return found };
        self.dependencies(key, task, &mut found);
        if let Some(previous) = run.previous_try(key) {
            push(&mut found, LinkKind::RetryOf, previous.span_id());
        }
        if let Some(culprit) = self.culprit(key, task) {
            push(&mut found, LinkKind::Culprit, culprit);
        }
        found
    }

    fn dependencies(&mut self, key: &TryKey, task: &'a Try, found: &mut Links) {
        // Two links are kept free for the previous try and the culprit.
        const MOST: usize = limits::LINKS - 2;
        let run = self.run;
        for upstream in run.upstream_of(&key.task_id, &task.layers) {
            let (spans, total) = instances(&mut self.instances, run, upstream);
            if *total == 0 {
                found.unresolved.push(upstream.clone());
            }
            let room = MOST.saturating_sub(found.links.len()).min(spans.len());
            for span_id in &spans[..room] {
                push(found, LinkKind::Dependency, *span_id);
            }
            found.dropped += u32::try_from(*total - room).unwrap_or(u32::MAX);
        }
    }

    /// The nearest task instance before this one that failed, or skipped itself, and so kept this one from running.
    fn culprit(&mut self, key: &TryKey, task: &Try) -> Option<SpanId> {
        let wanted = match task.end?.state {
            TaskState::UpstreamFailed => Wanted::Error,
            TaskState::Skipped if task.started.is_none() => Wanted::Skip,
            _ => return None,
        };
        let id = (key.task_id.clone(), wanted);
        if let Some(known) = self.culprits.get(&id) {
            return *known;
        }
        let found = search(self.run, &key.task_id, wanted);
        self.culprits.insert(id, found);
        found
    }
}

fn push(found: &mut Links, kind: LinkKind, span_id: SpanId) {
    found.links.push(Link { kind, span_id });
}

fn instances<'c, 'a>(
    cache: &'c mut HashMap<&'a SmolStr, (Vec<SpanId>, usize)>,
    run: &Run,
    task_id: &'a SmolStr,
) -> &'c (Vec<SpanId>, usize) {
    cache.entry(task_id).or_insert_with(|| {
        let last = run.last_tries(task_id);
        let spans = last.iter().take(limits::LINKS).map(|(_, task)| task.span_id()).collect();
        (spans, last.len())
    })
}

/// Breadth first, so that the nearest is found; of equally near ones the one that ended first.
fn search(run: &Run, task_id: &SmolStr, wanted: Wanted) -> Option<SpanId> {
    let mut seen = BTreeSet::from([task_id.clone()]);
    let mut level = VecDeque::from([task_id.clone()]);
    while !level.is_empty() && seen.len() < CULPRIT_SEARCH {
        let upstream: BTreeSet<SmolStr> = level.iter().flat_map(|task| upstream_of(run, task)).collect();
        let tries = upstream.iter().flat_map(|task| run.last_tries(task));
        let culprit = tries
            .filter(|(_, task)| is_culprit(task, wanted))
            .min_by_key(|(key, task)| (task.end.map(|end| end.at), *key));
        if let Some((_, culprit)) = culprit {
            return Some(culprit.span_id());
        }
        level = upstream.into_iter().filter(|task| seen.insert(task.clone())).collect();
    }
    None
}

fn upstream_of(run: &Run, task_id: &SmolStr) -> Vec<SmolStr> {
    let by_own_word = run.tries_of(task_id).find_map(|(_, task)| task.layers.upstream());
    match by_own_word {
        Some(upstream) => upstream.to_vec(),
        None => run.upstreams.get(task_id).into_iter().flatten().cloned().collect(),
    }
}

fn is_culprit(task: &Try, wanted: Wanted) -> bool {
    let Some(end) = task.end else { return false };
    match wanted {
        Wanted::Error => end.state.is_error(),
        Wanted::Skip => end.state == TaskState::Skipped && task.started.is_some(),
    }
}
