//! OTLP/HTTP: the table of verdicts, and merging.

use std::time::Duration;

use crate::outbox::{HUNG, Outbox, done, log, play, row, spans, told};
use crate::server::{Reply, Server, response, says};

/// Announces more than it says.
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\nconnection: close\r\n\r\n";
const ENDLESS_NO: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
/// `partial_success { rejected: 1, error_message: "no" }`
const PARTIAL: &[u8] = &[0x0a, 0x06, 0x08, 0x01, 0x12, 0x02, b'n', b'o'];

/// What the tables want: it is sent again and delivered.
const AGAIN: &str = "a+b a+b next | 1 logs, 2 traces | - | -";
/// It is delivered at once.
const TAKEN: &str = "a+b next | 1 logs, 2 traces | - | -";
/// It is never sent again, and kept as a dead letter.
const DEAD: &str = "a+b next | 1 logs | 2 traces refused | a+b";

#[test]
fn every_answer_has_its_verdict_and_the_next_frame_is_delivered() {
    let other = Server::scripted(Vec::new());
    let moved = format!("location: {}/v1/traces\r\n", other.url());
    let status = |status: &str| vec![says(status, "", b"")];
    let large = || says("413 Content Too Large", "", b"");
    let ok = || says("200 OK", "", b"");
    let rows: Vec<(&str, Vec<Reply>, &str)> = vec![
        ("429 Retry-After: 1", vec![says("429 Too Many Requests", "retry-after: 1\r\n", b"")], AGAIN),
        ("429", status("429 Too Many Requests"), AGAIN),
        ("502", status("502 Bad Gateway"), AGAIN),
        ("503", status("503 Service Unavailable"), AGAIN),
        ("503 Retry-After: a date", vec![says("503 x", "retry-after: Thu, 01 Jan 1970\r\n", b"")], AGAIN),
        ("504", status("504 Gateway Timeout"), AGAIN),
        ("nothing, and an end", vec![Reply::SaysAndEnds(Vec::new())], AGAIN),
        ("nothing, and a reset", vec![Reply::SaysAndResets(Vec::new())], AGAIN),
        ("half a body, and an end", vec![Reply::SaysAndEnds(HALF.into())], AGAIN),
        ("half a body, and a reset", vec![Reply::SaysAndResets(HALF.into())], AGAIN),
        ("something else than HTTP", vec![Reply::SaysAndEnds(b"SSH-2.0-x\r\n".into())], AGAIN),
        ("400", status("400 Bad Request"), DEAD),
        ("400 and an endless body", vec![Reply::SaysOnAndOn(ENDLESS_NO.into())], DEAD),
        ("401", status("401 Unauthorized"), DEAD),
        ("404", status("404 Not Found"), DEAD),
        ("500", status("500 Internal Server Error"), DEAD),
        ("307 to another host", vec![says("307 Temporary Redirect", &moved, b"")], DEAD),
        ("413, then 200", vec![large()], "a+b a b next | 1 logs, 2 traces | - | -"),
        (
            "413, 413 for the first half",
            vec![large(), large(), ok()],
            "a+b a b next | 1 logs, 1 traces | 1 traces too_large | a",
        ),
        (
            "200 partial success, 1 rejected",
            vec![says("200 OK", "", PARTIAL)],
            "a+b next | 1 logs, 1 traces | 1 traces rejected | -",
        ),
        ("200 and garbage", vec![says("200 OK", "", &[0xff; 40])], TAKEN),
        ("200 and an endless body", vec![Reply::SaysOnAndOn(ENDLESS.into())], TAKEN),
        ("202", status("202 Accepted"), TAKEN),
        ("204", vec![Reply::Says(b"HTTP/1.1 204 No Content\r\n\r\n".into())], TAKEN),
    ];
    let played: Vec<_> = std::thread::scope(|scope| {
        let playing = rows.into_iter().map(|(what, script, wanted)| {
            let happened = scope.spawn(move || {
                let server = Server::scripted(script);
                play(&server.url(), || server.requests())
            });
            (what, wanted, happened)
        });
        let playing: Vec<_> = playing.collect();
        playing.into_iter().map(|(what, wanted, row)| (what, wanted, row.join().unwrap())).collect()
    });
    println!("answer to the first frame          -> requests | delivered | dropped | dead letters");
    let bad = played.iter().filter(|(what, wanted, happened)| !row(what, wanted, happened)).count();
    assert_eq!(bad, 0, "rows that are not as wanted");
    assert_eq!(other.requests(), [""; 0], "a redirect is not followed");
}

#[test]
fn a_receiver_that_says_when_to_come_back_is_left_alone_until_then() {
    // Longer than the first wait can be.
    let server = Server::scripted(vec![says("503 Service Unavailable", "retry-after: 2\r\n", b"")]);
    let outbox = Outbox::with(&[spans(&["a"])]);
    done(&outbox.ship(&[&server.url()]), 1);
    let times = server.times();
    assert!(times[1].duration_since(times[0]) >= Duration::from_secs(2));
}

#[test]
fn four_frames_are_one_request() {
    let server = Server::scripted(Vec::new());
    let frames = ["1", "2", "3", "4", "5"].map(|name| spans(&[name]));
    let outbox = Outbox::with(&frames);
    let seen = done(&outbox.ship(&[&server.url()]), 5);
    assert_eq!(server.requests(), ["1+2+3+4", "5"]);
    assert_eq!((seen.attempts, seen.delivered["traces"]), (2, 5));
}

#[test]
fn a_refused_merge_is_taken_apart_and_only_the_poison_is_dead() {
    for (status, reason) in [("400 Bad Request", "refused"), ("413 Content Too Large", "too_large")] {
        let server = Server::start(move |names| {
            let poisoned = names.contains("poison");
            says(if poisoned { status } else { "200 OK" }, "", b"")
        });
        let outbox = Outbox::with(&["1", "poison", "3", "4"].map(|name| spans(&[name])));
        let shipper = outbox.ship(&[&server.url()]);
        let seen = done(&shipper, 4);
        drop(shipper);
        let happened = told(&server.requests(), &seen, &outbox.dead());
        let wanted = format!("1+poison+3+4 1 poison 3 4 | 3 traces | 1 traces {reason} | poison");
        assert!(row(&format!("{status} for one of four"), &wanted, &happened));
    }
}

#[test]
fn a_poison_frame_delays_the_next_by_one_attempt_and_no_wait() {
    let server = Server::start(|names| {
        let refused = names.starts_with("poison");
        says(if refused { "400 Bad Request" } else { "200 OK" }, "", b"")
    });
    // A log record between them, so that none is merged.
    let frames: Vec<_> =
        (0..5).flat_map(|n| [spans(&[&format!("poison{n}")]), log(&format!("good{n}"))]).collect();
    let seen = done(&Outbox::with(&frames).ship(&[&server.url()]), 10);
    let wanted: Vec<_> = (0..5).flat_map(|n| [format!("poison{n}"), format!("good{n}")]).collect();
    assert_eq!(server.requests(), wanted);
    assert_eq!((seen.delivered["logs"], seen.dropped[&("traces", "refused")]), (5, 5));
}

#[test]
fn one_span_that_is_too_large_is_dead_once_and_holds_nothing_up() {
    let server = Server::scripted(vec![says("413 Content Too Large", "", b"")]);
    let outbox = Outbox::with(&[spans(&["one"]), log("next")]);
    let shipper = outbox.ship(&[&server.url()]);
    let seen = done(&shipper, 2);
    assert!(shipper.stop(HUNG), "nothing is left to send");
    let happened = told(&server.requests(), &seen, &outbox.dead());
    assert!(row("413 for one span", "one next | 1 logs | 1 traces too_large | one", &happened));
    let again = outbox.ship(&[&server.url()]);
    assert!(again.stop(HUNG));
    assert_eq!(server.requests(), ["one", "next"], "what is done with is not sent again");
}

#[test]
fn one_refused_frame_does_not_keep_the_rest_from_being_sent_at_the_end() {
    for reply in [response("400 Bad Request", "", b""), response("200 OK", "", PARTIAL)] {
        let server = Server::start(move |_| Reply::Says(reply.clone()));
        // Of two writers, so that they are not read together.
        let outbox = Outbox::with(&[spans(&["a", "b"])]);
        outbox.add(&[spans(&["c", "d"])]);
        let seen = outbox.ship_to_the_end(&server.url());
        let mut requests = server.requests();
        requests.sort();
        assert_eq!((requests, seen.caught_up), (vec!["a+b".to_owned(), "c+d".to_owned()], true));
    }
}

#[test]
fn a_receiver_that_is_away_is_not_waited_for_at_the_end() {
    let server = Server::start(|_| says("503 Service Unavailable", "retry-after: 300\r\n", b""));
    let outbox = Outbox::with(&[spans(&["a"]), log("b")]);
    let seen = outbox.ship_to_the_end(&server.url());
    assert_eq!((seen.attempts, seen.caught_up, outbox.frames()), (1, false, 2));
}
