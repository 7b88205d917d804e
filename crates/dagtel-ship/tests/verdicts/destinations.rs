//! Several destinations from one copy on disk.

use std::net::TcpListener;
use std::sync::Arc;

use dagtel_otlp::Frame;
use dagtel_ship::{Shipper, Status};

use crate::outbox::{HUNG, Outbox, log, spans};
use crate::server::{Reply, Server, says};

/// Frames of one span, none merged with its neighbour, and their names.
fn many() -> (Vec<Frame>, Vec<String>) {
    let names: Vec<_> = (0..20).map(|n| format!("f{n}")).collect();
    let frames = names.iter().enumerate();
    let frames = frames.map(|(n, name)| if n % 2 == 0 { spans(&[name]) } else { log(name) });
    (frames.collect(), names)
}

fn statuses(shipper: &Shipper) -> Vec<Arc<Status>> {
    shipper.destinations().map(|(_, status)| status.clone()).collect()
}

#[test]
fn one_that_is_away_holds_up_no_other_and_gets_everything_when_it_is_back() {
    let place = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = place.local_addr().unwrap();
    drop(place);
    let away = format!("http://{addr}/otlp");
    let well = Server::scripted(Vec::new());
    let (frames, names) = many();
    let outbox = Outbox::with(&frames);
    let shipper = outbox.ship(&[&away, &well.url()]);
    let [first, second] = &statuses(&shipper)[..] else { panic!("there are two") };
    assert!(second.wait_until_reached(20, HUNG));
    assert_eq!(well.requests(), names);
    assert_eq!((first.seen().reached, first.seen().delivered.len()), (0, 0));
    assert_eq!(outbox.frames(), 20, "one destination has none of it yet");
    let back = Server::listen(TcpListener::bind(addr).unwrap(), |_| says("200 OK", "", b""));
    assert!(first.wait_until_reached(20, HUNG));
    assert_eq!(back.requests(), names);
    assert!(shipper.stop(HUNG), "nothing is left to send");
    assert_eq!((outbox.frames(), well.requests().len()), (0, 20), "both are past it");
}

#[test]
fn one_that_hangs_holds_up_no_other() {
    let hung = Server::start(|_| Reply::Hangs);
    let well = Server::scripted(Vec::new());
    let (frames, names) = many();
    let outbox = Outbox::with(&frames);
    let shipper = outbox.ship(&[&hung.url(), &well.url()]);
    let [first, second] = &statuses(&shipper)[..] else { panic!("there are two") };
    hung.wait_for_requests(1);
    assert!(second.wait_until_reached(20, HUNG));
    assert_eq!((well.requests(), first.seen().reached), (names, 0));
    // It has not answered yet, and is not waited for.
    drop(shipper);
    assert_eq!(outbox.frames(), 20);
}

#[test]
fn each_goes_on_where_it_was_after_a_restart() {
    let (slow, well) = (Server::start(|_| says("503 x", "", b"")), Server::scripted(Vec::new()));
    let (frames, names) = many();
    let outbox = Outbox::with(&frames);
    let shipper = outbox.ship(&[&slow.url(), &well.url()]);
    assert!(statuses(&shipper)[1].wait_until_reached(20, HUNG));
    slow.wait_for_requests(1);
    assert!(!shipper.stop(HUNG), "one destination has none of it yet");
    let addr = slow.addr();
    let url = slow.url();
    drop(slow);
    let back = Server::listen(bind_again(addr), |_| says("200 OK", "", b""));
    let shipper = outbox.ship(&[&url, &well.url()]);
    assert!(statuses(&shipper)[0].wait_until_reached(20, HUNG));
    assert!(shipper.stop(HUNG), "nothing is left to send");
    assert_eq!((back.requests(), well.requests()), (names.clone(), names), "each frame once to each");
    assert_eq!(outbox.frames(), 0);
}

#[test]
fn what_one_refuses_another_still_gets() {
    let (strict, well) = (Server::start(|_| says("400 x", "", b"")), Server::scripted(Vec::new()));
    let (frames, names) = many();
    let outbox = Outbox::with(&frames);
    let shipper = outbox.ship(&[&strict.url(), &well.url()]);
    for status in statuses(&shipper) {
        assert!(status.wait_until_reached(20, HUNG));
    }
    drop(shipper);
    assert_eq!((well.requests(), outbox.dead()), (names.clone(), names.join(" ")));
}

/// The server that was there ends on a thread of its own.
fn bind_again(addr: std::net::SocketAddr) -> TcpListener {
    let tries = std::iter::repeat_with(|| TcpListener::bind(addr));
    tries.take(1_000_000).find_map(Result::ok).expect("it is free again")
}
