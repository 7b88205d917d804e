//! The state of the drainer, in one [sealed](dagtel_spool::sealed) file: the fold, the positions it has read up to, and
//! the frames of its last step, in postcard.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use dagtel_core::fold::Fold;
use dagtel_spool::sealed::{self, Magic, Saving, Sealed};
use dagtel_spool::{Position, StreamId};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::inbox::InboxPosition;
use crate::outbox::Numbered;
use crate::owners::Owners;
use crate::repeats::{Numbering, Received};

const MAGIC: &Magic = b"dagtelS6";

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
    /// The numbers of lines that were forwarded, and of those that were received.
    pub(crate) numbering: Numbering,
    pub(crate) received: Received,
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
    /// Log records of events made.
    pub forwarded: u64,
    /// Log records made.
    pub records: u64,
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
    let bytes = match sealed::load(path, MAGIC)? {
        Sealed::Whole(bytes) => bytes,
        Sealed::Absent => return Ok(Err(NoState::New)),
        Sealed::Damaged => return Ok(Err(NoState::Damaged)),
    };
    match postcard::from_bytes(&bytes) {
        Ok(state) => Ok(Ok(Box::new(state))),
        Err(_) => sealed::set_aside(path).map(|()| Err(NoState::Damaged)),
    }
}

/// Saves the state in place of the one before, without a copy of it in memory.
pub(crate) fn save(path: &Path, state: &State) -> io::Result<()> {
    let mut file = ToFile { saving: Saving::begin(path, MAGIC)?, error: None };
    let saved = postcard::serialize_with_flavor(state, &mut file);
    if let Some(error) = file.error {
        return Err(error);
    }
    saved.map_err(io::Error::other)?;
    file.saving.finish()
}

/// What postcard writes to. Its own errors do not say what is wrong with a file.
struct ToFile {
    saving: Saving,
    error: Option<io::Error>,
}

impl Flavor for &mut ToFile {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.saving.write_all(bytes).map_err(|error| {
            self.error = Some(error);
            postcard::Error::SerializeBufferFull
        })
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
