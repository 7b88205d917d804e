//! R5: flipped bits and cut files. Nothing that was not written comes out, and little of the rest is lost.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{path::PathBuf, sync::Arc};

use dagtel_spool::{
    Class, Durability, Options, Spool,
    testing::{ManualClock, MemFs},
};
use support::{Chance, Found, read_all};

struct Damaged {
    fs: MemFs,
    spool: Spool,
    path: PathBuf,
    payloads: Vec<Vec<u8>>,
}

/// A spool with one sealed segment of about this many bytes.
fn segment(bytes: usize) -> Damaged {
    let (fs, clock) = (MemFs::default().process(), Arc::new(ManualClock::new(1)));
    let options = Options::default().with_durability(Durability::Process);
    let spool = Spool::open_with("/spool", options, Arc::new(fs.clone()), clock).unwrap();
    let writer = spool.writer();
    let mut chance = Chance::new(3);
    let (mut payloads, mut size) = (Vec::new(), 48);
    while size < bytes {
        let len = usize::try_from(chance.below(500)).unwrap().min(bytes.saturating_sub(size + 32));
        let payload: Vec<u8> = (0..len).map(|_| chance.draw().to_le_bytes()[0]).collect();
        writer.append(1, Class::Detail, 1, &payload).unwrap();
        size += 32 + len;
        payloads.push(payload);
    }
    let directory = PathBuf::from("/spool/v1").join(writer.id().unwrap().to_string());
    drop(writer);
    Damaged { fs, spool, path: directory.join("000000000001.detail.seg"), payloads }
}

/// How many payloads are lost; those that are there are in order and as they were.
fn lost(damaged: &Damaged, found: &Found) -> usize {
    let mut expected = damaged.payloads.iter();
    for payload in found.payloads() {
        assert!(expected.any(|written| written == payload), "invented, twice or out of order");
    }
    damaged.payloads.len() - found.records.len()
}

#[test]
fn each_flipped_bit_costs_at_most_one_record() {
    let damaged = segment(16 * 1024);
    let mut reader = damaged.spool.reader();
    let (mut cases, mut costly) = (0, 0);
    let mut len = 0;
    damaged.fs.edit(&damaged.path, |data| len = data.len()).unwrap();
    for bit in 0..len * 8 {
        let flip = |data: &mut Vec<u8>| data[bit / 8] ^= 1 << (bit % 8);
        damaged.fs.edit(&damaged.path, flip).unwrap();
        let found = read_all(&mut reader);
        let lost = lost(&damaged, &found);
        assert!(lost <= 1, "bit {bit} costs {lost} records");
        assert_eq!(lost as u64, found.damaged + found.missing, "bit {bit} is not counted");
        damaged.fs.edit(&damaged.path, flip).unwrap();
        cases += 1;
        costly += lost;
    }
    println!(
        "R5: {cases} flipped bits, {costly} cost one record each, none more; {} records",
        damaged.payloads.len()
    );
}

#[test]
fn a_file_cut_anywhere_gives_the_records_before_the_cut() {
    let damaged = segment(64 * 1024);
    let mut whole = Vec::new();
    damaged.fs.edit(&damaged.path, |data| whole.clone_from(data)).unwrap();
    let mut reader = damaged.spool.reader();
    for len in (1..whole.len()).rev() {
        damaged.fs.edit(&damaged.path, |data| data.truncate(len)).unwrap();
        let found = read_all(&mut reader);
        let expected: Vec<&[u8]> =
            damaged.payloads[..found.records.len()].iter().map(Vec::as_slice).collect();
        assert_eq!(found.payloads(), expected, "cut at {len}");
        let bytes: usize = expected.iter().map(|payload| payload.len() + 32).sum();
        let next = damaged.payloads.get(expected.len()).map_or(0, |payload| payload.len() + 32);
        assert!(len <= 48 || 48 + bytes + next > len, "cut at {len}: more could be read");
        if damaged.fs.edit(&damaged.path, |_| ()).is_err() {
            // Too short for its header: kept aside, the only time that happens.
            assert!(len < 48, "quarantined at {len}");
            assert_eq!(damaged.spool.stats().quarantined, 1);
            println!("R5: a file of {} bytes cut at every byte down to {len}", whole.len());
            return;
        }
    }
    panic!("a file without a header is kept aside");
}

#[test]
fn random_bytes_are_no_records_and_no_panic() {
    let mut chance = Chance::new(9);
    for round in 0..2000 {
        let damaged = segment(600);
        damaged
            .fs
            .edit(&damaged.path, |data| {
                let from = usize::try_from(chance.below(data.len() as u64)).unwrap();
                data.truncate(from);
                let more = usize::try_from(chance.below(3000)).unwrap();
                // Sometimes with the mark of a record in it.
                for _ in 0..more {
                    match chance.below(40) {
                        0 => data.extend_from_slice(&[0xD5, b'R', b'E', b'C']),
                        _ => data.push(chance.draw().to_le_bytes()[0]),
                    }
                }
            })
            .unwrap();
        let found = read_all(&mut damaged.spool.reader());
        lost(&damaged, &found);
        assert!(found.records.len() <= damaged.payloads.len(), "round {round}");
    }
    println!("fuzz: 2000 random tails, nothing invented");
}
