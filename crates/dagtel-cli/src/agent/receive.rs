//! `--receive`: takes the events that other agents forward.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dagtel_core::guard::Guard;
use dagtel_drain::{Intake, Layout};
use dagtel_otlp::event_of;
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;

use super::board::Board;
use crate::terminal;

/// When a sender should come again whose events could not be kept.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of a log record that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It is in the journal.
    Taken,
    /// It is no event.
    Refused,
    /// It could not be kept; the sender comes again.
    Later,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Later => "later",
        }
    }
}

/// Starts to listen. What is received goes into the journal of the one directory.
pub(super) fn start(
    address: SocketAddr,
    layouts: &[Layout],
    guard: Guard,
    board: Arc<Board>,
) -> anyhow::Result<ReceiverThread> {
    let [layout] = layouts else {
        anyhow::bail!("events are received into one spool directory, and {} are named", layouts.len());
    };
    let intake = Intake::open(layout, guard)?;
    let options = ReceiverOptions { grpc: Some(address), http: None };
    let thread = ReceiverThread::start(options, move |request| take(request, &intake, &board))?;
    if let Some(address) = thread.grpc_addr() {
        terminal::note(&format!("receiving events at http://{address}"));
    }
    Ok(thread)
}

/// Answers only when what it accepts is on disk.
fn take(request: Received, intake: &Intake, board: &Board) -> Answer {
    let Received::Logs(request) = request else {
        let message = "this agent takes only events that other agents forward; send spans and metrics to a \
                       collector"
            .to_owned();
        return Answer::Refuse { message };
    };
    let (mut events, mut refused, mut first) = (Vec::new(), 0, None);
    for record in records(&request) {
        match event_of(record) {
            Ok(event) => events.push(event),
            Err(error) => {
                refused += 1;
                first.get_or_insert(error);
            }
        }
    }
    let taken = events.len() as u64;
    if let Err(error) = intake.take(events) {
        board.intake(Outcome::Later, taken + refused, Some(error.to_string()));
        return Answer::Busy { retry_after: AGAIN };
    }
    board.intake(Outcome::Taken, taken, None);
    let Some(first) = first else { return Answer::Accept };
    let message = format!("{refused} log records are no events of dagtel; of the first, {first}");
    board.intake(Outcome::Refused, refused, Some(message.clone()));
    Answer::Partial { rejected: refused, message }
}

fn records(
    request: &ExportLogsServiceRequest,
) -> impl Iterator<Item = &opentelemetry_proto::tonic::logs::v1::LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.flat_map(|scope| &scope.log_records)
}
