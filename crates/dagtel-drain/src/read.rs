//! What a step of the drainer reads: the journal and the inbox.

use std::collections::BTreeSet;
use std::io;

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::Event;
use dagtel_core::guard::{Admitted, Found, readmit};
use dagtel_core::limits;
use dagtel_spool::StreamStatus;

use crate::codec::{self, Decoded};
use crate::drainer::{Drainer, Step};
use crate::inbox;
use crate::owners::Owner;

/// Bytes of the journal read in one step, so that memory stays bounded whatever has piled up.
const STEP_BYTES: usize = 16 * 1024 * 1024;
/// Bytes read of one stream at a time.
const READ_BYTES: usize = 1024 * 1024;

impl Drainer {
    /// Reads the journal, up to a bound. Returns the streams that there are.
    pub(crate) fn read_journal(
        &mut self,
        step: &mut Step,
        dead: &mut Vec<Owner>,
    ) -> io::Result<Vec<StreamStatus>> {
        let mut budget = STEP_BYTES;
        let streams = self.journal.streams()?;
        let mut unfinished = BTreeSet::new();
        for stream in &streams {
            if stream.alive {
                step.alive.insert(stream.id.writer);
            }
            loop {
                let position = self.state.positions.get(&stream.id).copied().unwrap_or_default();
                let batch = self.journal.read(stream.id, position, READ_BYTES.min(budget))?;
                self.state.counts.drop_events(drop_reason::DAMAGED, batch.damaged);
                self.state.counts.drop_events(drop_reason::EVICTED, batch.missing);
                let owner = Owner::Writer(stream.id.writer);
                for record in &batch.records {
                    budget = budget.saturating_sub(record.payload.len());
                    match codec::decode(record.kind, &record.payload) {
                        Some(Decoded::Event(event)) => self.read_event(Some(&owner), readmit(event), step),
                        Some(Decoded::Received(event)) => self.read_received(event, step),
                        Some(Decoded::Found(found)) => self.state.fold.found(found),
                        None => self.state.counts.drop_events(drop_reason::UNREADABLE, 1),
                    }
                }
                self.state.positions.insert(stream.id, batch.next);
                if budget == 0 {
                    step.more = true;
                    return Ok(streams);
                }
                if batch.end {
                    if !batch.finished {
                        unfinished.insert(stream.id.writer);
                    }
                    break;
                }
            }
        }
        let gone = |writer| !streams.iter().any(|stream| stream.id.writer == writer);
        let is_dead = |owner: &&Owner| match owner {
            Owner::Writer(writer) => !unfinished.contains(writer) || gone(*writer),
            Owner::Inbox(_) => false,
        };
        dead.extend(self.state.owners.owners().filter(is_dead).cloned());
        Ok(streams)
    }

    /// Reads the files of the inbox, each up to a bound.
    pub(crate) fn read_inbox(&mut self, step: &mut Step, dead: &mut Vec<Owner>) -> io::Result<()> {
        let dir = self.layout.inbox();
        let names = inbox::files(&dir);
        self.reports.retain(|name, _| names.binary_search(name).is_ok());
        for name in names {
            let mut position = self.state.inbox.get(&name).copied().unwrap_or_default();
            let lines = inbox::read(&dir, &name, &mut position)?;
            step.reports += lines.reports;
            if lines.dead && lines.end {
                self.reports.remove(&name);
            } else if let Some(report) = lines.report
                && (self.reports.len() < limits::REPORTING_PROCESSES || self.reports.contains_key(&name))
            {
                self.reports.insert(name.clone(), report);
            }
            self.state.inbox.insert(name.clone(), position);
            let owner = Owner::Inbox(name);
            for event in lines.events {
                let admitted = self.options.guard.admit(event);
                self.read_event(Some(&owner), admitted, step);
            }
            step.usage.extend(lines.usage);
            self.state.counts.drop_events(drop_reason::NOT_WRITTEN, lines.dropped);
            self.state.counts.drop_events(drop_reason::BAD_LINE, lines.bad.bad_lines);
            step.inbox.bad_lines += lines.bad.bad_lines;
            // The message repeats parts of the line.
            let first_bad = lines.bad.first_bad.map(|bad| self.options.guard.redact(&bad).into_owned());
            step.inbox.first_bad = step.inbox.first_bad.take().or(first_bad);
            step.more |= !lines.end;
            step.inbox_alive |= !lines.dead;
            if lines.dead && lines.end {
                dead.push(owner);
            }
        }
        Ok(())
    }

    fn read_event(&mut self, owner: Option<&Owner>, admitted: (Admitted, Found), step: &mut Step) {
        step.events += 1;
        self.state.counts.events += 1;
        if let Some(owner) = owner {
            self.state.owners.note(owner, admitted.0.event());
        }
        self.apply(admitted);
    }

    fn read_received(&mut self, event: Event, step: &mut Step) {
        if self.state.received.knows(&event) {
            step.events += 1;
            self.state.counts.events += 1;
            self.state.fold.repeated();
        } else {
            self.read_event(None, readmit(event), step);
        }
    }

    pub(crate) fn apply(&mut self, (event, found): (Admitted, Found)) {
        self.state.fold.found(found);
        if self.options.events {
            self.forward.push(event.clone().with_uid(|| self.state.numbering.next()));
        }
        self.state.fold.apply(event);
    }
}
