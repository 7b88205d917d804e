//! OTLP/gRPC: the table of verdicts.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dagtel_receiver::{Answer as Says, Received, ReceiverOptions, ReceiverThread};

use crate::outbox::{Outbox, done, log_names, play, row, span_names, spans};
use crate::raw::{Answer, GrpcServer};

/// What the tables want: it is sent again and delivered.
const AGAIN: &str = "a+b a+b next | 1 logs, 2 traces | - | -";
/// It is delivered at once.
const TAKEN: &str = "a+b next | 1 logs, 2 traces | - | -";
/// It is never sent again, and kept as a dead letter.
const DEAD: &str = "a+b next | 1 logs | 2 traces refused | a+b";
/// It is halved.
const HALVED: &str = "a+b a b next | 1 logs, 2 traces | - | -";

fn play_all<A: Send>(rows: Vec<(&str, A, &'static str)>, play: impl Fn(A) -> String + Sync) {
    let bad = std::thread::scope(|scope| {
        let play = &play;
        let playing =
            rows.into_iter().map(|(what, answer, wanted)| (what, wanted, scope.spawn(move || play(answer))));
        let playing: Vec<_> = playing.collect();
        println!("answer to the first frame          -> requests | delivered | dropped | dead letters");
        let rows = playing.into_iter().map(|(what, wanted, happened)| {
            row(what, wanted, &happened.join().expect("the row can be played"))
        });
        rows.filter(|good| !good).count()
    });
    assert_eq!(bad, 0, "rows that are not as wanted");
}

#[test]
fn every_status_has_its_verdict_and_the_next_frame_is_delivered() {
    use Answer::{End, GoAway, Http, Http1, Reset, Status, Success};
    let rows = vec![
        ("1 CANCELLED", Status("1", "x"), AGAIN),
        ("4 DEADLINE_EXCEEDED", Status("4", "x"), AGAIN),
        ("10 ABORTED", Status("10", "x"), AGAIN),
        ("11 OUT_OF_RANGE", Status("11", "x"), AGAIN),
        ("14 UNAVAILABLE", Status("14", "x"), AGAIN),
        ("15 DATA_LOSS", Status("15", "x"), AGAIN),
        ("2 UNKNOWN", Status("2", "x"), DEAD),
        ("3 INVALID_ARGUMENT", Status("3", "x"), DEAD),
        ("5 NOT_FOUND", Status("5", "x"), DEAD),
        ("6 ALREADY_EXISTS", Status("6", "x"), DEAD),
        ("7 PERMISSION_DENIED", Status("7", "x"), DEAD),
        ("8 RESOURCE_EXHAUSTED", Status("8", "quota"), DEAD),
        ("9 FAILED_PRECONDITION", Status("9", "x"), DEAD),
        ("12 UNIMPLEMENTED", Status("12", "x"), DEAD),
        ("13 INTERNAL", Status("13", "x"), DEAD),
        ("16 UNAUTHENTICATED", Status("16", "x"), DEAD),
        ("8, too large (Go)", Status("8", "grpc: received message larger than max (5 vs. 4)"), HALVED),
        (
            "11, too large (tonic)",
            Status("11", "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
            HALVED,
        ),
        ("HTTP 502 of a proxy", Http("502"), AGAIN),
        ("HTTP 503 of a proxy", Http("503"), AGAIN),
        ("HTTP 429 of a proxy", Http("429"), AGAIN),
        ("HTTP 401 of a proxy", Http("401"), DEAD),
        ("HTTP 404 of a proxy", Http("404"), DEAD),
        ("success and garbage", Success(vec![0xff; 40]), TAKEN),
        ("an end", End, AGAIN),
        ("GOAWAY, as of one that ends", GoAway(0), AGAIN),
        ("GOAWAY, protocol error", GoAway(1), AGAIN),
        ("GOAWAY, enhance your calm", GoAway(11), AGAIN),
        ("reset, refused stream", Reset(7), AGAIN),
        ("reset, cancel", Reset(8), AGAIN),
        ("reset, internal error", Reset(2), AGAIN),
        ("HTTP/1.1 is spoken there", Http1, "a+b next | 1 logs, 2 traces | - | -"),
    ];
    play_all(rows, |answer| {
        let server = GrpcServer::scripted(vec![answer]);
        play(&server.url(), || server.requests())
    });
}

/// A receiver of this project that gives these answers and then takes everything, and the names in its requests.
fn receiver(answers: Vec<Says>) -> (ReceiverThread, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (seen, script) = (requests.clone(), Mutex::new(VecDeque::from(answers)));
    let sink = move |request: Received| {
        let names = match &request {
            Received::Traces(request) => span_names(request),
            Received::Logs(request) => log_names(request),
            _ => "metrics".to_owned(),
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(names);
        let next = script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.unwrap_or(Says::Accept)
    };
    (ReceiverThread::start(ReceiverOptions::any_port(), sink).expect("loopback has free ports"), requests)
}

#[test]
fn a_real_receivers_answers_have_their_verdicts_by_both_protocols() {
    let message = || "no".to_owned();
    let partial = "a+b next | 1 logs, 1 traces | 1 traces rejected | -";
    let busy = || Says::Busy { retry_after: Duration::from_millis(10) };
    let refuse = || Says::Refuse { message: message() };
    let some = || Says::Partial { rejected: 1, message: message() };
    let warns = || Says::Partial { rejected: 0, message: "slow down".to_owned() };
    let rows = vec![
        ("busy, gRPC", (busy(), true), AGAIN),
        ("busy, HTTP", (busy(), false), AGAIN),
        ("refused, gRPC", (refuse(), true), DEAD),
        ("refused, HTTP", (refuse(), false), DEAD),
        ("partial success, gRPC", (some(), true), partial),
        ("partial success, HTTP", (some(), false), partial),
        ("success and a warning, gRPC", (warns(), true), TAKEN),
        ("success and a warning, HTTP", (warns(), false), TAKEN),
    ];
    play_all(rows, |(answer, grpc)| {
        let (receiver, requests) = receiver(vec![answer]);
        let addr = if grpc { receiver.grpc_addr() } else { receiver.http_addr() };
        let path = if grpc { "" } else { "/" };
        let url = format!("http://{}{path}", addr.expect("it listens for both"));
        play(&url, || requests.lock().unwrap_or_else(PoisonError::into_inner).clone())
    });
}

#[test]
fn a_receiver_that_ends_in_order_is_no_receiver_that_refuses() {
    let server = GrpcServer::scripted(vec![Answer::GoAway(0)]);
    let outbox = Outbox::with(&[spans(&["a"])]);
    let seen = done(&outbox.ship(&[&server.url()]), 1);
    assert_eq!((seen.delivered["traces"], seen.dropped.len()), (1, 0));
}

#[test]
fn a_request_that_tonic_finds_too_large_is_halved_and_not_sent_for_ever() {
    let words = "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes";
    let server = GrpcServer::scripted(vec![Answer::Status("11", words); 2]);
    let outbox = Outbox::with(&[spans(&["a", "b"])]);
    let seen = done(&outbox.ship(&[&server.url()]), 1);
    assert_eq!(
        (server.requests(), seen.delivered["traces"]),
        (vec!["a+b".to_owned(), "a".into(), "b".into()], 1)
    );
}

#[test]
fn a_refused_merge_is_taken_apart_by_grpc_too() {
    let no = || Answer::Status("3", "no");
    let yes = || Answer::Success(Vec::new());
    let server = GrpcServer::scripted(vec![no(), yes(), no(), yes(), yes()]);
    let outbox = Outbox::with(&["1", "poison", "3", "4"].map(|name| spans(&[name])));
    let shipper = outbox.ship(&[&server.url()]);
    let seen = done(&shipper, 4);
    drop(shipper);
    assert_eq!(server.requests(), ["1+poison+3+4", "1", "poison", "3", "4"]);
    assert_eq!((seen.delivered["traces"], outbox.dead()), (3, "poison".to_owned()));
}
