//! Closing: decides what is true of what has become final, and takes it out of the fold.

use std::collections::BTreeSet;

use super::Timing;
use super::anomaly::{Anomalies, Anomaly};
use super::change::{Change, ClosedRun, ClosedTry, Links, Started};
use super::count::{self, Tags};
use super::link::LinkFinder;
use super::run::{Run, RunEnd};
use super::task::{Try, TryEnd};
use super::told::Told;
use crate::event::{RunState, TaskState, Truth};
use crate::key::TryKey;
use crate::metrics::Metrics;
use crate::time::Timestamp;

/// Looks at the tries of an open run about which there is news: counts what is settled, and closes what is final.
/// Returns whether something waits for time to pass.
pub(super) fn settled(
    run: &mut Run,
    watermark: Timestamp,
    timing: &Timing,
    metrics: &mut Metrics,
    anomalies: &mut Anomalies,
    changes: &mut Vec<Change>,
) -> bool {
    let mut news = std::mem::take(&mut run.news);
    news.sort_unstable();
    let mut final_tries = Vec::new();
    for key in news {
        let Some(task) = run.tries.get_mut(&key).filter(|task| !task.closed) else { continue };
        task.news_at.look(watermark);
        let news = task.news_at;
        let past = |at: Timestamp| match timing.patience {
            None => watermark >= at.saturating_add(timing.hold),
            Some(_) => news.is_past(watermark, timing.hold),
        };
        let started = task.started.filter(|told| told.truth == Truth::Reported).map(|told| past(told.at));
        let ended = task.end.filter(|end| end.truth == Truth::Reported).map(|end| past(end.at));
        let tags = Tags::of(&run.key, &key, task);
        task.counted = count::settled(metrics, tags, task, started == Some(true), ended == Some(true));
        // Where facts come from several hosts a try waits for its run, unless nobody may ever end that.
        let unended = !run.announced || run.handed_over;
        let waits = timing.patience.is_some_and(|patience| !unended || !news.is_past(watermark, patience));
        if ended == Some(true) && !run.roster && !waits {
            final_tries.push(key);
            continue;
        }
        task.listed = started == Some(false) || ended == Some(false) || (ended.is_some() && unended && waits);
        if task.listed {
            run.news.push(key);
        }
    }
    close_tries(run, final_tries, metrics, anomalies, changes);
    !run.news.is_empty()
}

/// Tells that a run, and tries about which there is news, have started, if nobody was told yet.
pub(super) fn began(run: &mut Run, changes: &mut Vec<Change>) {
    let Run { key, started, start_told, tries, news, .. } = run;
    let mut tell = |task, told: &mut bool, started: Option<Told>| {
        if let Some(started) = started
            && !std::mem::replace(told, true)
        {
            changes.push(Change::Started(Box::new(Started { run: key.clone(), task, at: started.at })));
        }
    };
    tell(None, start_told, *started);
    news.sort_unstable();
    for key in news {
        if let Some(task) = tries.get_mut(key).filter(|task| !task.start_told) {
            let id = (key.clone(), task.span_id());
            tell(Some(id), &mut task.start_told, task.started);
        }
    }
}

/// Closes a run, and every try of it that is not yet closed. What was handed over is told by whoever took it, which may be
/// elsewhere; `across_hosts` there is no elsewhere.
pub(super) fn run(
    mut run: Run,
    across_hosts: bool,
    metrics: &mut Metrics,
    anomalies: &mut Anomalies,
    changes: &mut Vec<Change>,
) {
    run.end = run.ended();
    if run.end.is_none() && run.announced && (across_hosts || !run.handed_over) {
        run.end = Some(RunEnd { truth: Truth::Inferred, at: run.last_seen, state: RunState::Lost });
        count::active(&mut run, metrics);
    }
    infer_ends(&mut run, across_hosts);
    let open = run.tries.iter().filter(|(_, task)| !task.closed && task.end.is_some());
    let open = open.map(|(key, _)| key.clone()).collect();
    close_tries(&mut run, open, metrics, anomalies, changes);
    match run.end {
        Some(end) => {
            count::run_closed(metrics, &run, end);
            changes.push(Change::Run(Box::new(closed_run(run, end))));
        }
        None if !run.announced && !run.remnant => anomalies.add(Anomaly::Orphan, 1),
        None => {}
    }
}

/// Gives every try an end: one that started and never reported its end is lost at its last sign of life, one that
/// never started was cancelled with its run. A try that was handed over is left alone: whoever took it reports its end.
fn infer_ends(run: &mut Run, across_hosts: bool) {
    let run_end = run.end.map(|end| end.at);
    for task in run.tries.values_mut().filter(|task| task.end.is_none()) {
        if task.handed_over && !across_hosts {
            continue;
        }
        let started = task.started.map(|told| told.at);
        let (state, at) = match started {
            Some(start) => (TaskState::Lost, task.last_seen.max(start)),
            None => (TaskState::Cancelled, run_end.unwrap_or(task.last_seen).max(task.last_seen)),
        };
        task.end = Some(TryEnd { truth: Truth::Inferred, at, state });
    }
}

fn close_tries(
    run: &mut Run,
    keys: Vec<TryKey>,
    metrics: &mut Metrics,
    anomalies: &mut Anomalies,
    changes: &mut Vec<Change>,
) {
    let links: Vec<_> = {
        let mut finder = LinkFinder::new(run);
        keys.iter().map(|key| finder.links(key)).collect()
    };
    for (key, links) in keys.into_iter().zip(links) {
        let Some(task) = run.tries.get_mut(&key) else { continue };
        let Some(end) = task.end else { continue };
        let tags = Tags::of(&run.key, &key, task);
        if let Some(mode) = tags.execution_mode.filter(|mode| !run.execution_modes.contains(*mode)) {
            run.execution_modes.insert(mode.into());
        }
        task.counted = count::closed(metrics, tags, task);
        anomalies.add(Anomaly::UnresolvedLink, links.unresolved.len() as u64);
        task.closed = true;
        changes.push(Change::Try(Box::new(closed_try(run.key.clone(), key, task, end, links))));
    }
}

fn closed_try(
    run: std::sync::Arc<crate::key::RunKey>,
    key: TryKey,
    task: &mut Try,
    end: TryEnd,
    links: Links,
) -> ClosedTry {
    ClosedTry {
        run,
        key,
        span_id: task.span_id(),
        state: end.state,
        truth: end.truth,
        silent: end.truth == Truth::Inferred || task.is_silent(),
        scheduled: task.scheduled.map(|told| told.at),
        queued: task.queued.map(|told| told.at),
        started: task.started.map(|told| told.at),
        ended: end.at,
        pauses: std::mem::take(&mut task.pauses),
        exceptions: std::mem::take(&mut task.exceptions),
        lines: std::mem::take(&mut task.last_lines),
        resources: task.measured.take().map(|measured| measured.resources).unwrap_or_default(),
        links,
        attributes: std::mem::take(&mut task.layers).resolve(),
    }
}

fn closed_run(run: Run, end: RunEnd) -> ClosedRun {
    let instances: BTreeSet<_> = run.tries.keys().map(|key| (&key.task_id, key.map_index)).collect();
    ClosedRun {
        task_count: instances.len(),
        key: run.key,
        state: end.state,
        truth: end.truth,
        queued: run.queued.map(|told| told.at),
        started: run.started.map(|told| told.at),
        first_seen: run.first_seen,
        ended: end.at,
        trigger: run.trigger,
        exceptions: run.exceptions,
        attributes: run.layers.resolve(),
        execution_modes: run.execution_modes.into_iter().collect(),
    }
}
