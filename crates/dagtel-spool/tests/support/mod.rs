//! What the tests share.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use dagtel_spool::{Position, Reader, Record, StreamId};
use std::collections::BTreeMap;

/// A small random sequence (xorshift), so that a failing run can be repeated by its seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }
}

/// Everything that a reader finds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub records: Vec<Record>,
    pub damaged: u64,
    pub missing: u64,
    pub finished: u64,
    pub ends: BTreeMap<StreamId, Position>,
}

impl Found {
    pub fn payloads(&self) -> Vec<&[u8]> {
        self.records.iter().map(|record| record.payload.as_slice()).collect()
    }
}

/// Reads all streams from the beginning to their present ends.
pub fn read_all(reader: &mut Reader) -> Found {
    let mut found = Found::default();
    for status in reader.streams().unwrap() {
        let mut from = Position::default();
        loop {
            let batch = reader.read(status.id, from, 64 * 1024).unwrap();
            found.damaged += batch.damaged;
            found.missing += batch.missing;
            found.finished += u64::from(batch.finished);
            found.records.extend(batch.records);
            assert!(batch.next >= from, "a position never goes back");
            from = batch.next;
            if batch.end {
                break;
            }
        }
        found.ends.insert(status.id, from);
    }
    found
}

/// Releases everything that [`read_all`] found.
pub fn release_all(reader: &mut Reader, found: &Found) {
    for (&stream, &end) in &found.ends {
        reader.release(stream, end).unwrap();
    }
}

/// The segment files below a spool on the real file system.
pub fn segment_files(spool: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for writer in std::fs::read_dir(spool.join("v1")).unwrap() {
        files.extend(std::fs::read_dir(writer.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    files.sort();
    files
}

/// Bytes of the resident set at its highest, from the kernel.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
