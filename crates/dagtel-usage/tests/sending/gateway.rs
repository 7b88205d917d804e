//! Gateways that fail in every way: the caller does not notice, the sender gives up, the log has one line.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use dagtel_usage::limits::{ANSWER_BYTES, QUEUE};
use dagtel_usage::{Environment, Gateway, Sender, UsageEvent};
use rustix::net::sockopt::set_socket_linger;
use tracing::Level;

use crate::warnings::Log;
use dagtel_testkit::gateway::{HUNG, NAME, Server, Stop, Stream, says};

/// A text that must not be in any log.
const VALUE: &str = "hunter2";

fn event() -> UsageEvent {
    let entries = [("event_type", "dag_run"), ("database", VALUE)];
    UsageEvent::from_metrics(entries.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}

/// Hands over one event, which must fail with this warning, and more while the sender is busy with it. `end` lets those
/// fail quickly, so that every event is done with when the next test looks at the log.
fn fails(
    log: &Log,
    case: &str,
    gateway: Gateway,
    environment: Environment,
    warning: &str,
    end: impl FnOnce(),
) {
    const MORE: u64 = 50;
    let sender = Sender::new(gateway, environment);
    sender.start();
    let begin = Instant::now();
    let first = timed(|| assert!(sender.send(event()), "{case}: the queue has room"));
    let mut calls: Vec<Duration> =
        (0..MORE).map(|_| timed(|| assert!(sender.send(event()), "{case}"))).collect();
    log.wait();
    let gave_up = begin.elapsed();
    end();
    assert!(sender.flush(HUNG), "{case}: the sender gives up");

    let (stats, warnings) = (sender.stats(), log.at(Level::WARN));
    assert_eq!((stats.failed, stats.sent, stats.dropped), (1 + MORE, 0, 0), "{case}");
    assert_eq!(warnings.len() as u64, stats.failed, "{case}: one for each");
    assert!(warnings[0].contains(warning), "{case}: {}", warnings[0]);
    for line in warnings {
        assert!(line.starts_with("Unable to emit usage metrics: "), "{case}: {line}");
        assert!(!line.contains(VALUE) && !line.contains("127.0.0.1"), "{case}: {line}");
    }

    calls.sort();
    let (median, slowest) = (calls[calls.len() / 2], calls[calls.len() - 1]);
    println!(
        "{case}: handed over in {first:?}, then {median:?}, at most {slowest:?}; given up after {gave_up:?}"
    );
}

fn timed(call: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    call();
    begin.elapsed()
}

fn fails_at(log: &Log, case: &str, server: Server, warning: &str) {
    fails(log, case, server.gateway(), server.environment(&[]), warning, || drop(server));
}

/// Writes the beginning and then a byte a second, as long as somebody listens.
fn drip(stream: &mut dyn Stream, stop: &Stop, begin: &[u8], byte: &[u8]) -> bool {
    let mut piece = begin;
    while stream.write_all(piece).and_then(|()| stream.flush()).is_ok() && !stop.wait(Duration::from_secs(1))
    {
        piece = byte;
    }
    false
}

#[test]
fn one_that_hangs() {
    let log = Log::begin();
    let server = Server::https(|stream, _| stream.read(&mut [0]).is_ok_and(|_| false));
    fails_at(&log, "hangs", server, "did not answer in time");
}

#[test]
fn one_that_drips_its_head() {
    let log = Log::begin();
    let server = Server::https(|stream, stop| drip(stream, stop, b"HTTP/1.1 200 OK\r\nX: ", b"x"));
    fails_at(&log, "drips its head", server, "did not answer in time");
}

#[test]
fn one_that_drips_its_body() {
    let log = Log::begin();
    let server = Server::https(|stream, stop| {
        drip(stream, stop, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"x")
    });
    fails_at(&log, "drips its body", server, "did not answer in time");
}

#[test]
fn one_that_drips_its_handshake() {
    let log = Log::begin();
    // No end of a head ever comes from a client that speaks TLS, so the raw socket is answered by hand.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = std::sync::Arc::new(Stop::default());
    let own = stop.clone();
    let dripping = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the sender connects");
        // A record of 16 KiB is announced and comes byte by byte: a timeout of single reads never fires.
        drip(&mut socket, &own, &[0x16, 3, 3, 0x40, 0], &[2])
    });
    let trusted = Server::https(says("200 OK"));
    let gateway = format!("https://127.0.0.1:{port}/{{event_type}}?{{query_string}}").parse().unwrap();
    fails(&log, "drips its handshake", gateway, trusted.environment(&[]), "did not answer in time", || {
        stop.tell();
        dripping.join().unwrap();
    });
}

#[test]
fn one_that_redirects_in_a_loop() {
    let log = Log::begin();
    let server = Server::https(says("302 Found\r\nLocation: /round"));
    fails(
        &log,
        "redirects in a loop",
        server.gateway(),
        server.environment(&[]),
        "redirects more than 5 times",
        || {},
    );
    let heads = server.heads();
    assert_eq!(heads.len(), 51 * 6, "six for each event");
    assert!(heads[5].starts_with("GET /round HTTP/1.1\r\n"), "{}", heads[5]);
    assert_eq!(server.connections(), 1);
}

#[test]
fn one_that_redirects_to_another_host() {
    let log = Log::begin();
    let other = Server::https(says("200 OK"));
    let to = format!("307 Temporary Redirect\r\nLocation: https://127.0.0.1:{}/", other.address().port());
    let server = Server::https(says(to.leak()));
    fails_at(&log, "redirects to another host", server, "redirects to somewhere else");
    assert_eq!(other.connections(), 0);
}

#[test]
fn one_that_answers_500() {
    let log = Log::begin();
    fails_at(&log, "answers 500", Server::https(says("500 Internal Server Error")), "status 500");
}

#[test]
fn one_that_answers_404() {
    let log = Log::begin();
    fails_at(&log, "answers 404", Server::https(says("404 Not Found")), "status 404");
}

#[test]
fn one_that_resets() {
    let log = Log::begin();
    let server = Server::https(|stream, _| {
        set_socket_linger(stream.socket(), Some(Duration::ZERO)).expect("the socket is open");
        false
    });
    fails_at(&log, "resets", server, "broke before its answer was complete");
}

#[test]
fn one_whose_body_breaks_off() {
    let log = Log::begin();
    let server = Server::https(|stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").is_ok_and(|()| false)
    });
    fails_at(&log, "breaks off", server, "broke before its answer was complete");
}

#[test]
fn one_whose_body_never_ends() {
    let log = Log::begin();
    let server = Server::https(|stream, _| {
        let chunk = format!("{:x}\r\n{}\r\n", 4096, "x".repeat(4096));
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut sent = stream.write_all(head);
        while sent.is_ok() {
            sent = stream.write_all(chunk.as_bytes());
        }
        false
    });
    fails_at(&log, "endless body", server, &format!("larger than {ANSWER_BYTES} bytes"));
}

#[test]
fn one_whose_head_never_ends() {
    let log = Log::begin();
    let server = Server::https(|stream, _| {
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while sent.is_ok() {
            sent = stream.write_all(b"X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n");
        }
        false
    });
    fails_at(&log, "endless head", server, "broke before its answer was complete");
}

#[test]
fn one_that_speaks_something_else() {
    let log = Log::begin();
    let server =
        Server::https(|stream, _| stream.write_all(b"220 mail.example ESMTP\r\n\r\n").is_ok_and(|()| false));
    fails_at(&log, "no HTTP", server, "broke before its answer was complete");
}

#[test]
fn one_that_nobody_vouches_for() {
    let log = Log::begin();
    let (server, other) = (Server::https(says("200 OK")), Server::https(says("200 OK")));
    let trusting_another = server.environment(&[("SSL_CERT_FILE", other.authority().to_str().unwrap())]);
    fails(&log, "untrusted", server.gateway(), trusting_another, "certificate", || {});
    assert_eq!(server.heads(), Vec::<String>::new());
}

#[test]
fn one_whose_certificate_is_for_another_name() {
    let log = Log::begin();
    let server = Server::https(says("200 OK"));
    fails(&log, "wrong name", server.gateway_at("localhost"), server.environment(&[]), "certificate", || {});
    assert_eq!(server.heads(), Vec::<String>::new());
}

#[test]
fn one_when_there_are_no_root_certificates() {
    let log = Log::begin();
    let server = Server::https(says("200 OK"));
    let nothing_there = server.environment(&[("SSL_CERT_FILE", "/nonexistent/ca.pem")]);
    fails(&log, "no roots", server.gateway(), nothing_there, "no root certificates", || {});
    assert_eq!(server.connections(), 0);
}

#[test]
fn one_that_is_not_there() {
    let log = Log::begin();
    let trusted = Server::https(says("200 OK"));
    let place = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = place.local_addr().unwrap().port();
    drop(place);
    let gateway = format!("https://127.0.0.1:{port}/?{{query_string}}").parse().unwrap();
    fails(&log, "not there", gateway, trusted.environment(&[]), "no connection", || {});
}

#[test]
fn a_proxy_of_another_kind() {
    let log = Log::begin();
    let server = Server::https(says("200 OK"));
    let socks = server.environment(&[("ALL_PROXY", "socks5://127.0.0.1:9")]);
    fails(&log, "socks proxy", server.gateway_at(NAME), socks, "the proxy", || {});
}

#[test]
fn a_full_queue_drops_what_is_new_and_counts_it() {
    const MORE: u64 = 100;
    let _log = Log::begin();
    let server = Server::https(|stream, _| stream.read(&mut [0]).is_ok_and(|_| false));
    let sender = Sender::new(server.gateway(), server.environment(&[]));
    let taken = (0..QUEUE as u64 + MORE).filter(|_| sender.send(event())).count() as u64;
    let stats = sender.stats();
    assert!(stats.dropped + stats.failed + 1 >= MORE, "one may be on the way: {stats:?}");
    assert_eq!((stats.handed, stats.dropped), (QUEUE as u64 + MORE, QUEUE as u64 + MORE - taken));
    assert_eq!(stats.handed, stats.sent + stats.failed + stats.dropped + stats.waiting);
    assert!(!sender.flush(Duration::ZERO));
    drop(server);
    assert!(sender.flush(HUNG));
    assert_eq!(sender.stats().failed, taken);
}

#[test]
fn an_event_that_makes_no_url_is_one_warning_too() {
    let log = Log::begin();
    let server = Server::http(says("200 OK"));
    let sender = Sender::new(server.gateway(), server.environment(&[]));
    let metrics = [("k".to_owned(), VALUE.repeat(10_000).into())];
    sender.send(UsageEvent::from_metrics(metrics.into()));
    assert!(sender.flush(HUNG));
    assert_eq!(log.at(Level::WARN), ["Unable to emit usage metrics: the event is too large for a URL"]);
    assert_eq!(server.connections(), 0);
}
