//! Groups of version 2 as recorded files, and what is in the way of a group.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A made-up `/proc` whose mounts lead into the same temporary directory.
struct Host(TempDir);

impl Host {
    /// This process is in `group` of version 2.
    fn two(group: &str) -> Self {
        let host = Self(TempDir::new().expect("a temporary directory"));
        let mount = host.path("cgroup");
        host.file(&format!("proc/{}/cgroup", std::process::id()), &format!("0::{group}\n"));
        let line = format!("30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n", mount.display());
        host.file("proc/self/mountinfo", &format!("23 1 8:1 / / rw - ext4 /dev/sda1 rw\n{line}"));
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn of(&self) -> Result<Cgroup, CgroupError> {
        Cgroup::of_at(&self.path("proc"), std::process::id())
    }

    fn create(&self, name: &str, limit: Option<u64>) -> Result<Cgroup, CgroupError> {
        Cgroup::create_at(&self.path("proc"), name, limit)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("readable")
    }
}

fn events(oom_kills: u64) -> String {
    format!("low 0\nhigh 0\nmax 61\noom 2\noom_kill {oom_kills}\noom_group_kill 0\n")
}

/// The files of a group as Linux 6.1 writes them.
fn record(host: &Host, group: &str) {
    for (name, text) in [
        ("memory.current", "73728000\n"),
        ("memory.peak", "314572800\n"),
        ("memory.max", "max\n"),
        ("memory.events", &events(1)),
        ("cgroup.procs", &format!("{}\n", std::process::id())),
        ("cgroup.subtree_control", "\n"),
        ("cpu.stat", "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 0\n"),
    ] {
        host.file(&format!("cgroup{group}/{name}"), text);
    }
}

#[test]
fn the_group_of_a_process_tells_what_came_since() {
    let host = Host::two("/user.slice/a b");
    record(&host, "/user.slice/a b");
    let group = host.of().unwrap();
    assert_eq!(group.path(), host.path("cgroup/user.slice/a b"));
    assert_eq!(group.current(), Some(73_728_000));
    assert_eq!((group.oom_kills(), group.peak(), group.cpu()), (Some(0), None, None));
    host.file("cgroup/user.slice/a b/memory.events", &events(3));
    host.file("cgroup/user.slice/a b/memory.peak", "314572801\n");
    assert_eq!((group.oom_kills(), group.peak()), (Some(2), Some(314_572_801)));
}

#[test]
fn a_peak_that_others_share_is_not_the_tasks() {
    let host = Host::two("/a");
    record(&host, "/a");
    host.file("cgroup/a/cgroup.procs", &format!("1\n{}\n", std::process::id()));
    let group = host.of().unwrap();
    host.file("cgroup/a/memory.peak", "999999999\n");
    assert_eq!(group.peak(), None);
}

#[test]
fn old_kernels_have_no_peak() {
    let host = Host::two("/a");
    record(&host, "/a");
    fs::remove_file(host.path("cgroup/a/memory.peak")).unwrap();
    let group = host.of().unwrap();
    assert_eq!((group.peak(), group.oom_kills()), (None, Some(0)));
}

#[test]
fn a_group_is_made_beside_where_that_is_delegated() {
    let host = Host::two("/job/main");
    record(&host, "/job/main");
    host.file("cgroup/job/cgroup.subtree_control", "cpu memory pids\n");
    let group = host.create("task-1", Some(1 << 20)).unwrap();
    assert_eq!(group.path(), host.path("cgroup/job/task-1"));
    assert_eq!(host.text("cgroup/job/task-1/memory.max"), "1048576");
    group.attach(77).unwrap();
    assert_eq!(host.text("cgroup/job/task-1/cgroup.procs"), "77");
    record(&host, "/job/task-1");
    let mut usage = crate::Usage::default();
    usage.add_cgroup(&group);
    assert_eq!(usage.peaks.best(), Some((crate::Method::Cgroup, 314_572_800)));
    assert_eq!((usage.cpu, usage.oom_kills), (Duration::from_micros(1_234_567), Some(1)));
}

#[test]
fn what_is_in_the_way_is_said() {
    let refused = |host: &Host, name| host.create(name, None).expect_err("refused").to_string();

    let host = Host::two("/job/main");
    record(&host, "/job/main");
    assert!(refused(&host, "a/b").contains("cannot be the name"));
    assert!(refused(&host, "..").contains("cannot be the name"));
    assert!(refused(&host, "task").contains("no group above it that passes memory on"));

    host.file("cgroup/job/cgroup.subtree_control", "memory\n");
    host.file("cgroup/job/main/memory.max", "1073741824\n");
    assert!(refused(&host, "task").contains("would escape its memory.max"));
    assert!(!host.path("cgroup/job/task").exists());

    fs::remove_file(host.path("cgroup/job/main/memory.current")).unwrap();
    assert!(host.of().expect_err("refused").to_string().contains("no memory controller"));

    let outside = Host::two("/../other");
    assert!(matches!(outside.of(), Err(CgroupError::Outside { .. })));

    let nothing = Host::two("/a");
    nothing.file("proc/self/mountinfo", "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    assert!(nothing.of().expect_err("refused").to_string().contains("no cgroup file system is mounted"));

    let gone = Host(TempDir::new().unwrap());
    assert!(matches!(gone.of(), Err(CgroupError::Io { .. })));
}

#[test]
fn version_one_comes_first_where_it_counts_memory() {
    let host = Host::two("/a");
    record(&host, "/a");
    let (memory, cpu) = (host.path("memory"), host.path("c p u"));
    let mounts = format!(
        "35 31 0:31 /docker/1 {} rw shared:9 - cgroup cgroup rw,memory\n\
         33 31 0:30 /docker/1 {} rw - cgroup cgroup rw,cpu,cpuacct\n{}",
        memory.display(),
        cpu.display().to_string().replace(' ', "\\040"),
        host.text("proc/self/mountinfo"),
    );
    host.file("proc/self/mountinfo", &mounts);
    let groups = "9:name=systemd:/\n4:memory:/docker/1/x\n2:cpu,cpuacct:/docker/1\n0::/a\n";
    host.file(&format!("proc/{}/cgroup", std::process::id()), groups);
    fs::create_dir_all(memory.join("x")).unwrap();
    fs::create_dir_all(&cpu).unwrap();
    let group = host.create("task", None).unwrap();
    assert_eq!(group.path(), memory.join("x/task"));
    assert!(cpu.join("task").is_dir());
    host.file("c p u/task/cpuacct.usage", "2500000000\n");
    host.file("memory/x/task/memory.max_usage_in_bytes", "5000\n");
    host.file("memory/x/task/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    assert_eq!(group.cpu(), Some(Duration::from_millis(2500)));
    assert_eq!((group.peak(), group.oom_kills()), (Some(5000), Some(4)));
}
