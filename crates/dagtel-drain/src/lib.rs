//! The drainer: reads the journals of all processes, folds them, and fills the outbox.
//!
//! ```text
//! journal/ (a spool; every process its own writer) ─┐
//!                                                   ├─► fold ──► outbox/ (a spool; read by the shipper)
//! inbox/*.jsonl (processes in other languages) ─────┘    │
//!                                                      state
//! ```
//!
//! One process drains a directory at a time: whoever holds `drain.lock`. After each step the state of the fold is saved
//! in one file together with the positions it has read up to and the frames that came out. Only then are the frames
//! appended to the outbox. After a crash anywhere in between, the next drainer finds either the old state, and reads the
//! same events again, or the new one, and appends those of its frames that the outbox does not have yet. So no event is
//! counted twice and no frame is appended twice.
//!
//! When a writer is dead (its kernel lock is free) and a try that it started has no end, the try is closed as lost at
//! the writer's last sign of life.
//!
//! With [`DrainerOptions::events`] what comes out of a step are the events themselves, as log records for an agent
//! elsewhere that folds them, also those that the death of a writer means. That agent puts what it receives into its own
//! journal ([`Intake`]).

mod batch;
mod codec;
mod drainer;
mod inbox;
mod intake;
mod journal;
mod layout;
mod options;
mod outbox;
mod owners;
mod read;
mod recover;
mod repeats;
mod state;
mod tell;

pub use dagtel_spool::{AppendError, Durability, WriterId};
pub use drainer::{Drainer, OpenError, Step};
pub use inbox::{Ended, InboxCounts, InboxFile, inbox_files};
pub use intake::{Intake, IntakeError};
pub use journal::Journal;
pub use layout::{DIR_VARIABLE, Layout};
pub use options::DrainerOptions;
pub use outbox::OutboxWriter;
pub use recover::{recover, saved_metrics};
pub use state::Counts;
