//! Trees of real processes: who belongs to one, what its processor time is, and what a tracker costs.

mod support;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use dagtel_proc::{Method, Options, Tracker, wait};
use support::{MB, Player, eventually, group, playing};

#[test]
fn player() {
    support::play();
}

fn often() -> Options {
    Options::default().with_interval(Duration::from_millis(10))
}

/// Nobody waits for so long.
fn far_apart() -> Options {
    Options::default().with_interval(Duration::from_secs(3600))
}

#[test]
fn a_child_that_was_seen_and_escapes_stays_tracked() {
    let mut play = Player::start("spawn(leave(alloc 50; line); say left; line); line");
    let task = Tracker::new().track(play.id(), often());
    play.until("left");
    eventually("three processes and the memory of the last", || {
        let usage = task.snapshot();
        usage.processes.seen == 3 && usage.current > 50 * MB
    });
    // The one in between ends; the last one now belongs to somebody outside.
    let between = children(play.id());
    kill(between[0]);
    eventually("an escape", || task.snapshot().processes.escaped == 1);
    eventually("still counted", || task.snapshot().current > 50 * MB);
    assert!(task.stop().gaps.is_empty());
}

#[test]
fn a_group_knows_a_child_that_escaped_unseen() {
    let Some(own) = group("escape", None) else { return };
    let script = "say at; line; spawn(leave(alloc 50; say there; line)); await; line";
    let mut play = Player::run(&mut playing(script), Some(&own));
    play.until("at");
    let task = Tracker::new().track(play.id(), far_apart());
    eventually("the first look at the tree", || task.snapshot().looks == 2);
    play.go();
    play.until("there");
    assert_eq!(own.processes().unwrap().len(), 2);
    let mut usage = task.stop();
    assert_eq!(usage.processes.seen, 1, "nothing leads there any more");
    usage.add_cgroup(&own);
    assert!(usage.peaks.get(Method::Cgroup) > Some(50 * MB));
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("alive");
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<_>>())
        .collect()
}

#[test]
fn processor_time_is_that_of_the_whole_tree() {
    let own = group("time", None);
    let script = "burn 200; spawn(burn 300; spawn(burn 250); await); spawn(burn 150); await; say done; line";
    let mut play = Player::run(&mut playing(script), own.as_ref());
    let task = Tracker::new().track(play.id(), often());
    play.until("done");
    let mut usage = task.stop();
    let sampled = usage.cpu;
    play.go();
    let (_, rusage) = wait(play.take()).unwrap();
    usage.add_rusage(&rusage);
    println!(
        "processor time: at least 900 ms taken, {sampled:?} sampled, {:?} by wait4",
        rusage.user + rusage.system
    );
    // Each of five processes is rounded down to 10 ms, in user mode and in the kernel, by itself and by its parent.
    assert!(sampled + Duration::from_millis(100) >= Duration::from_millis(900));
    assert!(sampled <= rusage.user + rusage.system + Duration::from_millis(30));
    assert_eq!(usage.cpu, sampled.max(rusage.user + rusage.system));
    if let Some(own) = &own {
        let counted = own.cpu().unwrap();
        println!("processor time by the group: {counted:?}");
        // The kernel divides time between the modes by samples, but not the sum.
        assert!(counted >= Duration::from_millis(850) && counted < usage.cpu + Duration::from_millis(200));
        usage.add_cgroup(own);
        assert!(usage.cpu >= counted);
    }
}

#[test]
fn time_of_a_process_that_nobody_in_the_tree_waits_for_is_kept() {
    let mut play =
        Player::start("spawn(leave(burn 300; say burnt; line); line); line; burn 200; say done; line");
    let task = Tracker::new().track(play.id(), often());
    play.until("burnt");
    eventually("its time", || task.snapshot().cpu >= Duration::from_millis(300));
    let between = children(play.id())[0];
    let last = children(between)[0];
    kill(between);
    kill(last);
    eventually("only the root", || children(play.id()) == [between] && !exists(last));
    play.go();
    play.until("done");
    let cpu = task.stop().cpu;
    assert!(cpu >= Duration::from_millis(480), "{cpu:?}");
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("run").success());
}

fn exists(pid: u32) -> bool {
    fs::exists(format!("/proc/{pid}")).expect("readable")
}

#[test]
fn a_child_is_born_with_the_mark_of_its_parent() {
    let large = std::hint::black_box(vec![1_u8; (150 * MB) as usize]);
    let (_, rusage) = wait(Command::new("true").spawn().unwrap()).unwrap();
    drop(large);
    println!("`true` as the child of a large process: {} MB by wait4", rusage.max_rss / MB);
    assert!(rusage.max_rss > 100 * MB && rusage.max_rss <= rusage.inherited);
    let mut usage = Tracker::new().track(std::process::id(), far_apart()).snapshot();
    let before = usage.peaks;
    usage.add_rusage(&rusage);
    assert_eq!(usage.peaks, before);
}

#[test]
fn the_same_process_may_be_tracked_by_siblings() {
    let tracker = Tracker::new();
    let mine: Vec<_> = (0..3).map(|_| tracker.track(std::process::id(), often())).collect();
    eventually("a look at each", || mine.iter().all(|task| task.snapshot().processes.most > 0));
    for task in mine {
        let peaks = task.stop().peaks;
        assert!(peaks.get(Method::SampledRss) > Some(MB));
    }
}

#[test]
fn work_shorter_than_any_look_has_its_figures() {
    let tracker = Tracker::new();
    for _ in 0..200 {
        let usage = tracker.track(std::process::id(), far_apart()).stop();
        assert!(usage.debug_max_memory_mb() > 1.0);
    }
}

#[test]
fn stop_does_not_wait() {
    let tracker = Tracker::new();
    let play = Player::start("line");
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        let task = tracker.track(play.id(), far_apart().with_shares(true));
        let began = Instant::now();
        task.stop();
        longest = longest.max(began.elapsed());
    }
    println!("the longest of 100 ends with an interval of an hour: {longest:?}");
}

#[test]
fn a_process_that_is_not_there_is_no_error() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let usage = Tracker::new().track(child.id(), often()).stop();
    assert_eq!((usage.peaks.best(), usage.processes.seen), (None, 0));
    assert!(usage.gaps.is_empty());
}

/// In a process of its own, where no other test has threads and files.
#[test]
fn nothing_is_left_behind() {
    const ALONE: &str = "DAGTEL_PROC_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["nothing_is_left_behind", "--exact", "--nocapture"]).env(ALONE, "1");
        assert!(command.status().unwrap().success());
        return;
    }
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let (files, threads) = (count("fd"), count("task"));
    let rounds = if std::env::var_os("RUN_SLOW_TESTS").is_some() { 200 } else { 5 };
    for _ in 0..rounds {
        let tracker = Tracker::new();
        let plays: Vec<Player> = (0..4).map(|_| Player::start("spawn(line); line")).collect();
        let tasks: Vec<_> = (0..100).map(|n| tracker.track(plays[n % plays.len()].id(), often())).collect();
        eventually("a look at each", || tasks.iter().all(|task| task.snapshot().processes.most == 2));
        assert_eq!(count("task"), threads + 1, "one thread for all");
        assert!(count("fd") < files + 2 * plays.len() + dagtel_proc::limits::OPEN_FILES + 8);
        let (stopped, dropped): (Vec<_>, Vec<_>) =
            tasks.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
        stopped.into_iter().for_each(|(_, task)| {
            task.stop();
        });
        drop(dropped);
        drop(plays);
        eventually("its end", || count("task") == threads);
        drop(tracker);
    }
    assert_eq!(count("fd"), files);
}
