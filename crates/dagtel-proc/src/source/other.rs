//! A tree of processes where there is no `/proc`. Every look has to go through all processes of the system, and there
//! are neither high-water marks nor proportional set sizes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{
    account::{Account, Reading},
    limits,
};

/// Nothing is kept open here.
#[derive(Clone, Debug)]
pub(crate) struct Budget;

impl Budget {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn none() -> Self {
        Self
    }
}

/// A tree of processes, its root and everything that was ever seen below it.
#[derive(Debug)]
pub(crate) struct Source {
    system: System,
    /// When each began, in seconds since 1970; the root's is not known at first.
    known: BTreeMap<u32, Option<u64>>,
}

impl Source {
    pub(crate) fn new(root: u32, _budget: &Budget) -> Self {
        Self { system: System::new(), known: BTreeMap::from([(root, None)]) }
    }

    /// Reads the root alone, which is quick.
    pub(crate) fn look_at_root(&mut self, root: u32, account: &mut Account) {
        self.refresh(ProcessesToUpdate::Some(&[Pid::from_u32(root)]));
        account.begin(false);
        self.visit(root, account);
        account.end(true, nothing_waited);
    }

    /// Reads the whole tree, up to a moment if there is one.
    pub(crate) fn look(&mut self, account: &mut Account, until: Option<Instant>, _shares: bool) {
        if until.is_some() {
            // There is no telling how many processes the system has.
            return;
        }
        self.refresh(ProcessesToUpdate::All);
        account.begin(false);
        let mut children = BTreeMap::<u32, Vec<u32>>::new();
        for (pid, process) in self.system.processes() {
            if let Some(parent) = process.parent() {
                children.entry(parent.as_u32()).or_default().push(pid.as_u32());
            }
        }
        let mut queue: Vec<u32> = self.known.keys().copied().collect();
        let mut looked = BTreeSet::new();
        while let Some(pid) = queue.pop() {
            let room = self.known.contains_key(&pid) || self.known.len() < limits::PROCESSES;
            if room && looked.insert(pid) {
                self.known.entry(pid).or_default();
                if self.visit(pid, account) {
                    queue.extend(children.get(&pid).into_iter().flatten());
                }
            }
        }
        account.end(true, nothing_waited);
    }

    fn refresh(&mut self, which: ProcessesToUpdate<'_>) {
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu();
        self.system.refresh_processes_specifics(which, true, what);
    }

    fn visit(&mut self, pid: u32, account: &mut Account) -> bool {
        let Some(start) = self.known.get_mut(&pid) else { return false };
        let process = self.system.process(Pid::from_u32(pid));
        let same = |process: &&Process| start.is_none_or(|start| start == process.start_time());
        let Some(process) = process.filter(same) else {
            self.known.remove(&pid);
            return false;
        };
        *start = Some(process.start_time());
        account.process(Reading {
            pid,
            start: process.start_time(),
            parent: process.parent().map_or(0, Pid::as_u32),
            rss: process.memory(),
            pss: None,
            mark: None,
            own: Duration::from_millis(process.accumulated_cpu_time()),
            waited: Duration::ZERO,
        });
        true
    }
}

/// Nobody gets the time of its children here: what the dead had is theirs alone.
fn nothing_waited(_pid: u32) -> Option<Duration> {
    Some(Duration::ZERO)
}

/// Not known here.
pub(crate) fn own_mark() -> Option<u64> {
    None
}
