//! R7: a full disk, and writes that stop anywhere. R10: a full budget.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{collections::BTreeMap, io, path::Path, process::Command, sync::Arc, time::Duration};

use dagtel_spool::{
    AppendError, Class, Durability, Options, Spool,
    testing::{Fault, ManualClock, MemFs},
};
use support::{Chance, read_all, release_all};

fn open(fs: &MemFs, clock: &Arc<ManualClock>, options: Options) -> Spool {
    Spool::open_with("/spool", options, Arc::new(fs.clone()), Arc::clone(clock) as _).unwrap()
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    for (kind, durability) in [
        (io::ErrorKind::StorageFull, Durability::Process),
        (io::ErrorKind::QuotaExceeded, Durability::Process),
        (io::ErrorKind::StorageFull, Durability::Batched),
        (io::ErrorKind::StorageFull, Durability::Always),
    ] {
        let (fs, clock) = (MemFs::default().process(), Arc::new(ManualClock::new(1)));
        let options = Options::default().with_segment_bytes(64 * 1024).with_durability(durability);
        let spool = open(&fs, &clock, options);
        let writer = spool.writer();
        fs.set_capacity(Some(2 * 1024 * 1024));
        let (mut taken, mut refused) = (0u64, 0u64);
        let payload = |n: u64| [&n.to_le_bytes()[..], &[7; 500]].concat();
        while refused < 1000 {
            if kind == io::ErrorKind::QuotaExceeded && refused == 0 && taken == 3000 {
                fs.fail(Fault::Append, 0, kind);
            }
            match writer.append(1, Class::Lifecycle, 1, &payload(taken)) {
                Ok(_) => taken += 1,
                Err(AppendError::Full { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            clock.advance(Duration::from_millis(1));
        }
        let mut reader = spool.reader();
        let found = read_all(&mut reader);
        let status = reader.streams().unwrap();
        assert!(status[0].alive, "a writer on a full disk is not dead");
        // Deleting works while the disk is full, and makes room.
        release_all(&mut reader, &found);
        clock.advance(Duration::from_millis(200));
        let mut later = 0;
        for n in taken..taken + 100 {
            writer.append(1, Class::Lifecycle, 1, &payload(n)).unwrap();
            later += 1;
        }
        drop(writer);
        let stream = status[0].id;
        let rest = reader.read(stream, found.ends[&stream], usize::MAX).unwrap();
        let all: Vec<_> = found.records.iter().chain(&rest.records).map(|r| r.payload.clone()).collect();
        assert_eq!(all, (0..taken + later).map(payload).collect::<Vec<_>>());
        assert_eq!((found.damaged + rest.damaged, found.missing + rest.missing), (0, 0));
        let stats = spool.stats();
        assert_eq!(stats.dropped_full.lifecycle, refused);
        assert_eq!(stats.appended.lifecycle, taken + later);
        println!(
            "R7: {kind:?} at {durability:?}: {taken} taken, {refused} refused and counted, {later} after; all read"
        );
    }
}

#[test]
fn a_write_may_stop_after_any_byte() {
    let mut cases = 0;
    for then in [
        None,
        Some(io::ErrorKind::StorageFull),
        Some(io::ErrorKind::QuotaExceeded),
        Some(io::ErrorKind::Other),
    ] {
        for bytes in 0..=180 {
            let (fs, clock) = (MemFs::default().process(), Arc::new(ManualClock::new(1)));
            let spool = open(&fs, &clock, Options::default().with_durability(Durability::Process));
            let (writer, mut reader) = (spool.writer(), spool.reader());
            let mut expected = vec![vec![1; 50]];
            writer.append(1, Class::Detail, 1, &expected[0]).unwrap();
            if bytes == 0 && then.is_none() {
                continue;
            }
            fs.shorten(0, bytes, then);
            let payloads = [vec![2; 60], vec![3; 60]];
            let records: Vec<_> = payloads.iter().map(|payload| (1, 1, payload.as_slice())).collect();
            if writer.append_many(Class::Detail, &records).is_ok() {
                expected.extend(payloads);
            }
            // A reader that looks in between finds only whole records.
            read_all(&mut reader);
            clock.advance(Duration::from_secs(1));
            writer.append(1, Class::Detail, 1, &[4; 70]).unwrap();
            expected.push(vec![4; 70]);
            let found = read_all(&mut reader);
            assert_eq!(found.payloads(), expected, "{bytes} bytes, then {then:?}");
            assert_eq!((found.damaged, found.missing), (0, 0));
            cases += 1;
        }
    }
    println!("R7: {cases} writes cut short, all records taken are read, each once");
}

#[test]
fn a_disk_that_fails_for_good_is_an_error_and_not_a_panic() {
    let (fs, clock) = (MemFs::default().process(), Arc::new(ManualClock::new(1)));
    let spool = open(&fs, &clock, Options::default().with_durability(Durability::Process));
    let writer = spool.writer();
    writer.append(1, Class::Detail, 1, b"one").unwrap();
    fs.kill();
    assert!(matches!(writer.append(1, Class::Detail, 1, b"two"), Err(AppendError::Io(_))));
    assert_eq!(spool.stats().dropped_io.detail, 1);
    drop(writer);
}

#[test]
fn a_real_disk_of_two_mebibytes_fills_up_and_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("R7: skipped: a tmpfs cannot be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(|| fill_and_empty(&dir.path().join("spool")));
    Command::new("umount").arg("-l").arg(dir.path()).status().unwrap();
    result.unwrap();
}

fn fill_and_empty(path: &Path) {
    let options = Options::default().with_segment_bytes(256 * 1024).with_durability(Durability::Process);
    let clock = Arc::new(ManualClock::new(5));
    let spool =
        Spool::open_with(path, options, Arc::new(dagtel_spool::RealFs::default()), Arc::clone(&clock) as _)
            .unwrap();
    let writer = spool.writer();
    let (mut taken, mut refused) = (0u64, 0u64);
    let mut reader = spool.reader();
    for round in 0..3 {
        while refused < 1000 * (round + 1) {
            match writer.append(1, Class::Lifecycle, 1, &[&taken.to_le_bytes()[..], &[7; 700]].concat()) {
                Ok(_) => taken += 1,
                Err(AppendError::Full { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        clock.advance(Duration::from_secs(1));
        let found = read_all(&mut reader);
        assert_eq!(found.records.last().unwrap().payload[..8], (taken - 1).to_le_bytes());
        assert_eq!(found.damaged, 0);
        release_all(&mut reader, &found);
    }
    assert_eq!(spool.stats().dropped_full.lifecycle, refused);
    println!(
        "R7: tmpfs of 2 MiB filled three times: {taken} taken, {refused} refused and counted, the last one read each time"
    );
}

#[test]
fn details_go_before_lifecycle_when_the_budget_is_full() {
    const BUDGET: u64 = 8 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().with_budget_bytes(BUDGET).with_segment_bytes(512 * 1024);
    let segment = options.segment_bytes;
    let spool = Spool::open(dir.path().join("spool"), options).unwrap();
    let writers = [spool.writer(), spool.writer()];
    let mut chance = Chance::new(4);
    let mut produced: BTreeMap<Class, u64> = BTreeMap::new();
    let mut highest = 0;
    for n in 0..100_000u64 {
        // Details first, then more and more lifecycle.
        let class = if chance.below(100_000) < n { Class::Lifecycle } else { Class::Detail };
        *produced.entry(class).or_default() += 1;
        let payload = [&n.to_le_bytes()[..], &[1; 200]].concat();
        let taken = writers[usize::try_from(n % 2).unwrap()].append(1, class, 1, &payload);
        assert!(class == Class::Detail || taken.is_ok(), "a lifecycle record has room");
        if n % 500 == 0 {
            let stats = spool.stats();
            highest = highest.max(stats.bytes);
            let details = stats.appended.detail - stats.evicted.detail;
            let open = 2 * segment / 240;
            assert!(stats.evicted.lifecycle == 0 || details <= open, "lifecycle went before details");
        }
    }
    drop(writers);
    let found = read_all(&mut spool.reader());
    let stats = spool.stats();
    assert!(highest <= BUDGET + 2 * 2 * segment, "{highest} bytes");
    let mut left: BTreeMap<Class, u64> = BTreeMap::new();
    for record in &found.records {
        *left.entry(record.stream.class).or_default() += 1;
    }
    for class in Class::ALL {
        let dropped = stats.dropped_full.of(class) + stats.evicted.of(class);
        let left = left.get(&class).copied().unwrap_or_default();
        assert_eq!(produced[&class], left + dropped, "{class}: produced = on disk + dropped");
        println!(
            "R10: {class}: {} produced, {left} on disk, {} refused, {} evicted",
            produced[&class],
            stats.dropped_full.of(class),
            stats.evicted.of(class)
        );
    }
    assert_eq!(found.missing, stats.evicted.sum(), "the reader misses what was evicted");
    assert_eq!(found.damaged, 0);
    println!("R10: at most {highest} bytes of {BUDGET}, two writers, segments of {segment}");
}
