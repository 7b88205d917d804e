//! An outbox with frames in it, and what became of them.

use std::path::PathBuf;
use std::time::Duration;

use dagtel_otlp::{Frame, Signal, record};
use dagtel_ship::{Delivery, Destination, Endpoint, Line, Protocol, Receiver, Seen, Shipper, lines};
use dagtel_spool::{Class, Options, Position, Record, Spool};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tempfile::TempDir;

/// After this long a test that waits has hung.
pub(crate) const HUNG: Duration = Duration::from_secs(15);

/// An outbox and what stands beside it, in a directory of their own.
#[derive(Debug)]
pub(crate) struct Outbox(TempDir);

impl Outbox {
    /// With these frames, numbered from 1.
    pub(crate) fn with(frames: &[Frame]) -> Self {
        let outbox = Self(tempfile::tempdir().expect("a temporary directory can be had"));
        outbox.add(frames);
        outbox
    }

    /// Puts frames into it by a writer of their own, numbered from 1.
    pub(crate) fn add(&self, frames: &[Frame]) {
        let writer = Spool::open(self.path("outbox"), Options::default()).expect("it can be opened").writer();
        for (frame, number) in frames.iter().zip(1..) {
            let payload = record::payload(number, &frame.body);
            let items = u32::try_from(frame.items).expect("there are few");
            let kind = record::kind_of(frame.signal);
            writer.append(kind, Class::Lifecycle, items, &payload).expect("there is room");
        }
    }

    /// Ships it to these addresses.
    pub(crate) fn ship(&self, to: &[&str]) -> Shipper {
        Shipper::start(self.lines(to)).expect("threads can be had")
    }

    /// Ships it to this address, in this way.
    pub(crate) fn ship_by(&self, to: &str, delivery: Delivery) -> Shipper {
        let mut destination = self.destination(to);
        if let Receiver::Otlp { delivery: how, .. } = &mut destination.receiver {
            *how = delivery;
        }
        Shipper::start(self.lines_to(vec![destination])).expect("threads can be had")
    }

    /// Ships what is there, as a program does at its end.
    pub(crate) fn ship_to_the_end(&self, to: &str) -> Seen {
        to_the_end(self.lines(&[to]).pop().expect("there is one"))
    }

    /// A line to a receiver of any kind, whose progress stands in the file `shipped-it`.
    pub(crate) fn line(&self, receiver: Receiver) -> Line {
        let to = Destination::to(receiver, self.path("shipped-it"));
        self.lines_to(vec![to]).pop().expect("there is one")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lines(&self, to: &[&str]) -> Vec<Line> {
        self.lines_to(to.iter().map(|url| self.destination(url)).collect())
    }

    /// OTLP/HTTP goes to addresses with a path, gRPC to those without.
    fn destination(&self, url: &str) -> Destination {
        let endpoint: Endpoint = url.parse().expect("it is a URL");
        let http = url.matches('/').count() > 2;
        let protocol = if http { Protocol::HttpProtobuf } else { Protocol::Grpc };
        Destination::new(endpoint, protocol, self.path(&format!("shipped-{}", url.replace(['/', ':'], "-"))))
    }

    fn lines_to(&self, destinations: Vec<Destination>) -> Vec<Line> {
        lines(&self.path("outbox"), &self.path("dead"), destinations).expect("the outbox can be opened")
    }

    /// The names in each dead letter.
    pub(crate) fn dead(&self) -> String {
        let letters = records(self.path("dead"));
        let letters = letters.iter().filter_map(|letter| {
            let (_, body) = record::parse(&letter.payload)?;
            Some(names(record::signal_of(letter.kind)?, body))
        });
        letters.collect::<Vec<_>>().join(" ")
    }

    /// How many frames are on disk.
    pub(crate) fn frames(&self) -> usize {
        records(self.path("outbox")).len()
    }
}

/// Ships what is there, as a program does at its end.
pub(crate) fn to_the_end(line: Line) -> Seen {
    let status = line.status();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there can be a runtime").block_on(line.run(std::future::ready(HUNG)));
    status.seen()
}

fn records(dir: PathBuf) -> Vec<Record> {
    let mut reader = Spool::open(dir, Options::default()).expect("it can be opened").reader();
    let streams = reader.streams().expect("it can be read");
    let read = |stream| reader.read(stream, Position::default(), 1 << 20).expect("it can be read").records;
    streams.iter().map(|stream| stream.id).flat_map(read).collect()
}

/// How the only destination fares once all frames up to this number are done with.
pub(crate) fn done(shipper: &Shipper, number: u64) -> Seen {
    let (endpoint, status) = shipper.destinations().next().expect("there is one");
    let done = status.wait_until_reached(number, HUNG);
    assert!(done, "frame {number} is not done with at {endpoint}: {:?}", status.seen());
    status.seen()
}

/// A frame of spans.
pub(crate) fn spans(names: &[&str]) -> Frame {
    let spans = names.iter().map(|name| Span { name: (*name).to_owned(), ..Span::default() });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    Frame::new(Signal::Traces, ExportTraceServiceRequest { resource_spans }.encode_to_vec(), names.len())
}

/// A frame of one log record, which is never merged with spans.
pub(crate) fn log(name: &str) -> Frame {
    let log_records = vec![LogRecord { event_name: name.to_owned(), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    Frame::new(Signal::Logs, ExportLogsServiceRequest { resource_logs }.encode_to_vec(), 1)
}

/// The names in a request, joined by a plus.
pub(crate) fn names(signal: Signal, body: &[u8]) -> String {
    match signal {
        Signal::Traces => span_names(&ExportTraceServiceRequest::decode(body).expect("it is a request")),
        Signal::Metrics => "metrics".to_owned(),
        Signal::Logs | Signal::Events => {
            log_names(&ExportLogsServiceRequest::decode(body).expect("it is a request"))
        }
    }
}

pub(crate) fn span_names(request: &ExportTraceServiceRequest) -> String {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let names = scopes.flat_map(|scope| &scope.spans).map(|span| &*span.name);
    names.collect::<Vec<_>>().join("+")
}

pub(crate) fn log_names(request: &ExportLogsServiceRequest) -> String {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let names = scopes.flat_map(|scope| &scope.log_records).map(|log| &*log.event_name);
    names.collect::<Vec<_>>().join("+")
}

/// What happened, in the words of the tables: requests, and then what was delivered, dropped and kept as dead letters.
pub(crate) fn told(requests: &[String], seen: &Seen, dead: &str) -> String {
    let delivered: Vec<_> = seen.delivered.iter().map(|(signal, n)| format!("{n} {signal}")).collect();
    let dropped: Vec<_> = seen.dropped.iter().map(|((s, why), n)| format!("{n} {s} {why}")).collect();
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let (delivered, dropped) = (or_none(delivered.join(", ")), or_none(dropped.join(", ")));
    format!("{} | {delivered} | {dropped} | {}", requests.join(" "), or_none(dead.to_owned()))
}

/// The two frames of every row of the tables: the one that gets the answer, and the one behind it.
pub(crate) fn two_frames() -> Outbox {
    Outbox::with(&[spans(&["a", "b"]), log("next")])
}

/// Sends [`two_frames`] to an address, and tells what happened.
pub(crate) fn play(url: &str, requests: impl FnOnce() -> Vec<String>) -> String {
    let outbox = two_frames();
    let shipper = outbox.ship(&[url]);
    let seen = done(&shipper, 2);
    assert!(shipper.stop(HUNG), "nothing is left to send");
    told(&requests(), &seen, &outbox.dead())
}

/// Prints a row, and says whether it is as wanted.
pub(crate) fn row(what: &str, wanted: &str, happened: &str) -> bool {
    println!("{what:<34} -> {happened}");
    if wanted != happened {
        println!("{:<34}    wanted {wanted}", "");
    }
    wanted == happened
}
