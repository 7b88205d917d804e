//! What a restarted engine finds open.

use std::collections::BTreeMap;
use std::io;

use dagtel_core::fold::{Fold, Timing, Unfinished};
use dagtel_core::guard::readmit;
use dagtel_core::metrics::Metrics;
use dagtel_core::time::Timestamp;
use dagtel_spool::{Options, Spool};

use crate::codec::{self, Decoded};
use crate::layout::Layout;
use crate::state;

/// Bytes read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// The metrics as the drainer last saved them; `None` when nothing was saved yet. Needs no lock.
///
/// # Errors
/// When the state cannot be read.
pub fn saved_metrics(layout: &Layout) -> io::Result<Option<Metrics>> {
    Ok(state::load(&layout.state())?.ok().map(|state| state.fold.metrics().clone()))
}

/// The runs that are open, by the state that the drainer saved and whatever the journal says beyond it. Changes nothing,
/// and needs no lock.
///
/// # Errors
/// When the directory cannot be read.
pub fn recover(layout: &Layout) -> io::Result<Vec<Unfinished>> {
    let (mut fold, mut positions) = match state::load(&layout.state())? {
        Ok(state) => (state.fold, state.positions),
        Err(_) => (Fold::new(Timestamp::MIN, Timing::default()), BTreeMap::new()),
    };
    let journal = Spool::open(layout.journal(), Options::default()).map_err(io::Error::other)?;
    let mut reader = journal.reader();
    for stream in reader.streams()? {
        let position = positions.entry(stream.id).or_default();
        loop {
            let batch = reader.read(stream.id, *position, READ_BYTES)?;
            for record in &batch.records {
                if let Some(Decoded::Event(event) | Decoded::Received(event)) =
                    codec::decode(record.kind, &record.payload)
                {
                    fold.apply(readmit(event).0);
                }
            }
            *position = batch.next;
            if batch.end {
                break;
            }
        }
    }
    Ok(fold.unfinished())
}
