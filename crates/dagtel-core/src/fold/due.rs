//! What is final when: runs and tries leave the fold here.

use std::sync::Arc;
use std::time::Duration;

use super::{Change, Fold, close};
use crate::key::RunKey;
use crate::limits;
use crate::time::Timestamp;

/// Where facts come from several hosts, a run of which nothing is heard for so long is lost: the host that would end it
/// is gone, and with it everybody who could say so.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often forgotten runs are looked for.
const FORGOTTEN_LOOK: Duration = Duration::from_secs(60 * 60);

impl Fold {
    /// What has become final by the watermark: runs in the order of their keys, each after its tries.
    pub fn due(&mut self, watermark: Timestamp) -> Vec<Change> {
        self.due_within(watermark, usize::MAX).0
    }

    /// The same in portions, so that whoever passes them on needs no memory for all at once: no further run is looked at
    /// after `most` changes. Returns whether these were all.
    pub fn due_within(&mut self, watermark: Timestamp, most: usize) -> (Vec<Change>, bool) {
        let mut changes = Vec::new();
        let mut news = std::mem::take(&mut self.news);
        news.sort_unstable();
        let too_many = self.too_many_ended(&news);
        let mut news = news.into_iter();
        while changes.len() < most
            && let Some(key) = news.next()
        {
            let Some(run) = self.runs.get_mut(&key) else { continue };
            close::began(run, &mut changes);
            let crowded_out = too_many.is_some_and(|until| run.ended().is_some_and(|end| end.at <= until));
            if crowded_out || run.is_final(watermark, &self.timing) {
                self.close(&key, &mut changes);
                continue;
            }
            let waiting = close::settled(
                run,
                watermark,
                &self.timing,
                &mut self.metrics,
                &mut self.anomalies,
                &mut changes,
            );
            run.listed = waiting || run.ended().is_some() || run.remnant;
            if run.listed {
                self.news.push(key);
            }
        }
        if news.len() > 0 {
            self.news.extend(news);
            return (changes, false);
        }
        self.give_up_forgotten(watermark, &mut changes);
        (changes, true)
    }

    /// When more runs have ended than may wait, the time until which they do not: with tens of thousands of ends a second,
    /// waiting for facts that hardly ever come would fill the memory, and then whole runs would be dropped. Across hosts
    /// facts do come later, so there all wait.
    fn too_many_ended(&self, news: &[Arc<RunKey>]) -> Option<Timestamp> {
        if self.timing.patience.is_some() || news.len() <= limits::ENDED_RUNS {
            return None;
        }
        let mut ends: Vec<_> = news.iter().filter_map(|key| Some(self.runs.get(key)?.ended()?.at)).collect();
        let last = ends.len().checked_sub(limits::ENDED_RUNS)?.checked_sub(1)?;
        Some(*ends.select_nth_unstable(last).1)
    }

    /// Closes runs of which nothing has been heard for so long that nothing will be.
    fn give_up_forgotten(&mut self, watermark: Timestamp, changes: &mut Vec<Change>) {
        let ending = watermark == Timestamp::MAX;
        if self.timing.patience.is_none() || ending || watermark < self.forgotten_look {
            return;
        }
        self.forgotten_look = watermark.saturating_add(FORGOTTEN_LOOK);
        let forgotten = self.runs.values().filter(|run| run.news_at.is_past(watermark, FORGOTTEN));
        let mut forgotten: Vec<_> = forgotten.map(|run| run.key.clone()).collect();
        forgotten.sort_unstable();
        for key in forgotten {
            self.close(&key, changes);
        }
    }

    /// Closes everything, because nothing more will come: runs and tries without an end are closed as lost, unless
    /// another process is to report it.
    pub fn finish(&mut self) -> Vec<Change> {
        let mut changes = self.due(Timestamp::MAX);
        let mut open: Vec<_> = self.runs.keys().cloned().collect();
        open.sort_unstable();
        for key in open {
            self.close(&key, &mut changes);
        }
        changes
    }

    fn close(&mut self, key: &Arc<RunKey>, changes: &mut Vec<Change>) {
        if let Some(mut run) = self.runs.remove(key) {
            close::began(&mut run, changes);
            let across_hosts = self.timing.patience.is_some();
            let tries = across_hosts.then(|| run.tries.values().map(|task| task.span_id()));
            self.closed.remember(key.clone(), tries);
            close::run(*run, across_hosts, &mut self.metrics, &mut self.anomalies, changes);
        }
    }
}
