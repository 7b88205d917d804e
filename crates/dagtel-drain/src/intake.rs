//! The journal as an agent writes it that receives the events of others.

use dagtel_core::event::Event;
use dagtel_core::guard::{Admitted, Found, Guard};
use dagtel_spool::{AppendError, Class, Durability, OpenError, Options, Spool, Writer};

use crate::codec;
use crate::journal::{append_found, class};
use crate::layout::Layout;

/// Keeps events that were received, so that they may be acknowledged. Nobody owns what they start: who forwarded them also
/// forwards what the death of a process means.
#[derive(Debug)]
pub struct Intake {
    guard: Guard,
    spool: Spool,
    writer: Writer,
}

/// Why events were not taken. Some of them may be there all the same, which does no harm: they will come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The drainer has to catch up first.
    #[error("the journal is half full; it takes events again when the drainer has caught up")]
    Behind,
    /// The journal did not take them.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Intake {
    /// Opens the journal of a directory. Nothing is written before the first event.
    ///
    /// # Errors
    /// When the directory cannot be used; the error says why and what to do.
    pub fn open(layout: &Layout, guard: Guard) -> Result<Self, OpenError> {
        dagtel_spool::prepare_directory(layout.dir())?;
        let options = Options::default().with_durability(Durability::Always);
        let spool = Spool::open(layout.journal(), options)?;
        Ok(Self { guard, writer: spool.writer(), spool })
    }

    /// Takes events. When it returns, the disk has them.
    ///
    /// # Errors
    /// When they could not be kept.
    pub fn take(&self, events: Vec<Event>) -> Result<(), IntakeError> {
        // Beyond its budget the journal would give up events that were acknowledged.
        if self.spool.stats().bytes > self.spool.options().budget_bytes / 2 {
            return Err(IntakeError::Behind);
        }
        let mut all = Found::default();
        let admit = |event| {
            let (event, found) = self.guard.admit(event);
            all += found;
            event
        };
        let events: Vec<_> = events.into_iter().map(admit).collect();
        for class in Class::ALL {
            self.take_class(class, events.iter().filter(|event| self::class(event) == class))?;
        }
        append_found(&self.writer, all);
        Ok(())
    }

    fn take_class<'a>(
        &self,
        class: Class,
        events: impl Iterator<Item = &'a Admitted>,
    ) -> Result<(), IntakeError> {
        let (mut buffer, mut records) = (Vec::new(), Vec::new());
        for event in events {
            let start = buffer.len();
            // An event that was just read can be written.
            records
                .extend(codec::encode_received(event, &mut buffer).map(|kind| (kind, start..buffer.len())));
        }
        if records.is_empty() {
            return Ok(());
        }
        let records: Vec<_> = records.into_iter().map(|(kind, range)| (kind, 1, &buffer[range])).collect();
        self.writer.append_many(class, &records)?;
        Ok(())
    }
}
