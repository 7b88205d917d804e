//! R18: segments of released versions are read as they were written, and today's bytes are the same.
//!
//! The file was written by the first version, with the numbers below. It never changes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{fs, path::Path, sync::Arc};

use dagtel_spool::{Class, Clock, Durability, Options, RealFs, Spool};
use support::{read_all, segment_files};

/// A clock that makes the same bytes each time.
#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_800_000_000_123)
    }
    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
    fn pid(&self) -> u32 {
        1
    }
    fn random(&self) -> u64 {
        0x0123_4567_89AB_CDEF
    }
}

fn payloads() -> Vec<Vec<u8>> {
    vec![b"123456789".to_vec(), vec![], vec![0xD5, b'R', b'E', b'C'], (0..=255).collect()]
}

fn write(dir: &Path) -> Vec<u8> {
    let options = Options::default().with_durability(Durability::Process);
    let spool = Spool::open_with(dir, options, Arc::new(RealFs::default()), Arc::new(Fixed)).unwrap();
    let writer = spool.writer();
    for (kind, payload) in (1..).zip(payloads()) {
        writer.append(kind, Class::Detail, 10 + u32::from(kind), &payload).unwrap();
    }
    drop(writer);
    fs::read(&segment_files(dir)[0]).unwrap()
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1-0123456789abcdef-000000000001.detail.seg")
}

#[test]
fn the_first_versions_segment_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("v1/0123456789abcdef");
    let spool = Spool::open(dir.path(), Options::default()).unwrap();
    fs::create_dir(&home).unwrap();
    fs::copy(golden(), home.join("000000000001.detail.seg")).unwrap();
    let found = read_all(&mut spool.reader());
    assert_eq!(found.payloads(), payloads());
    let heads: Vec<_> = found.records.iter().map(|r| (r.kind, r.items, r.seq)).collect();
    assert_eq!(heads, [(1, 11, 1), (2, 12, 2), (3, 13, 3), (4, 14, 4)]);
    assert_eq!((found.damaged, found.missing), (0, 0));
}

#[test]
fn todays_bytes_are_the_first_versions() {
    let dir = tempfile::tempdir().unwrap();
    let written = write(&dir.path().join("spool"));
    if std::env::var_os("SPOOL_WRITE_GOLDEN").is_some() {
        fs::write(golden(), &written).unwrap();
    }
    assert_eq!(written, fs::read(golden()).unwrap());
    // The known answer of CRC-32/ISO-HDLC stands where the specification says: the CRC of "123456789".
    assert_eq!(written[48 + 28..48 + 32], 0xCBF4_3926u32.to_le_bytes());
    println!("R18: {} bytes, the same as the first version's", written.len());
}
