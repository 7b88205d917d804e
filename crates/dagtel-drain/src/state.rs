//! The state of the drainer, in one file: the fold, the positions it has read up to, and the frames of its last step.
//!
//! ```text
//! file = magic 8 "dagtelS2" | crc u32 over what follows (CRC-32/ISO-HDLC, little-endian) | postcard of the state
//! ```
//!
//! It is written beside and renamed into place, so there is always a whole one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use dagtel_core::fold::Fold;
use dagtel_spool::{Position, StreamId};
use serde::{Deserialize, Serialize};

use crate::inbox::InboxPosition;
use crate::outbox::Numbered;
use crate::owners::Owners;

const MAGIC: &[u8; 8] = b"dagtelS2";

/// Everything that a drainer must know to go on where another one stopped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// `service.instance.id` of the metrics: who counts, over all drainers of this directory.
    pub(crate) instance_id: String,
    pub(crate) fold: Fold,
    pub(crate) positions: BTreeMap<StreamId, Position>,
    pub(crate) inbox: BTreeMap<String, InboxPosition>,
    pub(crate) owners: Owners,
    /// The number of the next frame.
    pub(crate) next_frame: u64,
    /// The frames of the last step, in case they did not reach the outbox.
    pub(crate) pending: Vec<Numbered>,
    pub(crate) counts: Counts,
}

/// What the drainer counted, over all drainers of this directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Events read.
    pub events: u64,
    /// Events that were lost before they could be read, by reason.
    pub events_dropped: BTreeMap<String, u64>,
    /// Spans made.
    pub spans: u64,
    /// Metric points made.
    pub points: u64,
}

impl Counts {
    pub(crate) fn drop_events(&mut self, reason: &str, events: u64) {
        if events > 0 {
            *self.events_dropped.entry(reason.to_owned()).or_default() += events;
        }
    }
}

/// Why there is no state to go on from.
#[derive(Debug)]
pub(crate) enum NoState {
    /// There was none yet.
    New,
    /// The file is damaged or of another version; it is kept aside.
    Damaged,
}

/// Loads the state. A file that cannot be used is moved aside, so that it can be looked at.
pub(crate) fn load(path: &Path) -> io::Result<Result<Box<State>, NoState>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(NoState::New)),
        Err(error) => return Err(error),
    };
    match parse(&bytes) {
        Some(state) => Ok(Ok(Box::new(state))),
        None => {
            fs::rename(path, path.with_extension("damaged"))?;
            Ok(Err(NoState::Damaged))
        }
    }
}

fn parse(bytes: &[u8]) -> Option<State> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (crc, body) = rest.split_first_chunk()?;
    (u32::from_le_bytes(*crc) == crc32fast::hash(body)).then(|| postcard::from_bytes(body).ok())?
}

/// Saves the state in place of the one before.
pub(crate) fn save(path: &Path, state: &State) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4096);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    let mut bytes = postcard::to_extend(state, bytes).map_err(io::Error::other)?;
    let crc = crc32fast::hash(&bytes[12..]).to_le_bytes();
    bytes[8..12].copy_from_slice(&crc);
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&bytes)?;
    drop(file);
    fs::rename(&beside, path)
}
