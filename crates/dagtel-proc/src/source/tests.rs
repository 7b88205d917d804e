//! Looks at a made-up `/proc`, and at real processes that do not show everything.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
    time::Duration,
};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::*;
use crate::{account::Account, gap::Gap, method::Method, usage::Usage};

const NOBODY: u32 = 65534;
/// Ids beyond what any kernel gives, so that nothing real is meant.
const ROOT: u32 = 50_000_001;

struct FakeProc(TempDir);

impl FakeProc {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    /// A process with pages as resident set, its beginning, and its list of children unless the kernel has none.
    fn put(&self, pid: u32, parent: u32, start: u64, pages: u64, children: Option<&[u32]>) {
        let directory = self.0.path().join(pid.to_string());
        let thread = directory.join("task").join(pid.to_string());
        fs::create_dir_all(&thread).expect("made");
        let write = |name: &str, text: String| fs::write(directory.join(name), text).expect("written");
        write(
            "stat",
            format!("{pid} (x y) S {parent} 1 1 0 -1 0 {pages} 0 0 0 1 1 0 0 20 0 1 0 {start} 0 0\n"),
        );
        write("statm", format!("{pages} {pages} 0 0 0 0 0\n"));
        write("status", format!("Name:\tx\nVmHWM:\t{} kB\n", pages * 8));
        if let Some(children) = children {
            let list: String = children.iter().map(|child| format!("{child} ")).collect();
            fs::write(thread.join("children"), list).expect("written");
        }
    }

    fn remove(&self, pid: u32) {
        fs::remove_dir_all(self.0.path().join(pid.to_string())).expect("removed");
    }

    fn source(&self, root: u32, budget: &Budget) -> Source {
        Source::at(self.0.path(), root, budget)
    }
}

fn looks(source: &mut Source, account: &mut Account) -> Usage {
    source.look(account, None, false);
    account.usage()
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}

#[test]
fn a_reused_id_is_noticed_whether_its_files_are_open_or_not() {
    for budget in [Budget::new(), Budget::none()] {
        let proc = FakeProc::new();
        proc.put(ROOT, 1, 10, 100, Some(&[ROOT + 1]));
        proc.put(ROOT + 1, ROOT, 20, 50, Some(&[]));
        let mut source = proc.source(ROOT, &budget);
        let mut account = Account::new(ROOT, false, false);
        assert_eq!(looks(&mut source, &mut account).current, 150 * page());
        // A stranger with much memory has got the id.
        proc.put(ROOT + 1, 1, 21, 100_000, Some(&[]));
        proc.put(ROOT, 1, 10, 100, Some(&[]));
        let usage = looks(&mut source, &mut account);
        assert_eq!((usage.current, usage.gaps.count(Gap::Reused)), (100 * page(), 1));
        // And now the root's.
        proc.put(ROOT, 1, 30, 100_000, Some(&[ROOT + 1]));
        let usage = looks(&mut source, &mut account);
        assert_eq!(usage.gaps.count(Gap::Reused), 2);
        assert_eq!(looks(&mut source, &mut account).peaks.get(Method::SampledRss), Some(150 * page()));
    }
}

#[test]
fn parents_are_read_before_children_with_lower_ids() {
    let proc = FakeProc::new();
    proc.put(ROOT, 1, 10, 1, Some(&[ROOT - 7]));
    proc.put(ROOT - 7, ROOT, 20, 1, Some(&[ROOT - 3]));
    proc.put(ROOT - 3, ROOT - 7, 30, 1, Some(&[]));
    let mut source = proc.source(ROOT, &Budget::none());
    looks(&mut source, &mut Account::new(ROOT, false, false));
    assert_eq!(source.youngest_first(), [ROOT - 3, ROOT - 7, ROOT]);
}

#[test]
fn an_id_that_another_child_has_got_is_a_new_process() {
    let proc = FakeProc::new();
    proc.put(ROOT, 1, 10, 1, Some(&[ROOT + 1]));
    proc.put(ROOT + 1, ROOT, 20, 50, Some(&[]));
    let mut source = proc.source(ROOT, &Budget::none());
    let mut account = Account::new(ROOT, false, false);
    looks(&mut source, &mut account);
    proc.put(ROOT + 1, ROOT, 21, 60, Some(&[]));
    let usage = looks(&mut source, &mut account);
    assert_eq!((usage.current, usage.processes.seen), (61 * page(), 3));
}

#[test]
fn without_lists_of_children_all_parents_are_read() {
    let proc = FakeProc::new();
    for (pid, parent) in [(ROOT, 1), (ROOT + 1, ROOT), (ROOT + 2, ROOT + 1), (ROOT + 3, 1)] {
        proc.put(pid, parent, 10, 10, None);
    }
    let mut source = proc.source(ROOT, &Budget::new());
    let mut account = Account::new(ROOT, false, false);
    for _ in 0..2 {
        let usage = looks(&mut source, &mut account);
        assert_eq!((usage.current, usage.processes.seen), (30 * page(), 3));
        assert_eq!(usage.gaps.count(Gap::NoChildrenLists), 1);
    }
}

#[test]
fn whoever_was_seen_is_followed_to_another_parent() {
    let proc = FakeProc::new();
    proc.put(ROOT, 1, 10, 1, Some(&[ROOT + 1]));
    proc.put(ROOT + 1, ROOT, 11, 1, Some(&[ROOT + 2]));
    proc.put(ROOT + 2, ROOT + 1, 12, 40, Some(&[]));
    let mut source = proc.source(ROOT, &Budget::none());
    let mut account = Account::new(ROOT, false, false);
    looks(&mut source, &mut account);
    proc.put(ROOT, 1, 10, 1, Some(&[]));
    proc.remove(ROOT + 1);
    proc.put(ROOT + 2, 1, 12, 40, Some(&[ROOT + 3]));
    proc.put(ROOT + 3, ROOT + 2, 13, 5, Some(&[]));
    let usage = looks(&mut source, &mut account);
    assert_eq!((usage.current, usage.processes.escaped), (46 * page(), 1));
    assert!(usage.gaps.is_empty());
}

#[test]
fn a_hidden_process_is_counted_and_one_that_ended_is_not() {
    let empty = FakeProc::new();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let mut source = empty.source(child.id(), &Budget::new());
    let mut account = Account::new(child.id(), false, false);
    source.look_at_root(child.id(), &mut account);
    let hidden = looks(&mut source, &mut account);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(hidden.gaps.iter().collect::<Vec<_>>(), [(Gap::Hidden, 1)]);
    assert_eq!((hidden.peaks.best(), hidden.cpu), (None, Duration::ZERO));

    let mut account = Account::new(child.id(), false, false);
    let ended = looks(&mut empty.source(child.id(), &Budget::new()), &mut account);
    assert!(ended.gaps.is_empty(), "{:?}", ended.gaps);
}

#[test]
fn a_tree_beyond_the_limit_is_cut_and_counted() {
    let proc = FakeProc::new();
    let beyond = crate::limits::PROCESSES as u32 + 2;
    let children: Vec<u32> = (ROOT + 1..=ROOT + beyond).collect();
    proc.put(ROOT, 1, 10, 1, Some(&children));
    // All are one, which is quickly made.
    let one = proc.0.path().join("one");
    fs::create_dir(&one).unwrap();
    for name in ["stat", "statm"] {
        fs::copy(proc.0.path().join(ROOT.to_string()).join(name), one.join(name)).unwrap();
    }
    for child in &children {
        std::os::unix::fs::symlink(&one, proc.0.path().join(child.to_string())).unwrap();
    }
    let mut source = proc.source(ROOT, &Budget::new());
    let mut account = Account::new(ROOT, false, false);
    looks(&mut source, &mut account);
    let usage = looks(&mut source, &mut account);
    assert_eq!(usage.processes.most, crate::limits::PROCESSES as u64);
    assert_eq!(usage.gaps.count(Gap::TooMany), 3);
}

/// Whether a test goes on here. As root, for whom no permission is refused, it is run again as somebody else.
fn is_ordinary_user(test: &str) -> bool {
    if !geteuid().is_root() {
        return true;
    }
    let program = std::env::current_exe().expect("the path of the tests");
    let place = TempDir::new().expect("a temporary directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("readable");
    // Where it was built may be closed to others.
    let copy = place.path().join("tests");
    fs::copy(program, &copy).expect("copied");
    let run = Command::new(&copy)
        .args([test, "--exact", "--nocapture"])
        .env("DAGTEL_PROC_FOREIGN", std::process::id().to_string())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .status();
    assert!(run.is_ok_and(|status| status.success()), "{test} as user {NOBODY}");
    false
}

#[test]
fn a_process_that_may_not_be_read_is_counted_once() {
    if !is_ordinary_user("source::tests::a_process_that_may_not_be_read_is_counted_once") {
        return;
    }
    let proc = FakeProc::new();
    proc.put(ROOT, 1, 10, 100, Some(&[ROOT + 1]));
    proc.put(ROOT + 1, ROOT, 20, 50, Some(&[]));
    let closed = proc.0.path().join((ROOT + 1).to_string());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let mut source = proc.source(ROOT, &Budget::new());
    let mut account = Account::new(ROOT, false, false);
    looks(&mut source, &mut account);
    let usage = looks(&mut source, &mut account);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(usage.gaps.iter().collect::<Vec<_>>(), [(Gap::Denied, 1)]);
    assert_eq!(usage.current, 100 * page());
}

#[test]
fn shares_of_a_foreign_process_are_counted_as_unknown() {
    if !is_ordinary_user("source::tests::shares_of_a_foreign_process_are_counted_as_unknown") {
        return;
    }
    let foreign = std::env::var("DAGTEL_PROC_FOREIGN").ok().and_then(|pid| pid.parse().ok());
    let Some(foreign) = foreign else {
        println!("skipped: only root can have a process of another user at hand");
        return;
    };
    let mut account = Account::new(foreign, false, true);
    let mut source = Source::new(foreign, &Budget::new());
    source.look(&mut account, None, true);
    source.look(&mut account, None, true);
    let usage = account.usage();
    // The parent is foreign; this process, its child, is not.
    assert_eq!(usage.gaps.iter().collect::<Vec<_>>(), [(Gap::ShareUnknown, 1)]);
    assert!(usage.peaks.get(Method::SampledRss) > Some(0));
}
