//! R6: what lies in the directory never keeps a spool from opening, and the good is served. R12: forks.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use dagtel_spool::{
    Class, DirLock, Durability, OpenError, Options, RealFs, Spool, check, inspect, progress,
    testing::ManualClock,
};
use support::{read_all, release_all, segment_files};

fn options() -> Options {
    Options::default().with_durability(Durability::Process)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn directories_that_others_could_meddle_with_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let open = |name: &str| Spool::open(at(name), options()).map(|_| ());
    fs::create_dir(at("real")).unwrap();
    symlink(at("real"), at("link")).unwrap();
    assert!(matches!(open("link"), Err(OpenError::Symlink { .. })));
    fs::write(at("file"), "").unwrap();
    assert!(matches!(open("file"), Err(OpenError::NotADirectory { .. })));
    fs::create_dir(at("wide")).unwrap();
    fs::set_permissions(at("wide"), PermissionsExt::from_mode(0o777)).unwrap();
    let wide = open("wide").unwrap_err();
    assert!(matches!(wide, OpenError::WorldWritable { mode: 0o777, .. }));
    assert!(wide.to_string().contains("chmod 0700"), "{wide}");
    fs::create_dir_all(at("newer/v2")).unwrap();
    assert!(matches!(open("newer"), Err(OpenError::NewerFormat { version: 2, .. })));
    fs::create_dir(at("tricky")).unwrap();
    symlink(at("real"), at("tricky/v1")).unwrap();
    assert!(matches!(open("tricky"), Err(OpenError::Symlink { .. })));
    if std::os::unix::fs::chown(at("real"), Some(12345), None).is_ok() {
        assert!(matches!(open("real"), Err(OpenError::ForeignOwner { owner: 12345, .. })));
    }
    // Parents are made too, and nobody else can look in.
    open("deep/down/spool").unwrap();
    assert_eq!((mode(&at("deep/down/spool")), mode(&at("deep/down/spool/v1"))), (0o700, 0o700));
}

#[test]
fn bad_files_are_kept_aside_and_the_good_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("spool");
    let spool = Spool::open(&path, options()).unwrap();
    let writer = spool.writer();
    for n in 0..10u8 {
        writer.append(1, Class::Lifecycle, 1, &[n]).unwrap();
    }
    let home = path.join("v1").join(writer.id().unwrap().to_string());
    drop(writer);
    let good = segment_files(&path).remove(0);
    assert_eq!(mode(&good), 0o600);
    let name = |number: u64, rest: &str| home.join(format!("{number:012}.{rest}"));
    let bytes = fs::read(&good).unwrap();
    let mut newer = bytes.clone();
    newer[8] = 9;
    let crc = crc32fast_hash(&newer[..44]);
    newer[44..48].copy_from_slice(&crc.to_le_bytes());
    fs::write(name(2, "lifecycle.seg"), "").unwrap();
    fs::write(name(3, "lifecycle.seg"), [0x5A; 5000]).unwrap();
    fs::write(name(4, "lifecycle.open"), newer).unwrap();
    fs::create_dir(name(5, "lifecycle.seg")).unwrap();
    symlink("/etc/passwd", name(6, "lifecycle.seg")).unwrap();
    fs::write(name(7, "lifecycle.tmp"), "half").unwrap();
    fs::write(name(8, "detail.seg"), vec![0; 200_000]).unwrap();
    // A copy of a good segment under another number is nothing either.
    fs::copy(&good, name(9, "lifecycle.seg")).unwrap();
    fs::write(home.join("stranger"), "").unwrap();
    fs::write(path.join("v1/stranger"), "").unwrap();

    let report = check(&path).unwrap();
    assert_eq!(report.records.values().sum::<u64>(), 10);
    assert_eq!((report.strangers.len(), report.streams.len()), (2, 2));
    assert_eq!(inspect(&path).unwrap()[0].first_seq, Some(1));

    let spool = Spool::open(&path, options()).unwrap();
    let mut reader = spool.reader();
    let found = read_all(&mut reader);
    assert_eq!(found.payloads(), (0..10u8).map(|n| vec![n]).collect::<Vec<_>>());
    assert_eq!(spool.stats().quarantined, 6);
    assert_eq!(fs::read_dir(path.join("quarantine")).unwrap().count(), 6);
    release_all(&mut reader, &found);
    assert_eq!(spool.stats().files, 0);
    println!(
        "R6: 10 of 10 good records served, 6 bad files kept aside, 1 empty one removed, 2 strangers left alone"
    );
}

fn crc32fast_hash(bytes: &[u8]) -> u32 {
    // Bit by bit, so that the test does not lean on the crate that it tests.
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[test]
fn a_forked_child_is_a_writer_of_its_own() {
    for durability in [Durability::Process, Durability::Batched] {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(7));
        let options = Options::default().with_durability(durability).with_segment_bytes(100_000);
        let spool = Spool::open_with(
            dir.path().join("spool"),
            options,
            Arc::new(RealFs::default()),
            Arc::clone(&clock) as _,
        )
        .unwrap();
        let writer = spool.writer();
        for _ in 0..10_000 {
            writer.append(1, Class::Lifecycle, 1, b"parent").unwrap();
        }
        writer.flush().unwrap();
        let parent = writer.id();
        let before = segment_files(&dir.path().join("spool"));
        clock.set_pid(2);
        for _ in 0..10_000 {
            writer.append(1, Class::Lifecycle, 1, b"child").unwrap();
        }
        assert_ne!(writer.id(), parent);
        drop(writer);
        let after = segment_files(&dir.path().join("spool"));
        assert!(before.iter().all(|file| after.contains(file)), "the child renamed nothing of its parent's");
        let mut reader = spool.reader();
        let found = read_all(&mut reader);
        assert_eq!((found.records.len(), found.ends.len(), found.finished), (20_000, 2, 2));
        assert_eq!((found.missing, found.damaged), (0, 0));
        release_all(&mut reader, &found);
        assert_eq!(reader.streams().unwrap(), []);
        println!("R12: {durability:?}: 20000 whole records in two writers, all read and released");
    }
}

#[test]
fn one_reader_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drain.lock");
    let held = DirLock::try_acquire(&path).unwrap().unwrap();
    assert!(DirLock::try_acquire(&path).unwrap().is_none());
    drop(held);
    assert!(DirLock::try_acquire(&path).unwrap().is_some());
}

#[test]
fn progress_is_whole_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("progress");
    assert_eq!(progress::load(&path).unwrap(), None);
    let position = dagtel_spool::Position { segment: 1, offset: 2, seq: 3 };
    let positions = [("0000000000000001.detail".parse().unwrap(), position)].into();
    for durability in [Durability::Process, Durability::Always] {
        progress::save(&path, &positions, 77, durability).unwrap();
        assert_eq!(progress::load(&path).unwrap(), Some((positions.clone(), 77)));
    }
    let bytes = fs::read(&path).unwrap();
    let mut cases = 0;
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bad).unwrap();
        assert_eq!(progress::load(&path).unwrap(), None, "bit {bit}");
        assert!(!path.exists() && dir.path().join("progress.damaged").exists());
        cases += 1;
    }
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(progress::load(&path).unwrap(), None, "cut at {len}");
        cases += 1;
    }
    println!("progress: {cases} damaged files, each none");
}

#[test]
fn a_lock_knows_that_its_file_was_removed_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drain.lock");
    let held = DirLock::try_acquire(&path).unwrap().unwrap();
    assert!(held.is_in_place());
    std::fs::remove_file(&path).unwrap();
    assert!(!held.is_in_place());
    let other = DirLock::try_acquire(&path).unwrap().unwrap();
    assert!(!held.is_in_place() && other.is_in_place());
}

#[test]
fn a_spool_removed_under_its_writer_goes_on_and_what_is_gone_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (path, clock) = (dir.path().join("spool"), Arc::new(ManualClock::new(7)));
    let open = || {
        let clock = Arc::clone(&clock) as _;
        Spool::open_with(&path, Options::default(), Arc::new(RealFs::default()), clock).unwrap()
    };
    let writer = open().writer();
    let append = |payload: &[u8]| writer.append(1, Class::Lifecycle, 1, payload);
    append(b"before").unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    // Into a file that has no name any more.
    append(b"after").unwrap();
    clock.advance(Options::default().segment_age);
    assert!(append(b"a next segment has no place").is_err());
    let spool = open();
    append(b"it has one again").unwrap();
    let found = read_all(&mut spool.reader());
    assert_eq!((found.payloads(), found.missing), (vec![&b"it has one again"[..]], 2));
    println!("R19: a spool removed under its writer: 2 records gone and counted, 1 refused, then it goes on");
}
