//! The files that say how far a reader has come, also with a right checksum: they are used or kept aside, and a drainer
//! always begins.

#![no_main]

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use dagtel_drain::{Drainer, DrainerOptions, Layout};
use dagtel_otlp::Identity;
use dagtel_spool::testing::MemFs;
use dagtel_spool::{Durability, Fs as _, progress};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Where positions are loaded from, which need no real file system.
const POSITIONS: &str = "/positions";

thread_local! {
    static DIR: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => positions(data),
        1 => positions(&[data, &crc(data).to_le_bytes()].concat()),
        2 => state(data),
        _ => state(&[b"dagtelS4", &crc(data).to_le_bytes()[..], data].concat()),
    }
});

fn positions(bytes: &[u8]) {
    let (fs, path) = (MemFs::default().process(), Path::new(POSITIONS));
    let file = fs.create(path).expect("an empty disk");
    assert_eq!(file.append(bytes).expect("there is room"), bytes.len());
    let Some((positions, mark)) = progress::load_with(&fs, path).expect("it can be read") else {
        assert!(fs.open(path).is_err(), "it is kept aside");
        return;
    };
    progress::save_with(&fs, path, &positions, mark, Durability::Process).expect("there is room");
    let again = progress::load_with(&fs, path).expect("it can be read");
    assert_eq!(again, Some((positions, mark)));
}

fn state(bytes: &[u8]) {
    DIR.with_borrow_mut(|slot| {
        let dir = slot.get_or_insert_with(|| tempfile::tempdir().expect("a temporary directory"));
        if !begin(&Layout::new(dir.path()), bytes) {
            // Its frames may be in the outbox now.
            *slot = None;
        }
    });
}

/// Lets a drainer begin with these bytes for a state. Returns whether they were kept aside.
fn begin(layout: &Layout, bytes: &[u8]) -> bool {
    fs::write(layout.state(), bytes).expect("there is room");
    let options = DrainerOptions::new(Identity::new("fuzz", "1"));
    let drainer = Drainer::open(layout.clone(), options, SystemTime::UNIX_EPOCH).expect("a drainer begins");
    let drainer = drainer.expect("nobody else drains it");
    let aside = fs::remove_file(layout.state().with_extension("damaged")).is_ok();
    assert_eq!(aside, !layout.state().exists());
    assert!(!aside || drainer.counts().events_dropped.contains_key("state_damaged"));
    aside
}

/// CRC-32/ISO-HDLC, as the files have it.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
