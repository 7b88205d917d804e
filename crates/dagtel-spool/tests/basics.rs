//! Appending, reading and releasing, on the real file system.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use dagtel_spool::{Class, Durability, Options, Position, Spool};
use support::{read_all, release_all};

fn open(dir: &tempfile::TempDir, options: Options) -> Spool {
    Spool::open(dir.path().join("spool"), options).unwrap()
}

#[test]
fn what_is_appended_is_read_in_order_while_the_writer_lives_and_after() {
    for durability in [Durability::Batched, Durability::Process, Durability::Interval, Durability::Always] {
        let dir = tempfile::tempdir().unwrap();
        let spool = open(&dir, Options::default().with_durability(durability).with_segment_bytes(2000));
        let writer = spool.writer();
        assert_eq!(std::fs::read_dir(dir.path().join("spool/v1")).unwrap().count(), 0, "nothing yet");
        let expected: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; usize::from(n)]).collect();
        for payload in &expected {
            writer.append(7, Class::Detail, 3, payload).unwrap();
        }
        writer.flush().unwrap();
        let mut reader = spool.reader();
        let status = reader.streams().unwrap();
        assert_eq!((status.len(), status[0].alive), (1, true));
        let alive = read_all(&mut reader);
        assert_eq!(alive.payloads(), expected);
        assert_eq!((alive.finished, alive.missing, alive.damaged), (0, 0, 0));
        assert!(alive.records.iter().all(|record| record.kind == 7 && record.items == 3));
        // Every record can be read again from its own position.
        for record in &alive.records {
            let batch = reader.read(record.stream, record.position, 1).unwrap();
            assert_eq!(&batch.records[0], record);
        }
        drop(writer);
        let dead = read_all(&mut reader);
        assert_eq!(dead.records, alive.records);
        assert_eq!(dead.finished, 1);
        release_all(&mut reader, &dead);
        assert_eq!(reader.streams().unwrap(), []);
        assert_eq!(std::fs::read_dir(dir.path().join("spool/v1")).unwrap().count(), 0, "all gone");
    }
}

#[test]
fn a_living_writers_open_segment_is_not_released() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(&dir, Options::default().with_segment_bytes(1000));
    let writer = spool.writer();
    let mut reader = spool.reader();
    for round in 0..50u8 {
        writer.append(0, Class::Lifecycle, 1, &[round; 300]).unwrap();
        let found = read_all(&mut reader);
        assert_eq!(found.records.last().unwrap().payload, [round; 300]);
        release_all(&mut reader, &found);
        assert_eq!(spool.stats().files, 1);
    }
}

#[test]
fn a_stream_that_is_not_there_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(&dir, Options::default());
    let stream = "0000000000000001.detail".parse().unwrap();
    let batch = spool.reader().read(stream, Position::default(), 1).unwrap();
    assert!(batch.end && batch.finished && batch.records.is_empty());
}

#[test]
fn a_writer_that_never_appends_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(&dir, Options::default());
    let writer = spool.writer();
    assert_eq!(writer.id(), None);
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path().join("spool/v1")).unwrap().count(), 0);
}
