//! A segment of a spool with other bytes in it: nothing comes out that was not appended, in its order and once.

#![no_main]

use std::path::PathBuf;
use std::sync::Arc;

use dagtel_spool::testing::{ManualClock, MemFs};
use dagtel_spool::{Class, Durability, Options, Position, Spool};
use libfuzzer_sys::fuzz_target;

/// Changes made to a segment at most.
const STEPS: usize = 32;
/// The length from which it is not changed further: a change may double it.
const LENGTH: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    let fs = MemFs::default().process();
    let options = Options::default().with_durability(Durability::Process);
    let clock = Arc::new(ManualClock::new(1));
    let spool = Spool::open_with("/spool", options, Arc::new(fs.clone()), clock).expect("an empty disk");
    let writer = spool.writer();
    let payloads: Vec<Vec<u8>> = (0..8).map(|n| vec![n; usize::from(n) * 9]).collect();
    for payload in &payloads {
        writer.append(1, Class::Detail, 1, payload).expect("there is room");
    }
    let folder = PathBuf::from("/spool/v1").join(writer.id().expect("it has appended").to_string());
    drop(writer);
    let damage = |file: &mut Vec<u8>| match mode % 2 {
        0 => *file = data.to_vec(),
        _ => data.chunks_exact(4).take(STEPS).for_each(|step| change(file, step)),
    };
    fs.edit(&folder.join("000000000001.detail.seg"), damage).expect("it is there");

    let mut reader = spool.reader();
    let mut expected = payloads.iter();
    for stream in reader.streams().expect("the directory can be read") {
        let mut position = Position::default();
        loop {
            let batch = reader.read(stream.id, position, 64).expect("memory can be read");
            for record in &batch.records {
                assert!(
                    expected.any(|payload| *payload == record.payload),
                    "invented, twice or out of order"
                );
            }
            assert!(batch.next >= position && (batch.end || batch.next > position), "it goes on");
            position = batch.next;
            if batch.end {
                break;
            }
        }
        reader.release(stream.id, position).expect("it can be removed");
    }
});

/// One change: what, how much, and where (u16).
fn change(file: &mut Vec<u8>, step: &[u8]) {
    let [what, amount, a, b] = step else { return };
    if file.is_empty() || file.len() > LENGTH {
        return;
    }
    let at = usize::from(u16::from_le_bytes([*a, *b])) % file.len();
    match what % 5 {
        0 => file[at] ^= amount,
        1 => file.truncate(at),
        2 => drop(file.splice(at..at, std::iter::repeat_n(*amount, 1 + usize::from(*amount)))),
        3 => drop(file.drain(at..file.len().min(at + usize::from(*amount)))),
        // Whole records behind the others, or in the middle of one.
        _ => file.extend_from_within(at..),
    }
}
