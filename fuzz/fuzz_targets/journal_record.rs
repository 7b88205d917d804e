//! Records of the journal: every one is read once, as an event or as unreadable, and what it leads to can be folded,
//! saved and put into the outbox.

#![no_main]

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use dagtel_core::fold::Timing;
use dagtel_drain::{Drainer, DrainerOptions, Layout};
use dagtel_otlp::Identity;
use dagtel_spool::{Class, Durability, Options, Spool, Writer};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Inputs after which everything is made anew, so that they do not add up.
const INPUTS: usize = 256;
/// The kind of a record that holds an event.
const EVENT: u8 = 1;

struct Pipeline {
    drainer: Drainer,
    writer: Writer,
    inputs: usize,
    _dir: TempDir,
}

impl Pipeline {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let layout = Layout::new(dir.path());
        let options = Options::default().with_durability(Durability::Process);
        let writer = Spool::open(layout.journal(), options).expect("a new directory").writer();
        let mut options = DrainerOptions::new(Identity::new("fuzz", "1"));
        options.timing = Timing::new(Duration::ZERO, Duration::ZERO);
        let drainer = Drainer::open(layout, options, SystemTime::UNIX_EPOCH).expect("a new directory");
        Self { drainer: drainer.expect("nobody else drains it"), writer, inputs: 0, _dir: dir }
    }

    fn take(&mut self, data: &[u8]) {
        let before = self.known();
        self.writer.append(EVENT, Class::Lifecycle, 1, data).expect("there is room");
        self.drainer.step(SystemTime::now()).expect("it can be drained");
        assert_eq!(self.known(), before + 1, "one record, told once");
        self.inputs += 1;
        if self.inputs == INPUTS {
            self.drainer.finish(SystemTime::now()).expect("it can be finished");
        }
    }

    fn known(&self) -> u64 {
        let counts = self.drainer.counts();
        counts.events + counts.events_dropped.get("unreadable").copied().unwrap_or_default()
    }
}

thread_local! {
    static PIPELINE: RefCell<Option<Pipeline>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    PIPELINE.with_borrow_mut(|slot| {
        let pipeline = slot.get_or_insert_with(Pipeline::new);
        pipeline.take(data);
        if pipeline.inputs == INPUTS {
            *slot = None;
        }
    });
});
