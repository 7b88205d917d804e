//! Processes that take a known amount of memory, and what each method says they took.

mod support;

use std::{process::Command, time::Duration};

use dagtel_proc::{Cgroup, Method, Options, Rusage, Tracked, Tracker, Usage, wait};
use support::{MB, Player, eventually, group, report};

/// What a process has beside the memory that its script takes.
const BESIDE: u64 = 12 * MB;

#[test]
fn player() {
    support::play();
}

fn far_apart() -> Options {
    Options::default().with_interval(Duration::from_secs(600))
}

/// A play under track, in a group of its own where there is one.
struct Scene {
    what: &'static str,
    truth: u64,
    play: Player,
    task: Tracked,
    group: Option<Cgroup>,
}

impl Scene {
    fn open(what: &'static str, truth: u64, command: &mut Command, options: Options) -> Self {
        let group = group("truth", None);
        let play = Player::run(command, group.as_ref());
        let task = Tracker::new().track(play.id(), options);
        Self { what, truth: truth * MB, play, task, group }
    }

    /// Waits until a look has seen so many megabytes.
    fn seen(&self, megabytes: u64) {
        eventually(self.what, || self.task.snapshot().current >= megabytes * MB);
    }

    /// Lets it end by itself. Returns what was known without and with the group.
    fn end(mut self) -> (Usage, Usage) {
        self.play.go();
        let (_, rusage) = wait(self.play.take()).expect("ended");
        self.stop(Some(&rusage))
    }

    fn stop(self, rusage: Option<&Rusage>) -> (Usage, Usage) {
        let mut usage = self.task.stop();
        if let Some(rusage) = rusage {
            usage.add_rusage(rusage);
        }
        let without = usage;
        if let Some(group) = &self.group {
            usage.add_cgroup(group);
        }
        report(self.what, self.truth, &usage);
        (without, usage)
    }
}

/// Both that the method has it all, and that it adds no more than so many processes have beside.
fn agrees(usage: &Usage, method: Method, megabytes: u64, processes: u64) {
    let bytes = usage.peaks.get(method).expect("known");
    let (least, most) = (megabytes * MB, megabytes * MB + processes * BESIDE);
    assert!((least..=most).contains(&bytes), "{method}: {bytes} is not within {least}..={most}");
}

fn best_agrees(usages: (Usage, Usage), megabytes: u64, processes: u64) {
    for usage in [usages.0, usages.1] {
        agrees(&usage, usage.peaks.best().expect("a peak").0, megabytes, processes);
    }
}

#[test]
fn known_amounts() {
    let often = Options::default().with_interval(Duration::from_millis(20)).with_shares(true);

    let scene = Scene::open("one process", 200, &mut support::playing("alloc 200; line"), often);
    scene.seen(200);
    best_agrees(scene.end(), 200, 1);

    let three = "alloc 40; spawn(alloc 60; line); spawn(alloc 60; line); spawn(alloc 60; line); line";
    let scene = Scene::open("a root and three children at once", 220, &mut support::playing(three), often);
    scene.seen(220);
    best_agrees(scene.end(), 220, 4);

    // Children one after the other never had more than the largest of them.
    let turns = "spawn(alloc 90); await; spawn(alloc 120); await; spawn(alloc 60); await; say at; line";
    let mut scene =
        Scene::open("three children one after the other", 120, &mut support::playing(turns), often);
    scene.play.until("at");
    best_agrees(scene.end(), 120, 2);

    let spike = "alloc 30; say at; line; alloc 300; ms 50; free; say done; line";
    let mut scene =
        Scene::open("a spike of 50 ms beside 30 MB", 330, &mut support::playing(spike), far_apart());
    scene.play.until("at");
    scene.play.go();
    scene.play.until("done");
    best_agrees(scene.stop(None), 330, 1);

    let short = "say at; line; spawn(alloc 300; ms 50); await; say done; line";
    let mut scene = Scene::open("a child between two looks", 300, &mut support::playing(short), far_apart());
    scene.play.until("at");
    scene.play.go();
    scene.play.until("done");
    best_agrees(scene.end(), 300, 2);

    let chain = "alloc 50; exec(alloc 250; exec(alloc 20; say at; line))";
    let mut scene = Scene::open("a chain of three programs", 250, &mut support::playing(chain), far_apart());
    scene.play.until("at");
    best_agrees(scene.end(), 250, 1);
}

#[test]
fn spikes_of_50_ms_while_looking_every_half_second() {
    let (mut alive, mut ended, mut sampled) = (0, 0, 0);
    for _ in 0..20 {
        let spiky = "say at; line; alloc 300; ms 50; free; say done; line";
        let high = |usage: &Usage, method| usage.peaks.get(method).is_some_and(|bytes| bytes >= 300 * MB);

        let mut play = Player::start(spiky);
        play.until("at");
        let task = Tracker::new().track(play.id(), Options::default());
        play.go();
        play.until("done");
        let usage = task.stop();
        alive += u32::from(high(&usage, Method::VmHwm));
        sampled += u32::from(high(&usage, Method::SampledRss));

        let mut play = Player::start(spiky);
        play.until("at");
        let task = Tracker::new().track(play.id(), Options::default());
        play.go();
        play.until("done");
        play.go();
        let (_, rusage) = wait(play.take()).unwrap();
        let mut usage = task.stop();
        usage.add_rusage(&rusage);
        ended += u32::from(usage.peaks.best().is_some_and(|best| best.1 >= 300 * MB));
    }
    println!("spikes of 300 MB for 50 ms, of 20 each: vmhwm {alive}, best with rusage after the end {ended}");
    println!("sampled_rss, which is what others have: {sampled}");
    assert_eq!((alive, ended), (20, 20));
}

/// Forks siblings that all have the same memory, as a worker that forks after its imports does.
const SHARING: &str = "
import os, sys
memory = b'x' * (100 << 20)
r, w = os.pipe()
children = []
for _ in range(200):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(w)
        os.read(r, 1)
        os._exit(0)
os.close(r)
own = sum(int(line.split()[1]) for child in children
          for line in open(f'/proc/{child}/smaps_rollup') if line.startswith('Private_'))
print(own, 'kB at', flush=True)
sys.stdin.readline()
os.close(w)
for _ in children:
    os.wait()
";

#[test]
fn shared_pages_count_once_in_pss() {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no python3, which can share memory by fork");
        return;
    }
    let group = group("shared", None);
    let mut command = Command::new("python3");
    let mut play = Player::run(command.args(["-c", SHARING]), group.as_ref());
    let said = play.until("at");
    let own: u64 = said.split(' ').next().and_then(|own| own.parse().ok()).unwrap();
    let truth = 100 * MB + own * 1024;
    // A look takes a while, and a share grows when a sharer ends; so nobody begins or ends meanwhile.
    let task = Tracker::new().track(play.id(), far_apart().with_shares(true));
    eventually("a look at the tree", || task.snapshot().looks == 2);
    let mut usage = task.stop();
    let of = |method| usage.peaks.get(method).unwrap();
    assert_eq!(usage.processes.most, 201);
    assert!(of(Method::SampledRss) > 200 * 100 * MB);
    for method in [Method::SampledPss, Method::VmHwm] {
        // The interpreter has some memory beside, which all share.
        assert!((truth..truth + 2 * BESIDE).contains(&of(method)), "{method}: {} of {truth}", of(method));
    }
    if let Some(group) = &group {
        usage.add_cgroup(group);
    }
    report("200 siblings that share 100 MB", truth, &usage);
}
