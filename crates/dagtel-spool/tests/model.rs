//! The spool against a model of it: lists of records by stream. Whatever is done in whatever order, a reader gives each
//! acknowledged record of a stream once and in order, until it is released.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dagtel_spool::{
    Class, Durability, Options, Position, Reader, Spool, StreamId, Writer,
    testing::{ManualClock, MemFs},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Append { writer: usize, class: usize, len: usize },
    Several { writer: usize, class: usize, count: usize },
    Flush(usize),
    Wait(u64),
    End(usize),
    Kill(usize),
    Read { bytes: usize },
    Release,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (0..3usize, 0..2usize, 0..400usize)
            .prop_map(|(writer, class, len)| Action::Append { writer, class, len }),
        2 => (0..3usize, 0..2usize, 1..5usize)
            .prop_map(|(writer, class, count)| Action::Several { writer, class, count }),
        2 => (0..3usize).prop_map(Action::Flush),
        2 => (0..40u64).prop_map(Action::Wait),
        1 => (0..3usize).prop_map(Action::End),
        1 => (0..3usize).prop_map(Action::Kill),
        6 => (0..2000usize).prop_map(|bytes| Action::Read { bytes }),
        3 => Just(Action::Release),
        1 => Just(Action::Reopen),
    ]
}

/// What the model knows of a stream.
#[derive(Debug, Default)]
struct Stream {
    /// Appended and, as far as this durability promises, safe from a kill.
    safe: Vec<Vec<u8>>,
    /// Appended, but lost if the process is killed now.
    gathered: Vec<Vec<u8>>,
    read: usize,
    next: Position,
    dead: bool,
}

struct World {
    fs: MemFs,
    clock: Arc<ManualClock>,
    options: Options,
    writers: Vec<Option<(MemFs, Writer)>>,
    reader: Reader,
    streams: BTreeMap<StreamId, Stream>,
    appended: u64,
}

impl World {
    fn new(durability: Durability) -> Self {
        let (fs, clock) = (MemFs::default(), Arc::new(ManualClock::new(1)));
        let options = Options::default().with_segment_bytes(1200).with_durability(durability);
        let reader = open(&fs.process(), &clock, &options).reader();
        let streams = BTreeMap::new();
        Self { fs, clock, options, writers: vec![None, None, None], reader, streams, appended: 0 }
    }

    fn writer(&mut self, place: usize) -> Writer {
        let fs = self.fs.process();
        let (clock, options) = (&self.clock, &self.options);
        let slot = &mut self.writers[place];
        slot.get_or_insert_with(|| (fs.clone(), open(&fs, clock, options).writer())).1.clone()
    }

    fn append(&mut self, place: usize, class: usize, lens: Vec<usize>) {
        let payloads: Vec<Vec<u8>> = lens
            .into_iter()
            .map(|len| {
                self.appended += 1;
                [&self.appended.to_le_bytes()[..], &vec![1; len]].concat()
            })
            .collect();
        let records: Vec<_> = payloads.iter().map(|payload| (1, 1, payload.as_slice())).collect();
        let receipt = self.writer(place).append_many(Class::ALL[class], &records).unwrap();
        let stream = self.streams.entry(receipt.stream).or_default();
        stream.gathered.extend(payloads);
        assert_eq!(receipt.seq as usize, stream.safe.len() + stream.gathered.len());
        if self.options.durability != Durability::Batched {
            stream.safe.append(&mut stream.gathered);
        }
    }

    fn of_writer(&mut self, place: usize) -> impl Iterator<Item = &mut Stream> {
        let id = self.writers[place].as_ref().and_then(|(_, writer)| writer.id());
        self.streams.iter_mut().filter(move |(stream, _)| Some(stream.writer) == id).map(|(_, stream)| stream)
    }

    fn end(&mut self, place: usize, killed: bool) {
        if let Some((fs, writer)) = &self.writers[place] {
            if killed {
                fs.kill();
            } else {
                writer.flush().unwrap();
            }
        }
        self.of_writer(place).for_each(|stream| {
            stream.dead = true;
            if !killed {
                let gathered = std::mem::take(&mut stream.gathered);
                stream.safe.extend(gathered);
            }
        });
        self.writers[place] = None;
    }

    fn read(&mut self, bytes: usize) {
        for (&id, stream) in &mut self.streams {
            let batch = self.reader.read(id, stream.next, bytes).unwrap();
            assert_eq!((batch.damaged, batch.missing), (0, 0));
            for record in &batch.records {
                let expected = stream.safe.iter().chain(&stream.gathered).nth(stream.read);
                assert_eq!(Some(&record.payload), expected);
                stream.read += 1;
                assert_eq!(record.seq as usize, stream.read);
            }
            let size: usize = batch.records.iter().map(|record| record.payload.len()).sum();
            assert!(batch.records.len() <= 1 || size <= bytes);
            assert!(batch.next >= stream.next);
            assert!(!batch.end || stream.read >= stream.safe.len(), "the end comes after what is safe");
            assert!(!batch.finished || stream.dead, "a living writer is not finished");
            stream.next = batch.next;
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Append { writer, class, len } => self.append(writer, class, vec![len]),
            Action::Several { writer, class, count } => self.append(writer, class, vec![30; count]),
            Action::Flush(place) => {
                if let Some((_, writer)) = &self.writers[place] {
                    writer.flush().unwrap();
                }
                self.of_writer(place).for_each(|stream| {
                    let gathered = std::mem::take(&mut stream.gathered);
                    stream.safe.extend(gathered);
                });
            }
            Action::Wait(seconds) => self.clock.advance(Duration::from_secs(seconds)),
            Action::End(place) => self.end(place, false),
            Action::Kill(place) => self.end(place, true),
            Action::Read { bytes } => self.read(bytes),
            Action::Release => {
                for (&id, stream) in &self.streams {
                    self.reader.release(id, stream.next).unwrap();
                }
            }
            Action::Reopen => self.reader = open(&self.fs.process(), &self.clock, &self.options).reader(),
        }
    }
}

fn open(fs: &MemFs, clock: &Arc<ManualClock>, options: &Options) -> Spool {
    Spool::open_with("/spool", options.clone(), Arc::new(fs.clone()), Arc::clone(clock) as _).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_does_what_its_model_does(
        actions in prop::collection::vec(action(), 1..120),
        batched in any::<bool>(),
    ) {
        let mut world = World::new(if batched { Durability::Batched } else { Durability::Process });
        for action in actions {
            world.act(action);
        }
        (0..3).for_each(|place| world.end(place, false));
        for _ in 0..3 {
            world.read(usize::MAX);
        }
        for (id, stream) in &world.streams {
            prop_assert!(stream.read >= stream.safe.len(), "{id}: {} of {}", stream.read, stream.safe.len());
            world.reader.release(*id, stream.next).unwrap();
        }
        prop_assert_eq!(world.reader.streams().unwrap(), vec![]);
    }
}
