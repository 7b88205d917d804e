//! Starting, stopping, and staying alive under odd clients and odd sinks.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use dagtel_receiver::{
    Answer, BindError, Received, Receiver, ReceiverOptions, ReceiverThread,
    limits::{MAX_CONNECTIONS, MAX_IN_FLIGHT, SHUTDOWN_GRACE},
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use support::{Fake, JSON, agent, traces};

fn accept(_: Received) -> Answer {
    Answer::Accept
}

#[test]
fn a_taken_port_is_an_error_at_start_that_names_it() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    for (options, transport) in [
        (ReceiverOptions { grpc: Some(taken), http: None }, "OTLP/gRPC"),
        (ReceiverOptions { grpc: None, http: Some(taken) }, "OTLP/HTTP"),
    ] {
        let error = ReceiverThread::start(options, accept).unwrap_err();
        assert!(matches!(error, BindError::Address { addr, .. } if addr == taken));
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot listen for {transport} on {taken}: ")), "{text}");
    }
}

#[test]
fn no_address_at_all_is_an_error() {
    let error = Receiver::bind(ReceiverOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::NoAddress));
}

#[test]
fn one_transport_alone_is_enough() {
    let options = ReceiverOptions { grpc: None, ..ReceiverOptions::any_port() };
    let receiver = ReceiverThread::start(options, accept).unwrap();
    assert_eq!(receiver.grpc_addr(), None);
    assert_eq!(post(receiver.http_addr().unwrap()), 200);
}

#[test]
fn dropping_frees_both_ports_at_once() {
    let fake = Fake::accepting();
    assert_eq!(fake.post("/v1/traces", JSON, &[], b"{}").status, 200);
    let (grpc, http) = (fake.receiver.grpc_addr(), fake.receiver.http_addr());
    drop(fake);
    let again = ReceiverThread::start(ReceiverOptions { grpc, http }, accept).unwrap();
    assert_eq!((again.grpc_addr(), again.http_addr()), (grpc, http));
}

#[test]
fn a_client_that_holds_on_delays_the_stop_by_the_grace_only() {
    let fake = Fake::accepting();
    let mut stuck = TcpStream::connect(fake.receiver.http_addr().unwrap()).unwrap();
    stuck.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    fake.receiver.stop();
    assert!(start.elapsed() < SHUTDOWN_GRACE + Duration::from_secs(2), "took {:?}", start.elapsed());
    // The connection is closed, whatever the client wishes.
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest);
}

#[test]
fn a_request_under_way_is_answered_before_the_stop() {
    let slow = |_: Received| {
        std::thread::sleep(Duration::from_millis(500));
        Answer::Accept
    };
    let receiver = ReceiverThread::start(ReceiverOptions::any_port(), slow).unwrap();
    let http = receiver.http_addr().unwrap();
    let client = std::thread::spawn(move || post(http));
    std::thread::sleep(Duration::from_millis(200));
    drop(receiver);
    assert_eq!(client.join().unwrap(), 200);
}

#[tokio::test]
async fn an_open_connection_without_a_request_does_not_delay_the_stop() {
    let fake = Fake::accepting();
    let mut client = TraceServiceClient::connect(fake.grpc_url()).await.unwrap();
    client.export(traces("a")).await.unwrap();
    let _idle = TcpStream::connect(fake.receiver.http_addr().unwrap()).unwrap();
    // The client lives on this thread, which is stuck in `stop` and so cannot close its side.
    let start = Instant::now();
    fake.receiver.stop();
    assert!(start.elapsed() < SHUTDOWN_GRACE / 2, "took {:?}", start.elapsed());
}

#[test]
fn idle_connections_leave_the_rest_room() {
    let fake = Fake::accepting();
    let http = fake.receiver.http_addr().unwrap();
    let idle: Vec<_> = (0..MAX_CONNECTIONS - 1).map(|_| TcpStream::connect(http).unwrap()).collect();
    assert!(idle.len() > MAX_IN_FLIGHT);
    assert_eq!(post(http), 200);
}

#[test]
fn one_connection_too_many_waits_for_a_seat() {
    let fake = Fake::accepting();
    let http = fake.receiver.http_addr().unwrap();
    let mut idle: Vec<_> = (0..MAX_CONNECTIONS).map(|_| TcpStream::connect(http).unwrap()).collect();
    let waiting = std::thread::spawn(move || post(http));
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiting.is_finished() && fake.nothing_arrived());
    idle.pop();
    assert_eq!(waiting.join().unwrap(), 200);
}

#[test]
fn a_panic_in_the_sink_costs_one_connection() {
    let calls = AtomicUsize::new(0);
    let sink = move |_: Received| {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "the first request is the unlucky one");
        Answer::Accept
    };
    let receiver = ReceiverThread::start(ReceiverOptions::any_port(), sink).unwrap();
    let http = receiver.http_addr().unwrap();
    let url = format!("http://{http}/v1/traces");
    assert!(agent().post(url).header("content-type", JSON).send("{}").is_err());
    assert_eq!(post(http), 200);
}

#[tokio::test]
async fn it_serves_on_the_runtime_of_the_caller() {
    let receiver = Receiver::bind(ReceiverOptions::any_port()).unwrap();
    let http = receiver.http_addr().unwrap();
    // Connections made before `serve` wait for it.
    let client = tokio::task::spawn_blocking(move || post(http));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(receiver.serve(accept, async { drop(stopped.await) }));
    assert_eq!(client.await.unwrap(), 200);
    drop(stop);
    serving.await.unwrap().unwrap();
    assert!(TcpListener::bind(http).is_ok(), "the port is free again");
}

fn post(http: SocketAddr) -> u16 {
    let request = agent().post(format!("http://{http}/v1/traces")).header("content-type", JSON);
    request.send("{}").unwrap().status().as_u16()
}
