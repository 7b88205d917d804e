//! R1: writers killed at random points lose nothing that was acknowledged.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use dagtel_spool::{Class, Durability, Options, Spool};
use support::{Chance, read_all, release_all};

fn options() -> Options {
    Options::default().with_segment_bytes(256 * 1024).with_durability(Durability::Process)
}

/// What record `n` of a child holds: its name, its number and bytes that follow from both.
fn payload(child: u64, n: u64) -> Vec<u8> {
    let mut bytes = [child.to_le_bytes(), n.to_le_bytes()].concat();
    let mut chance = Chance::new(child << 32 ^ n);
    bytes.resize(16 + usize::try_from(chance.below(600)).unwrap(), u8::try_from(n % 251).unwrap());
    bytes
}

fn identify(payload: &[u8]) -> (u64, u64) {
    let number = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
    (number(0), number(8))
}

/// Not a test by itself: the process that is killed. It notes each record in a file after the append has returned.
#[test]
fn writer_process() {
    let Ok(dir) = std::env::var("SPOOL_TEST_DIR") else { return };
    let child: u64 = std::env::var("SPOOL_TEST_CHILD").unwrap().parse().unwrap();
    let writer = Spool::open(Path::new(&dir).join("spool"), options()).unwrap().writer();
    let mut acknowledged = File::create(Path::new(&dir).join(format!("ack-{child}"))).unwrap();
    for n in 0.. {
        let class = Class::ALL[usize::from(n % 3 == 0)];
        writer.append(1, class, 1, &payload(child, n)).unwrap();
        acknowledged.write_all(&n.to_le_bytes()).unwrap();
    }
}

fn start(dir: &Path, child: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["writer_process", "--exact"])
        .env("SPOOL_TEST_DIR", dir)
        .env("SPOOL_TEST_CHILD", child.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn acknowledged(dir: &Path, child: u64) -> u64 {
    std::fs::metadata(dir.join(format!("ack-{child}"))).map_or(0, |meta| meta.len() / 8)
}

fn kill_after(dir: &Path, mut process: Child, child: u64, records: u64) {
    while acknowledged(dir, child) < records {
        std::thread::yield_now();
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Reads everything, and checks it against what was acknowledged. Returns records acknowledged, read, and torn tails.
fn judge(dir: &Path, children: std::ops::Range<u64>) -> (u64, u64, u64) {
    let spool = Spool::open(dir.join("spool"), options()).unwrap();
    let mut reader = spool.reader();
    let found = read_all(&mut reader);
    assert_eq!((found.damaged, found.missing), (0, 0));
    let mut seen = BTreeSet::new();
    for record in &found.records {
        let (child, n) = identify(&record.payload);
        assert_eq!(record.payload, payload(child, n), "corrupt");
        assert!(seen.insert((child, n)), "twice");
    }
    let mut all = 0;
    for child in children {
        let count = acknowledged(dir, child);
        let lost = (0..count).filter(|&n| !seen.contains(&(child, n))).count();
        assert_eq!(lost, 0, "lost of child {child}");
        all += count;
    }
    let torn = spool.stats().torn;
    release_all(&mut reader, &found);
    assert_eq!(reader.streams().unwrap(), []);
    (all, seen.len() as u64, torn)
}

#[test]
fn two_hundred_kills_lose_nothing() {
    let mut chance = Chance::new(1);
    let (mut acknowledged, mut read, mut torn) = (0, 0, 0);
    for child in 0..200 {
        let dir = tempfile::tempdir().unwrap();
        let process = start(dir.path(), child);
        kill_after(dir.path(), process, child, 1 + chance.below(2500));
        let (a, r, t) = judge(dir.path(), child..child + 1);
        assert!(t <= 1, "at most one torn tail a kill");
        (acknowledged, read, torn) = (acknowledged + a, read + r, torn + t);
    }
    println!(
        "R1: 200 kills, {acknowledged} acknowledged, {read} read, 0 lost, 0 corrupt, 0 twice, {torn} torn tails"
    );
}

#[test]
fn eight_writers_killed_at_once_lose_nothing() {
    let mut chance = Chance::new(2);
    let (mut acknowledged, mut read, mut torn) = (0, 0, 0);
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let processes: Vec<Child> = (0..8).map(|child| start(dir.path(), child)).collect();
        for (child, process) in (0..).zip(processes) {
            kill_after(dir.path(), process, child, 1 + chance.below(1500));
        }
        let (a, r, t) = judge(dir.path(), 0..8);
        assert!(t <= 8, "at most one torn tail a kill");
        (acknowledged, read, torn) = (acknowledged + a, read + r, torn + t);
    }
    println!(
        "R1: 10 x 8 kills, {acknowledged} acknowledged, {read} read, 0 lost, 0 corrupt, 0 twice, {torn} torn tails"
    );
}
