//! A StatsD daemon as a destination: counts are neither lost nor told twice, whatever is restarted or away.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use dagtel_otlp::{Frame, Signal};
use dagtel_ship::{Receiver, Shipper, Statsd};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use prost::Message as _;

use crate::outbox::{HUNG, Outbox, done, spans, to_the_end};

/// Beyond the birth of any destination of a test.
const START: u64 = 9_000_000_000_000_000_000;

/// A frame in which a counter stands at a value.
fn counter(value: i64) -> Frame {
    let point = NumberDataPoint {
        start_time_unix_nano: START,
        time_unix_nano: START + 1,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    };
    let metric =
        Metric { name: "airflow.job_start".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let metrics = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![metrics] };
    Frame::new(Signal::Metrics, request.encode_to_vec(), 1)
}

struct Daemon(UdpSocket);

impl Daemon {
    fn start(at: &str) -> Self {
        let socket = UdpSocket::bind(at).expect("there is a free port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket takes a timeout");
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket has an address")
    }

    fn receiver(&self) -> Receiver {
        statsd(&self.address().ip().to_string(), self.address().port())
    }

    /// What came, summed up. On loopback it is there when it was sent.
    fn sum(&self) -> i64 {
        let (mut sum, mut datagram) = (0, [0; 2000]);
        while let Ok(bytes) = self.0.recv(&mut datagram) {
            let text = std::str::from_utf8(&datagram[..bytes]).expect("it is text");
            for line in text.lines() {
                let value = line.strip_prefix("airflow.job_start:").and_then(|rest| rest.strip_suffix("|c"));
                sum += value.unwrap_or_else(|| panic!("{line}")).parse::<i64>().expect("it is a number");
            }
        }
        sum
    }
}

fn statsd(host: &str, port: u16) -> Receiver {
    Receiver::Statsd(Statsd::new(host, port))
}

#[test]
fn a_restart_neither_repeats_nor_loses_a_count() {
    let (daemon, outbox) = (Daemon::start("127.0.0.1:0"), Outbox::with(&[counter(3), counter(7)]));
    let seen = to_the_end(outbox.line(daemon.receiver()));
    assert_eq!((daemon.sum(), seen.delivered["metrics"], outbox.frames()), (7, 2, 0));
    outbox.add(&[counter(7), counter(12), spans(&["not for it"])]);
    to_the_end(outbox.line(daemon.receiver()));
    assert_eq!((daemon.sum(), outbox.frames()), (5, 0));
    // It was killed after it had saved what was told, and before it had noted that the frames are done with.
    let outbox = Outbox::with(&[counter(3)]);
    let (shipper, kept) =
        (Shipper::start(vec![outbox.line(daemon.receiver())]).unwrap(), outbox.path("shipped-it"));
    done(&shipper, 1);
    drop(shipper);
    std::fs::remove_file(kept).unwrap();
    outbox.add(&[counter(4)]);
    to_the_end(outbox.line(daemon.receiver()));
    assert_eq!(daemon.sum(), 4);
}

#[test]
fn a_daemon_that_is_away_is_told_all_when_it_is_there() {
    let port = Daemon::start("127.0.0.1:0").address().port();
    let outbox = Outbox::with(&[counter(3), counter(7)]);
    let shipper = Shipper::start(vec![outbox.line(statsd("127.0.0.1", port))]).unwrap();
    let (name, status) = shipper.destinations().next().unwrap();
    assert_eq!(name, format!("statsd://127.0.0.1:{port}"));
    let began = std::time::Instant::now();
    while status.seen().failing.is_none() && began.elapsed() < HUNG {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(status.seen().failing.is_some_and(|reason| reason.contains("refused")));
    let daemon = Daemon::start(&format!("127.0.0.1:{port}"));
    let seen = done(&shipper, 2);
    assert_eq!((daemon.sum(), seen.delivered["metrics"], seen.failing), (7, 2, None));
}

#[test]
fn hosts_have_names_and_addresses_of_both_kinds() {
    let six = Daemon::start("[::1]:0");
    to_the_end(Outbox::with(&[counter(2)]).line(six.receiver()));
    assert_eq!(six.sum(), 2);
    // The name may have an address of the other kind first, at which nobody listens.
    let (four, outbox) = (Daemon::start("127.0.0.1:0"), Outbox::with(&[counter(5)]));
    done(&Shipper::start(vec![outbox.line(statsd("localhost", four.address().port()))]).unwrap(), 1);
    assert_eq!(four.sum(), 5);
    let nowhere = Outbox::with(&[counter(1)]);
    let shipper = Shipper::start(vec![nowhere.line(statsd("nowhere.invalid", 1))]).unwrap();
    let status = shipper.destinations().next().unwrap().1.clone();
    let began = std::time::Instant::now();
    while status.seen().failing.is_none() && began.elapsed() < HUNG {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(status.seen().failing.is_some(), "a name without an address is told");
    drop(shipper);
    assert_eq!(nowhere.frames(), 1);
}

#[test]
fn a_probe_finds_out_who_is_not_there() {
    let daemon = Daemon::start("127.0.0.1:0");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let probe = |port| runtime.block_on(Statsd::new("127.0.0.1", port).probe());
    let address = daemon.address();
    assert_eq!(probe(address.port()).unwrap(), address);
    drop(daemon);
    assert_eq!(probe(address.port()).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn what_nobody_wants_does_not_stay() {
    let outbox = Outbox::with(&[counter(3), spans(&["a"])]);
    let seen = to_the_end(outbox.line(Receiver::None));
    assert_eq!((outbox.frames(), seen.delivered.len(), seen.dropped.len(), seen.caught_up), (0, 0, 0, true));
}
