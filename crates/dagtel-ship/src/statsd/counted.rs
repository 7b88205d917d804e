//! What was told last of each series: StatsD wants to hear what came to it since.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use dagtel_spool::sealed::{self, Magic, Sealed};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::line::Positions;

const MAGIC: &Magic = b"dagtelC1";
/// Processes whose series are remembered; beyond it those are forgotten that have told nothing for longest.
const INSTANCES: usize = 256;
/// A series that was counted for longer than this before anybody told this daemon begins with what comes from now on.
const OLD_NANOS: u64 = 60_000_000_000;
/// Points of one export may differ by this much in their time.
const EXPORT_NANOS: u64 = 1_000_000_000;

/// The first half of a hash over everything that names a process or a series.
pub(super) type Key = [u8; 16];

/// A count as a frame has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Count {
    /// Of a sum of integers.
    Int(i64),
    /// Of a sum of doubles.
    Float(f64),
    /// Of a histogram.
    Histogram { count: u64, sum: f64, buckets: Vec<u64> },
}

/// A count and since when it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Since {
    pub(super) start: u64,
    pub(super) count: Count,
}

/// What is to be kept of a series once it was told. `None` for what does not add up.
pub(super) type Change = Option<((Key, Key), Since)>;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Instance {
    first_seen: u64,
    last_seen: u64,
    series: HashMap<Key, Since>,
}

/// What was told last, by process and series.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    /// When this daemon was told for the first time.
    born: u64,
    pub(super) positions: Positions,
    instances: BTreeMap<Key, Instance>,
    #[serde(skip)]
    dirty: bool,
}

/// How a series stands to what was told of it.
#[derive(Debug, PartialEq)]
pub(super) enum Known<'a> {
    /// It is new: all that it counts came since.
    New,
    /// It was counted before this daemon was told anything: it begins now.
    Old,
    /// It was told.
    Told(&'a Since),
}

impl Counted {
    pub(super) fn load(file: &Path) -> io::Result<Self> {
        let fresh = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
            Self { born: u64::try_from(now).unwrap_or(u64::MAX), ..Self::default() }
        };
        let Sealed::Whole(bytes) = sealed::load(file, MAGIC)? else { return Ok(fresh()) };
        match postcard::from_bytes(&bytes) {
            Ok(counted) => Ok(counted),
            Err(_) => sealed::set_aside(file).map(|()| fresh()),
        }
    }

    pub(super) fn save(&mut self, file: &Path, positions: &Positions) -> io::Result<()> {
        if !self.dirty {
            return Ok(());
        }
        self.forget();
        self.positions.clone_from(positions);
        let bytes = postcard::to_allocvec(self).map_err(io::Error::other)?;
        sealed::save(file, MAGIC, &bytes)?;
        self.dirty = false;
        Ok(())
    }

    /// Notes that a process told something at this time.
    pub(super) fn saw(&mut self, instance: Key, time: u64) {
        let fresh = || Instance { first_seen: time, ..Instance::default() };
        let known = self.instances.entry(instance).or_insert_with(fresh);
        known.last_seen = known.last_seen.max(time);
    }

    /// What is known of a series that counts since `start` and is told at `time`.
    pub(super) fn known(&self, (instance, series): (Key, Key), start: u64, time: u64) -> Known<'_> {
        let Some(instance) = self.instances.get(&instance) else { return Known::New };
        if let Some(since) = instance.series.get(&series) {
            return Known::Told(since);
        }
        let first_export = time <= instance.first_seen.saturating_add(EXPORT_NANOS);
        let is_old = start != 0 && start.saturating_add(OLD_NANOS) < self.born;
        if first_export && is_old { Known::Old } else { Known::New }
    }

    pub(super) fn keep(&mut self, change: Change) {
        if let Some(((instance, series), since)) = change
            && let Some(instance) = self.instances.get_mut(&instance)
        {
            instance.series.insert(series, since);
            self.dirty = true;
        }
    }

    fn forget(&mut self) {
        while self.instances.len() > INSTANCES {
            let oldest = self.instances.iter().min_by_key(|(_, instance)| instance.last_seen);
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            self.instances.remove(&key);
        }
    }
}

/// A key of parts, none of which runs into the next.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a str>) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    std::array::from_fn(|place| hash[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: (Key, Key) = ([1; 16], [2; 16]);

    #[test]
    fn what_was_told_survives_and_what_was_not_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("counted");
        let mut counted = Counted::load(&file).unwrap();
        let start = counted.born;
        counted.saw(SERIES.0, start);
        assert_eq!(counted.known(SERIES, start, start), Known::New);
        let since = Since { start, count: Count::Int(7) };
        counted.keep(Some((SERIES, since.clone())));
        counted.save(&file, &Positions::default()).unwrap();
        let loaded = Counted::load(&file).unwrap();
        assert_eq!((loaded.known(SERIES, start, start), loaded.born), (Known::Told(&since), start));
        std::fs::write(&file, "damaged").unwrap();
        assert!(Counted::load(&file).unwrap().instances.is_empty());
    }

    #[test]
    fn a_daemon_that_is_added_later_begins_with_what_comes_then() {
        let mut counted = Counted { born: 10 * OLD_NANOS, ..Counted::default() };
        let (long_ago, just_now, time) = (OLD_NANOS, 10 * OLD_NANOS - 1, 11 * OLD_NANOS);
        counted.saw(SERIES.0, time);
        assert_eq!(counted.known(SERIES, long_ago, time), Known::Old);
        assert_eq!(counted.known(SERIES, just_now, time), Known::New);
        // A series that comes up later counts from its first step on, though its process counts for long.
        assert_eq!(counted.known(SERIES, long_ago, time + 2 * EXPORT_NANOS), Known::New);
    }

    #[test]
    fn the_processes_that_are_remembered_are_bounded() {
        let mut counted = Counted::default();
        for instance in 0..2 * INSTANCES {
            counted.saw(key([&*instance.to_string()]), instance as u64);
        }
        counted.forget();
        assert_eq!(counted.instances.len(), INSTANCES);
        assert!(counted.instances.contains_key(&key([&*(2 * INSTANCES - 1).to_string()])));
    }
}
