//! R4: what is promised at `Always` and `Interval` holds whatever a loss of power leaves on the disk. R14: a failed sync.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{io, sync::Arc, time::Duration};

use dagtel_spool::{
    Class, Durability, Options, Position, Spool,
    testing::{Fault, ManualClock, MemFs},
};
use support::{Chance, read_all};

fn open(fs: &MemFs, clock: &Arc<ManualClock>, durability: Durability) -> Spool {
    let options = Options::default().with_segment_bytes(900).with_durability(durability);
    Spool::open_with("/spool", options, Arc::new(fs.clone()), Arc::clone(clock) as _).unwrap()
}

/// One schedule: appends, flushes and failures in a random order, then the lights go out, once or twice.
/// Returns records acknowledged as safe, and records read after all.
fn schedule(seed: u64, durability: Durability) -> (usize, usize) {
    let mut chance = Chance::new(seed);
    let clock = Arc::new(ManualClock::new(seed));
    let mut fs = MemFs::default().process();
    let (mut written, mut safe, mut unsafe_yet) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=chance.below(2) {
        let spool = open(&fs, &clock, durability);
        let writer = spool.writer();
        for _ in 0..chance.below(25) {
            let number = written.len() as u64;
            match chance.below(12) {
                0 => clock.advance(Duration::from_secs(chance.below(40))),
                1 | 2 if writer.flush().is_ok() => safe.append(&mut unsafe_yet),
                3 => fs.fail(Fault::Sync, 0, io::ErrorKind::Other),
                4 => fs.shorten(0, usize::try_from(chance.below(100)).unwrap(), Some(io::ErrorKind::Other)),
                5 => fs.fail(Fault::SyncDir, 0, io::ErrorKind::Other),
                _ => {
                    let mut payload = number.to_le_bytes().to_vec();
                    payload.resize(8 + usize::try_from(chance.below(500)).unwrap(), number.to_le_bytes()[0]);
                    let class = Class::ALL[usize::try_from(chance.below(2)).unwrap()];
                    let taken = writer.append(1, class, 1, &payload);
                    written.push(payload);
                    match (taken, durability) {
                        (Ok(_), Durability::Always) => safe.push(number),
                        (Ok(_), _) => unsafe_yet.push(number),
                        (Err(_), _) => {}
                    }
                }
            }
        }
        unsafe_yet.clear();
        fs = fs.lose_power(|| chance.draw());
    }
    let mut reader = open(&fs, &clock, durability).reader();
    let found = read_all(&mut reader);
    let mut numbers = Vec::new();
    for payload in found.payloads() {
        let number = u64::from_le_bytes(payload[..8].try_into().unwrap());
        assert_eq!(payload, written[usize::try_from(number).unwrap()], "seed {seed}: invented");
        numbers.push(number);
    }
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "seed {seed}: twice");
    for number in &safe {
        assert!(numbers.binary_search(number).is_ok(), "seed {seed}: {number} is lost");
    }
    (safe.len(), count)
}

#[test]
fn ten_thousand_losses_of_power_break_no_promise() {
    for durability in [Durability::Always, Durability::Interval] {
        let (mut safe, mut read) = (0, 0);
        for seed in 0..5000 {
            let (s, r) = schedule(seed, durability);
            (safe, read) = (safe + s, read + r);
        }
        println!(
            "R4: {durability:?}: 5000 schedules, {safe} records promised, {read} read, 0 promised ones lost"
        );
    }
}

#[test]
fn a_file_whose_sync_failed_is_left_and_its_records_are_written_again() {
    for durability in [Durability::Always, Durability::Interval] {
        let (fs, clock) = (MemFs::default().process(), Arc::new(ManualClock::new(1)));
        let spool = open(&fs, &clock, durability);
        let writer = spool.writer();
        let mut reader = spool.reader();
        writer.append(1, Class::Lifecycle, 1, b"before").unwrap();
        writer.flush().unwrap();
        fs.fail(Fault::Sync, 0, io::ErrorKind::Other);
        writer.append(1, Class::Lifecycle, 1, b"during").unwrap();
        // A reader that is quick sees the record in the file that is given up, and must not see it again.
        let stream = reader.streams().unwrap()[0].id;
        let early = reader.read(stream, Position::default(), usize::MAX).unwrap();
        writer.flush().unwrap();
        writer.append(1, Class::Lifecycle, 1, b"after").unwrap();
        writer.flush().unwrap();
        let late = reader.read(stream, early.next, usize::MAX).unwrap();
        let payloads: Vec<_> = early.records.iter().chain(&late.records).map(|r| r.payload.clone()).collect();
        assert_eq!(payloads, [&b"before"[..], b"during", b"after"]);
        assert_eq!(spool.stats().failed_syncs, 1);
        assert_eq!(fs.syncs_after_failure(), 0, "no second sync of a file after a failed one");
        assert_eq!(spool.stats().files, 2);
        // The machine stops: nothing is lost.
        let after = fs.lose_power(|| 1);
        assert_eq!(read_all(&mut open(&after, &clock, durability).reader()).payloads().len(), 3);
        println!(
            "R14: {durability:?}: 1 failed sync, 0 syncs of that file after it, 3 of 3 records read, each once"
        );
    }
}
