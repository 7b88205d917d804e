//! Adds up what looks at a tree of processes find. It reads nothing itself.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    gap::Gap,
    method::Method,
    usage::{Peaks, Usage},
};

/// `/proc` rounds user and system time down to clock ticks of 10 ms each.
const ROUNDING: Duration = Duration::from_millis(20);

/// One process at one look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) pid: u32,
    /// Tells processes with the same id apart.
    pub(crate) start: u64,
    pub(crate) parent: u32,
    /// Resident set, in bytes.
    pub(crate) rss: u64,
    /// Proportional set size, where it was asked for and could be read.
    pub(crate) pss: Option<u64>,
    /// The kernel's high-water mark of the resident set, where there is one.
    pub(crate) mark: Option<u64>,
    /// Processor time of the process itself.
    pub(crate) own: Duration,
    /// Processor time of those of its children that it has waited for.
    pub(crate) waited: Duration,
}

/// A process of the tree.
#[derive(Clone, Copy, Debug)]
struct Member {
    latest: Reading,
    /// What it holds: the proportional set size if it is known, else the resident set.
    held: u64,
    /// What it held at the look before.
    held_before: u64,
    /// Its mark where that says something of the time of the task, else 0.
    mark: u64,
    /// Whether the mark is another one than at the look before.
    moved: bool,
    /// The mark it had before the task began.
    mark_before: u64,
    waited_before: Duration,
    /// The number of the last look that had it.
    look: u64,
    escaped: bool,
}

impl Member {
    /// Processor time of it and of those that it waited for.
    fn time(&self) -> Duration {
        self.latest.own + self.latest.waited
    }
}

/// What is known of a tree of processes.
#[derive(Debug)]
pub(crate) struct Account {
    root: u32,
    /// Whether the root is older than the task, so that only what comes after the first look is the task's.
    since_now: bool,
    shares: bool,
    /// Whether the present look brings them.
    brings_shares: bool,
    look: u64,
    members: BTreeMap<u32, Member>,
    gone: BTreeMap<u32, Member>,
    /// Processor time before the task began.
    cpu_before: Duration,
    /// Processor time of processes for which nobody waited.
    cpu_lost: Duration,
    usage: Usage,
}

impl Account {
    /// `since_now`: the root was there before the task. `shares`: proportional set sizes are asked for.
    pub(crate) fn new(root: u32, since_now: bool, shares: bool) -> Self {
        Self {
            root,
            since_now,
            shares,
            brings_shares: false,
            look: 0,
            members: BTreeMap::new(),
            gone: BTreeMap::new(),
            cpu_before: Duration::ZERO,
            cpu_lost: Duration::ZERO,
            usage: Usage::default(),
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn gap(&mut self, gap: Gap) {
        self.usage.gaps.add(gap);
    }

    /// A look begins, which brings proportional set sizes or does not.
    pub(crate) fn begin(&mut self, brings_shares: bool) {
        self.look += 1;
        self.usage.looks = self.look;
        self.brings_shares = brings_shares;
    }

    /// The look has found this process.
    pub(crate) fn process(&mut self, reading: Reading) {
        let Reading { pid, rss, pss, own, waited, .. } = reading;
        let before = self.members.remove(&pid).and_then(|member| {
            let same = member.latest.start == reading.start;
            if !same {
                self.gone.insert(pid, member);
            }
            same.then_some(member)
        });
        // The first look has the root alone, the second all that the root had at that time.
        let old = self.since_now && self.look <= 2;
        if before.is_none() {
            self.usage.processes.seen += 1;
            if old {
                self.cpu_before += own + waited;
            }
        }
        let mark = reading.mark.unwrap_or(0);
        let known_mark = before.map_or(0, |before| before.latest.mark.unwrap_or(0));
        let mark_before = match before {
            None => {
                if old {
                    mark
                } else {
                    0
                }
            }
            // A mark goes down when the process executes another program.
            Some(_) if mark < known_mark => 0,
            Some(before) => before.mark_before,
        };
        let held_before = before.map_or(0, |before| before.held);
        let share = pss.or(before.map(|before| before.held)).unwrap_or(rss);
        self.members.insert(
            pid,
            Member {
                latest: reading,
                held: if self.shares { share } else { rss },
                held_before,
                mark: if mark > mark_before { mark } else { 0 },
                moved: mark != known_mark,
                mark_before,
                waited_before: before.map_or(waited, |before| before.latest.waited),
                look: self.look,
                escaped: before.is_some_and(|before| before.escaped),
            },
        );
    }

    /// The look is over. If it is not `whole`, it says only how large single processes have been. `waited` reads again
    /// what a process has got from children it waited for, or `None` if it has ended since it was looked at.
    pub(crate) fn end(&mut self, whole: bool, waited: impl FnMut(u32) -> Option<Duration>) {
        let looked = self.members.values().filter(|member| member.look == self.look);
        let Some(largest) = looked.clone().map(|member| member.mark.max(member.latest.rss)).max() else {
            if whole {
                self.settle(waited);
            }
            return;
        };
        let peaks = &mut self.usage.peaks;
        if looked.clone().any(|member| member.latest.mark.is_some()) {
            peaks.raise(Method::VmHwm, largest);
        }
        if whole {
            self.settle(waited);
            self.escapes();
            self.add_up();
        }
    }

    /// Puts the sums of a whole look into the peaks.
    fn add_up(&mut self) {
        let members = || self.members.values();
        let rss = members().map(|member| member.latest.rss).sum();
        let held = members().map(|member| member.held).sum();
        self.usage.current = held;
        self.usage.processes.most = self.usage.processes.most.max(self.members.len() as u64);
        let peaks: &mut Peaks = &mut self.usage.peaks;
        peaks.raise(Method::SampledRss, rss);
        // Shares of one moment and resident sets of another do not add up.
        if self.shares && !self.brings_shares {
            return;
        }
        if self.shares {
            peaks.raise(Method::SampledPss, held);
        }
        if peaks.get(Method::VmHwm).is_some() {
            peaks.raise(Method::VmHwm, held);
            // A process whose mark has moved was as large as that at some time since the look before. Beside it the
            // others had, as far as one can know, what they had both before and after.
            let kept: u64 = members().map(|member| member.held.min(member.held_before)).sum();
            for member in members().filter(|member| member.moved) {
                let others = kept - member.held.min(member.held_before);
                let more = member.mark.saturating_sub(member.latest.rss);
                peaks.raise(Method::VmHwm, others + member.held + more);
            }
        }
    }

    fn escapes(&mut self) {
        let orphaned = |member: &Member| !self.members.contains_key(&member.latest.parent);
        let fresh: Vec<u32> = self
            .members
            .iter()
            .filter(|(pid, member)| **pid != self.root && !member.escaped && orphaned(member))
            .map(|(pid, _)| *pid)
            .collect();
        self.usage.processes.escaped += fresh.len() as u64;
        for pid in fresh {
            if let Some(member) = self.members.get_mut(&pid) {
                member.escaped = true;
            }
        }
    }

    /// Accounts for the processor time of processes that have ended. Whoever waited for one has its time; that of one
    /// for which nobody in the tree waited is kept here.
    fn settle(&mut self, mut waited: impl FnMut(u32) -> Option<Duration>) {
        let look = self.look;
        self.gone.extend(self.members.extract_if(.., |_, member| member.look != look));
        let gone = std::mem::take(&mut self.gone);
        let mut owed = BTreeMap::<u32, Vec<Member>>::new();
        for member in gone.values() {
            match self.living_ancestor(member, &gone) {
                Some(pid) => owed.entry(pid).or_default().push(*member),
                None => self.cpu_lost += member.time(),
            }
        }
        for (pid, dead) in owed {
            let Some(ancestor) = self.members.get_mut(&pid) else { continue };
            // The look may have read the ancestor before its child ended.
            let Some(waited) = waited(pid) else {
                // It has ended itself since, and who waited for it has their time too. The next look will know.
                self.gone.extend(dead.into_iter().map(|member| (member.latest.pid, member)));
                continue;
            };
            ancestor.latest.waited = waited.max(ancestor.latest.waited);
            let given = ancestor.latest.waited.saturating_sub(ancestor.waited_before);
            let time: Duration = dead.iter().map(Member::time).sum();
            if time > given + ROUNDING {
                self.cpu_lost += time - given;
            }
        }
        let living: Duration = self.members.values().map(Member::time).sum();
        let cpu = (living + self.cpu_lost).saturating_sub(self.cpu_before);
        self.usage.cpu = self.usage.cpu.max(cpu);
    }

    fn living_ancestor(&self, member: &Member, gone: &BTreeMap<u32, Member>) -> Option<u32> {
        let mut parent = member.latest.parent;
        // Ids that were reused could make a circle.
        for _ in 0..=gone.len() {
            if self.members.contains_key(&parent) {
                return Some(parent);
            }
            parent = gone.get(&parent)?.latest.parent;
        }
        None
    }
}

#[cfg(test)]
mod tests;
