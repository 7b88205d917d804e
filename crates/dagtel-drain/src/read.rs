//! What a step of the drainer reads: the journal and the inbox.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use dagtel_core::catalog::drop_reason;
use dagtel_core::event::Event;
use dagtel_core::guard::{Admitted, Found, readmit};
use dagtel_core::limits;
use dagtel_core::time::Timestamp;
use dagtel_spool::{Record, StreamId, StreamStatus};

use crate::codec::{self, Decoded};
use crate::drainer::{Drainer, Step};
use crate::inbox;
use crate::owners::Owner;

/// Bytes of the journal, and of the inbox, that are read in one step, so that memory stays bounded whatever has piled up.
const STEP_BYTES: usize = 2 * 1024 * 1024;
/// Bytes read of one stream at a time.
const READ_BYTES: usize = 1024 * 1024;

/// The time of the last event that was read, for each source that is there.
#[derive(Debug, Default)]
pub(crate) struct ReadTo {
    streams: BTreeMap<StreamId, Timestamp>,
    files: BTreeMap<String, Timestamp>,
}

impl ReadTo {
    fn stream(&self, stream: StreamId) -> Timestamp {
        self.streams.get(&stream).copied().unwrap_or(Timestamp::MIN)
    }

    fn file(&self, name: &str) -> Timestamp {
        self.files.get(name).copied().unwrap_or(Timestamp::MIN)
    }
}

impl Step {
    /// A source was not read to its end, but up to this of its times.
    fn stopped_at(&mut self, read_to: Timestamp) {
        self.more = true;
        self.behind = Some(self.behind.map_or(read_to, |behind| behind.min(read_to)));
    }
}

impl Drainer {
    /// Reads the journal, up to a bound: always of the stream that is furthest behind, so that a run of which several
    /// processes tell is known whole soon after its end. Returns the streams that there are.
    pub(crate) fn read_journal(
        &mut self,
        step: &mut Step,
        dead: &mut Vec<Owner>,
    ) -> io::Result<Vec<StreamStatus>> {
        let mut budget = STEP_BYTES;
        let streams = self.journal.streams()?;
        step.alive.extend(streams.iter().filter(|stream| stream.alive).map(|stream| stream.id.writer));
        let there: BTreeSet<_> = streams.iter().map(|stream| stream.id).collect();
        self.read_to.streams.retain(|stream, _| there.contains(stream));
        let mut unread: BTreeSet<_> =
            there.iter().map(|stream| (self.read_to.stream(*stream), *stream)).collect();
        let mut unfinished = BTreeSet::new();
        while budget > 0
            && let Some((_, stream)) = unread.pop_first()
        {
            let position = self.state.positions.get(&stream).copied().unwrap_or_default();
            let batch = self.journal.read(stream, position, READ_BYTES.min(budget))?;
            self.state.counts.drop_events(drop_reason::DAMAGED, batch.damaged);
            self.state.counts.drop_events(drop_reason::EVICTED, batch.missing);
            for record in &batch.records {
                budget = budget.saturating_sub(record.payload.len());
                self.read_record(stream, record, step);
            }
            self.state.positions.insert(stream, batch.next);
            if !batch.end {
                unread.insert((self.read_to.stream(stream), stream));
            } else if !batch.finished {
                unfinished.insert(stream.writer);
            }
        }
        if let Some((read_to, _)) = unread.first() {
            step.stopped_at(*read_to);
            return Ok(streams);
        }
        let gone = |writer| !streams.iter().any(|stream| stream.id.writer == writer);
        let is_dead = |owner: &&Owner| match owner {
            Owner::Writer(writer) => !unfinished.contains(writer) || gone(*writer),
            Owner::Inbox(_) => false,
        };
        dead.extend(self.state.owners.owners().filter(is_dead).cloned());
        Ok(streams)
    }

    fn read_record(&mut self, stream: StreamId, record: &Record, step: &mut Step) {
        match codec::decode(record.kind, &record.payload) {
            Some(Decoded::Event(event)) => {
                self.read_to.streams.insert(stream, event.at);
                self.read_event(Some(&Owner::Writer(stream.writer)), readmit(event), step);
            }
            Some(Decoded::Received(event)) => {
                self.read_to.streams.insert(stream, event.at);
                self.read_received(event, step);
            }
            Some(Decoded::Found(found)) => self.state.fold.found(found),
            None => self.state.counts.drop_events(drop_reason::UNREADABLE, 1),
        }
    }

    /// Reads the files of the inbox, up to a bound, those first that are furthest behind.
    pub(crate) fn read_inbox(&mut self, step: &mut Step, dead: &mut Vec<Owner>) -> io::Result<()> {
        let dir = self.layout.inbox();
        let mut names = inbox::files(&dir);
        self.reports.retain(|name, _| names.binary_search(name).is_ok());
        self.read_to.files.retain(|name, _| names.binary_search(name).is_ok());
        names.sort_by_key(|name| self.read_to.file(name));
        let mut budget = STEP_BYTES;
        for name in names {
            if budget == 0 {
                step.stopped_at(self.read_to.file(&name));
                break;
            }
            let mut position = self.state.inbox.get(&name).copied().unwrap_or_default();
            let lines = inbox::read(&dir, &name, &mut position)?;
            budget = budget.saturating_sub(lines.bytes);
            step.reports += lines.reports;
            if lines.dead && lines.end {
                self.reports.remove(&name);
            } else if let Some(report) = lines.report
                && (self.reports.len() < limits::REPORTING_PROCESSES || self.reports.contains_key(&name))
            {
                self.reports.insert(name.clone(), report);
            }
            self.state.inbox.insert(name.clone(), position);
            if let Some(last) = lines.events.last() {
                self.read_to.files.insert(name.clone(), last.at);
            }
            if !lines.end {
                step.stopped_at(self.read_to.file(&name));
            }
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
