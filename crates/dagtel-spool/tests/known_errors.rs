//! One test for each bug that was ever in here, so that it does not come back.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{io, path::Path, sync::Arc};

use dagtel_spool::{
    Class, Durability, Fs as _, Options, Spool,
    testing::{Fault, ManualClock, MemFs},
};
use support::read_all;

fn open(fs: &MemFs, durability: Durability) -> Spool {
    let clock = Arc::new(ManualClock::new(1));
    let options = Options::default().with_durability(durability);
    Spool::open_with("/spool", options, Arc::new(fs.clone()), clock).unwrap()
}

/// A read never came to the second segment, because it stayed at the first one's end.
#[test]
fn a_read_goes_on_to_the_next_segment() {
    let fs = MemFs::default().process();
    let options = Options::default().with_segment_bytes(1).with_durability(Durability::Process);
    let clock = Arc::new(ManualClock::new(1));
    let spool = Spool::open_with("/spool", options, Arc::new(fs), clock).unwrap();
    let writer = spool.writer();
    for n in 0..5u8 {
        writer.append(1, Class::Detail, 1, &[n]).unwrap();
    }
    assert_eq!(read_all(&mut spool.reader()).records.len(), 5);
}

/// The segment in between had lost its header, so the void records of the first one were read, and then the good
/// copies in the third one taken for repetitions.
#[test]
fn a_lost_header_does_not_bring_void_records_back() {
    let fs = MemFs::default().process();
    let spool = open(&fs, Durability::Interval);
    let writer = spool.writer();
    writer.append(1, Class::Detail, 1, &[1; 600]).unwrap();
    writer.append(1, Class::Detail, 1, &[2; 600]).unwrap();
    // The sync fails, the first segment that was to take the records fails too, the next one takes them.
    fs.fail(Fault::Sync, 0, io::ErrorKind::Other);
    fs.fail(Fault::Append, 1, io::ErrorKind::Other);
    writer.flush().unwrap();
    let home = Path::new("/spool/v1").join(writer.id().unwrap().to_string());
    let names = fs.list(&home).unwrap();
    assert_eq!(names.len(), 3, "{names:?}");
    // Of the first segment only the second record has reached the disk, and nothing of the second segment.
    fs.edit(&home.join("000000000001.detail.seg"), |data| data[48..680].fill(0)).unwrap();
    fs.edit(&home.join("000000000002.detail.seg"), |data| data.fill(0)).unwrap();
    let found = read_all(&mut spool.reader());
    assert_eq!(found.payloads(), [vec![1; 600], vec![2; 600]]);
    assert_eq!((found.damaged, found.missing), (0, 0));
}

/// When a rotation put unsynced records before the new one and the write then failed, taking back the new one took back
/// one of the old ones instead.
#[test]
fn taking_back_a_record_leaves_the_unsynced_ones() {
    let fs = MemFs::default().process();
    let spool = open(&fs, Durability::Interval);
    let writer = spool.writer();
    writer.append(1, Class::Detail, 1, b"first, and not synced yet").unwrap();
    // Two writes fail, and between them the sync.
    fs.fail(Fault::Sync, 0, io::ErrorKind::Other);
    fs.shorten(0, 3, Some(io::ErrorKind::Other));
    fs.fail(Fault::Create, 0, io::ErrorKind::Other);
    let taken = writer.append(1, Class::Detail, 1, b"second");
    assert!(taken.is_err());
    writer.flush().unwrap();
    writer.append(1, Class::Detail, 1, b"third").unwrap();
    writer.flush().unwrap();
    let fs = fs.lose_power(|| 1);
    let found = read_all(&mut open(&fs, Durability::Interval).reader());
    assert_eq!(found.payloads(), [&b"first, and not synced yet"[..], b"third"]);
}

#[test]
fn processes_that_start_at_once_make_the_same_directories() {
    let root = tempfile::tempdir().unwrap();
    for round in 0..200 {
        let path = root.path().join(format!("{round}/state/dagtel/spool"));
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    dagtel_spool::prepare_directory(&path).expect("whoever makes it, it is there");
                });
            }
        });
    }
}
