//! A tree of processes below `/proc`: its own entries are read, no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use super::{
    files::{Budget, Files, ids},
    parse,
};
use crate::{
    account::{Account, Reading},
    gap::Gap,
    limits,
};

/// A process that was seen before.
#[derive(Debug)]
struct Known {
    files: Files,
    /// `None` until it has been read.
    start: Option<u64>,
    /// Page faults when its mark was read.
    faults: Option<u64>,
    mark: Option<u64>,
    /// The number of the last look that had it.
    look: u64,
    share_refused: bool,
}

/// A tree of processes, its root first and everything that was ever seen below it.
#[derive(Debug)]
pub(crate) struct Source {
    proc: PathBuf,
    budget: Budget,
    known: BTreeMap<u32, Known>,
    /// Processes that could not be read, each of which is counted once.
    refused: BTreeSet<u32>,
    look: u64,
    /// Whether the parents of all processes have to be read.
    scans: bool,
    page: u64,
    ticks: u64,
    text: Vec<u8>,
}

/// Why there is no reading.
enum Unread {
    /// The process has ended.
    Gone,
    /// Its id belongs to another process.
    Reused,
    /// It is there but cannot be read.
    Refused(Gap),
}

/// What children a look finds: parent, then children. `None` where each process has its own list.
type Scan = Option<BTreeMap<u32, Vec<u32>>>;

impl Source {
    pub(crate) fn new(root: u32, budget: &Budget) -> Self {
        Self::at(Path::new("/proc"), root, budget)
    }

    /// With another directory for `/proc`.
    pub(super) fn at(proc: &Path, root: u32, budget: &Budget) -> Self {
        let mut source = Self {
            proc: proc.to_owned(),
            budget: budget.clone(),
            known: BTreeMap::new(),
            refused: BTreeSet::new(),
            look: 0,
            scans: false,
            page: rustix::param::page_size() as u64,
            ticks: rustix::param::clock_ticks_per_second(),
            text: Vec::new(),
        };
        source.know(root);
        source
    }

    fn know(&mut self, pid: u32) {
        let files = Files::open(&self.proc, pid, &self.budget);
        let known = Known { files, start: None, faults: None, mark: None, look: 0, share_refused: false };
        self.known.insert(pid, known);
    }

    /// Reads the root alone, which is quick.
    pub(crate) fn look_at_root(&mut self, root: u32, account: &mut Account) {
        account.begin(false);
        if self.known.contains_key(&root) {
            self.visit(root, account, false);
        }
        account.end(true, |_| None);
    }

    /// Reads the whole tree, up to a moment if there is one. `shares` asks for proportional set sizes too, which may
    /// take long in a process with much memory.
    pub(crate) fn look(&mut self, account: &mut Account, until: Option<Instant>, shares: bool) {
        self.look += 1;
        account.begin(shares);
        let mut scan = self.scans.then(|| self.scan());
        // What was seen before is looked at even if it has another parent by now.
        let mut queue = self.youngest_first();
        let mut whole = true;
        while let Some(pid) = queue.pop() {
            if until.is_some_and(|until| Instant::now() >= until) {
                whole = false;
                break;
            }
            let known = self.known.get(&pid);
            if known.is_some_and(|known| known.look == self.look) {
                continue;
            }
            if known.is_none() {
                if self.known.len() >= limits::PROCESSES {
                    self.refuse(pid, Gap::TooMany, account);
                    continue;
                }
                self.know(pid);
            }
            if let Some(threads) = self.visit(pid, account, shares) {
                self.children(pid, threads, &mut scan, &mut queue, account);
            }
        }
        let (known, ticks, text) = (&self.known, self.ticks, &mut self.text);
        account.end(whole, |pid| {
            let stat = parse::stat(known.get(&pid)?.files.stat(text).ok()?)?;
            Some(parse::ticks(stat.waited, ticks))
        });
    }

    /// What was seen before, to be taken from the end: the oldest are read first, should the time not suffice for all, and
    /// parents before their children. The other way round, a child could be read and then, once its parent has waited for
    /// it, its time once more with the parent's. The ids say nothing of age: they begin again when they are used up.
    pub(super) fn youngest_first(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.known.keys().copied().collect();
        let age = |pid: &u32| (self.known.get(pid).and_then(|known| known.start), *pid);
        pids.sort_unstable_by_key(|pid| std::cmp::Reverse(age(pid)));
        pids
    }

    /// Reads one known process and returns how many threads it has, or forgets it.
    fn visit(&mut self, pid: u32, account: &mut Account, shares: bool) -> Option<u64> {
        let unread = match self.read(pid, account, shares) {
            Ok((reading, threads)) => {
                account.process(reading);
                return Some(threads);
            }
            Err(unread) => unread,
        };
        self.known.remove(&pid);
        match unread {
            Unread::Gone => {}
            Unread::Reused => account.gap(Gap::Reused),
            Unread::Refused(gap) => self.refuse(pid, gap, account),
        }
        None
    }

    fn refuse(&mut self, pid: u32, gap: Gap, account: &mut Account) {
        if self.refused.len() < limits::PROCESSES && self.refused.insert(pid) {
            account.gap(gap);
        }
    }

    fn read(&mut self, pid: u32, account: &mut Account, shares: bool) -> Result<(Reading, u64), Unread> {
        let Some(known) = self.known.get_mut(&pid) else { return Err(Unread::Gone) };
        let text = &mut self.text;
        let unread = |error: io::Error| why(pid, &error);
        let stat = parse::stat(known.files.stat(text).map_err(unread)?).ok_or(Unread::Gone)?;
        if known.start.is_some_and(|start| start != stat.start) {
            return Err(Unread::Reused);
        }
        known.start = Some(stat.start);
        known.look = self.look;
        let pages = known.files.statm(text).map_err(unread).map(parse::resident)?.unwrap_or(0);
        // A mark rises by page faults only, and reading it costs more than all the rest.
        if known.faults != Some(stat.faults) {
            let status = known.files.named("status", text).ok();
            known.mark = status.and_then(|status| parse::kilobytes(status, "VmHWM")).or(known.mark);
            known.faults = Some(stat.faults);
        }
        let mut pss = None;
        if shares && pages > 0 {
            pss = known.files.named("smaps_rollup", text).ok().and_then(|text| parse::kilobytes(text, "Pss"));
            if pss.is_none() && !known.share_refused && known.files.stat(text).is_ok() {
                known.share_refused = true;
                account.gap(Gap::ShareUnknown);
            }
        }
        let reading = Reading {
            pid,
            start: stat.start,
            parent: stat.parent,
            rss: pages * self.page,
            pss,
            mark: known.mark,
            own: parse::ticks(stat.own, self.ticks),
            waited: parse::ticks(stat.waited, self.ticks),
        };
        Ok((reading, stat.threads))
    }

    /// Puts the children of a process, by any of its threads, into the queue.
    fn children(
        &mut self,
        pid: u32,
        threads: u64,
        scan: &mut Scan,
        queue: &mut Vec<u32>,
        account: &mut Account,
    ) {
        if scan.is_none() {
            let Some(known) = self.known.get(&pid) else { return };
            let first = known.files.children(&mut self.text).map(|list| queue.extend(parse::pids(list)));
            if threads > 1 {
                for thread in known.files.threads().unwrap_or_default() {
                    if thread != pid
                        && let Ok(list) = known.files.children_of_thread(thread, &mut self.text)
                    {
                        queue.extend(parse::pids(list));
                    }
                }
            }
            // A process that has just ended has no lists either, but its directory is gone with them.
            let missing = first.is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            if !missing || known.files.threads().is_err() {
                return;
            }
            account.gap(Gap::NoChildrenLists);
            self.scans = true;
            *scan = Some(self.scan());
        }
        queue.extend(scan.iter().flat_map(|scan| scan.get(&pid)).flatten());
    }

    /// The children of every process that can be read.
    fn scan(&mut self) -> BTreeMap<u32, Vec<u32>> {
        let mut children = BTreeMap::<u32, Vec<u32>>::new();
        let nothing_kept = Budget::none();
        for pid in ids(&self.proc).unwrap_or_default() {
            let files = Files::open(&self.proc, pid, &nothing_kept);
            if let Some(stat) = files.stat(&mut self.text).ok().and_then(parse::stat) {
                children.entry(stat.parent).or_default().push(pid);
            }
        }
        children
    }
}

/// Why a process could not be read.
fn why(pid: u32, error: &io::Error) -> Unread {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unread::Refused(Gap::Denied),
        io::ErrorKind::NotFound if exists(pid) => Unread::Refused(Gap::Hidden),
        _ => Unread::Gone,
    }
}

/// Whether there is such a process, whatever `/proc` shows.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// The high-water mark of this process, in bytes.
pub(crate) fn own_mark() -> Option<u64> {
    parse::kilobytes(&std::fs::read("/proc/self/status").ok()?, "VmHWM")
}
