//! What goes over the wire when all is well.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::thread;

use dagtel_usage::json::Dict;
use dagtel_usage::{Consent, Emitter, Environment, Sender, StandardMetrics, UsageEvent};
use tracing::Level;

use crate::warnings::Log;
use dagtel_testkit::gateway::{HUNG, NAME, Server, read_head, says};

fn metrics<const N: usize>(entries: [(&str, &str); N]) -> Dict {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn event(entries: [(&str, &str); 2]) -> UsageEvent {
    UsageEvent::from_metrics(metrics(entries))
}

#[test]
fn an_event_is_one_request_with_the_originals_headers() {
    let log = Log::begin();
    let server = Server::https(says("200 OK"));
    let sender = Sender::new(server.gateway(), server.environment(&[]));
    for n in ["1", "2", "a b&c=/ü"] {
        assert!(sender.send(event([("event_type", "dag_run"), ("n", n)])));
    }
    assert!(sender.flush(HUNG));
    let head = |query: &str| {
        format!(
            "GET /cosmos/v3/dag_run?n={query} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\
             Connection: keep-alive\r\nUser-Agent: dagtel-usage/{}\r\n\r\n",
            server.address(),
            env!("CARGO_PKG_VERSION")
        )
    };
    assert_eq!(server.heads(), [head("1"), head("2"), head("a+b%26c%3D%2F%C3%BC")]);
    assert_eq!(server.connections(), 1, "the connection is kept");
    let stats = sender.stats();
    assert_eq!((stats.handed, stats.sent, stats.failed, stats.waiting), (3, 3, 0, 0));
    assert_eq!(log.at(Level::WARN), Vec::<String>::new());
}

#[test]
fn an_emitted_event_has_the_standard_metrics_and_the_additional_ones_win() {
    let _log = Log::begin();
    let server = Server::http(says("204 No Content"));
    let standard = StandardMetrics::new("1.15.1", "3.0.2+astro.1", "3.11.7");
    let machine = (standard.platform_system.clone(), standard.platform_machine.clone());
    let emitter = Emitter::new(Consent::default(), standard, Some(server.gateway()), server.environment(&[]));
    let more = || metrics([("status", "success"), ("python_version", "3.12.1")]);
    assert!(emitter.emit_usage_metrics_if_enabled("dag_run", more));
    assert!(emitter.flush(HUNG));
    let expected = format!(
        "GET /cosmos/v3/dag_run?cosmos_version=1.15.1&airflow_version=3.0.2%252Bastro.1&python_version=3.12.1\
         &platform_system={}&platform_machine={}&status=success HTTP/1.1",
        machine.0, machine.1
    );
    assert_eq!(server.heads().len(), 1);
    assert!(server.heads()[0].starts_with(&expected), "{}", server.heads()[0]);
}

#[test]
fn a_listener_with_nothing_to_say_sends_nothing() {
    let _log = Log::begin();
    let standard = StandardMetrics::new("1", "2", "3");
    let server = Server::http(says("200 OK"));
    let emitter = Emitter::new(Consent::default(), standard, Some(server.gateway()), server.environment(&[]));
    assert!(!emitter.emit_usage_metrics_if_enabled("dag_run", || None));
    assert_eq!(emitter.stats().handed, 0);
}

#[test]
fn a_gateway_that_closes_each_connection_gets_every_event() {
    let log = Log::begin();
    let server = Server::https(|stream, stop| {
        says("200 OK\r\nConnection: close")(stream, stop);
        false
    });
    let sender = Sender::new(server.gateway(), server.environment(&[]));
    for n in ["1", "2", "3"] {
        sender.send(event([("event_type", "x"), ("n", n)]));
    }
    assert!(sender.flush(HUNG));
    assert_eq!((sender.stats().sent, server.connections()), (3, 3), "{:?}", log.at(Level::WARN));
}

#[test]
fn a_redirect_on_the_same_host_is_followed() {
    let _log = Log::begin();
    let server = Server::https(|stream, _| {
        let first = b"HTTP/1.1 302 Found\r\nLocation: /moved?to=here\r\nContent-Length: 4\r\n\r\nbody";
        stream.write_all(first).is_ok()
            && read_head(stream).is_some()
            && says("200 OK")(stream, &Default::default())
    });
    let sender = Sender::new(server.gateway(), server.environment(&[]));
    sender.send(event([("event_type", "x"), ("n", "1")]));
    assert!(sender.flush(HUNG));
    assert_eq!((sender.stats().sent, server.connections()), (1, 1), "the body before was read");
}

#[test]
fn a_proxy_of_the_environment_is_used_with_its_password() {
    let _log = Log::begin();
    let server = Server::https(says("200 OK"));
    let proxy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let variable = format!("http://me:secret@{}", proxy.local_addr().unwrap());
    let behind = server.address();
    let relay = thread::spawn(move || {
        let (mut client, _) = proxy.accept().expect("the sender connects");
        let head = read_head(&mut client).expect("the head of a request");
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").expect("the sender listens");
        let server = TcpStream::connect(behind).expect("the server listens");
        let (mut from, mut to) = (client.try_clone().expect("two"), server.try_clone().expect("two"));
        let back = thread::spawn(move || std::io::copy(&mut to, &mut from));
        // Either direction ends when the sender is gone.
        let _ = std::io::copy(&mut client, &mut &server);
        let _ = server.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
        head
    });
    let sender = Sender::new(server.gateway_at(NAME), server.environment(&[("HTTPS_PROXY", &variable)]));
    sender.send(event([("event_type", "x"), ("n", "1")]));
    assert!(sender.flush(HUNG));
    assert_eq!(sender.stats().sent, 1);
    drop(sender);
    let head = relay.join().unwrap();
    let port = server.address().port();
    assert!(head.starts_with(&format!("CONNECT {NAME}:{port} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
    assert!(server.heads()[0].contains(&format!("Host: {NAME}:{port}\r\n")), "{}", server.heads()[0]);
}

#[test]
fn what_is_on_this_machine_is_reached_without_a_proxy() {
    let _log = Log::begin();
    let server = Server::https(says("200 OK"));
    let environment =
        server.environment(&[("https_proxy", "http://127.0.0.1:9"), ("ALL_PROXY", "http://127.0.0.1:9")]);
    let sender = Sender::new(server.gateway(), environment);
    sender.send(event([("event_type", "x"), ("n", "1")]));
    assert!(sender.flush(HUNG));
    assert_eq!(sender.stats().sent, 1);
}

#[test]
fn without_a_gateway_nothing_is_sent_and_nobody_is_asked() {
    let nothing = Environment::new(|_| None);
    let emitter = Emitter::new(Consent::default(), StandardMetrics::new("1", "2", "3"), None, nothing);
    assert!(!emitter.emit_usage_metrics_if_enabled("dag_run", || -> Dict { panic!("nobody wants metrics") }));
    assert!(!emitter.emit_usage_metrics("dag_run", Dict::new()));
    assert_eq!(emitter.why_not(), Some(dagtel_usage::NotSent::NoGateway));
}
