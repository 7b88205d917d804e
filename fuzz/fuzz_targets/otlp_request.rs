//! The receiver of OTLP over HTTP: every request has one answer, and the receiver is there for the next one.

#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use libfuzzer_sys::fuzz_target;

/// The answers there are: taken, no request, no such place, too large, of a type that is not known.
const ANSWERS: [&str; 5] = ["200", "400", "404", "413", "415"];

static RECEIVER: OnceLock<ReceiverThread> = OnceLock::new();

fn address() -> SocketAddr {
    let start = || {
        let sink = |_: Received| Answer::Accept;
        ReceiverThread::start(ReceiverOptions::any_port(), sink).expect("a free port on loopback")
    };
    RECEIVER.get_or_init(start).http_addr().expect("HTTP is on by default")
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, body)) = data.split_first() else { return };
    let path = ["traces", "metrics", "logs"][usize::from(mode % 3)];
    let kind = ["x-protobuf", "json"][usize::from(mode / 3 % 2)];
    let encoding = ["", "content-encoding: gzip\r\n"][usize::from(mode / 6 % 2)];
    let head = format!(
        "POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/{kind}\r\n\
         {encoding}content-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(address()).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time that is not zero");
    socket.write_all(&[head.as_bytes(), body].concat()).expect("it reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("it answers and closes");
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let told = String::from_utf8_lossy(&answer);
    assert!(ANSWERS.iter().any(|known| Some(known.as_bytes()) == status), "{told}");
    assert!(answer.len() < 4096, "{told}");
});
