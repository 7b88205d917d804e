//! A gRPC server that is scripted frame by frame of HTTP/2 (RFC 9113), which no library would let it be.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dagtel_otlp::capped;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::outbox::{log_names, span_names};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A gRPC status and its message.
    Status(&'static str, &'static str),
    /// An HTTP status alone, as of a proxy in between.
    Http(&'static str),
    /// A success with these bytes for a message.
    Success(Vec<u8>),
    /// The stream is reset, by this code of HTTP/2.
    Reset(u32),
    /// The connection is given up, by this code of HTTP/2; no stream was looked at.
    GoAway(u32),
    /// The connection ends.
    End,
    /// The connection turns out to be none of HTTP/2.
    Http1,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct GrpcServer {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    script: VecDeque<Answer>,
    requests: Vec<String>,
}

impl GrpcServer {
    /// That gives these answers, and then takes everything.
    pub(crate) fn scripted(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let addr = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State { script: script.into(), requests: Vec::new() }));
        let shared = state.clone();
        // Until the test binary ends; each connection until its client does.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { addr, state }
    }

    /// As an OTLP/gRPC endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The names in each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    // The client's preface.
    stream.read_exact(&mut [0; 24])?;
    let http1 = matches!(lock(state).script.front(), Some(Answer::Http1));
    if http1 {
        lock(state).script.pop_front();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
        return stream.shutdown(Shutdown::Write);
    }
    write_frame(stream, SETTINGS, 0, 0, &[])?;
    let mut body = Vec::new();
    loop {
        let (kind, flags, id, payload) = read_frame(stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => write_frame(stream, SETTINGS, ACK, 0, &[])?,
            DATA => body.extend_from_slice(&payload),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            let names = names(&std::mem::take(&mut body)).ok_or(io::ErrorKind::InvalidData)?;
            let mut state = lock(state);
            state.requests.push(names);
            let answer = state.script.pop_front().unwrap_or(Answer::Success(Vec::new()));
            drop(state);
            reply(stream, id, &answer)?;
        }
    }
}

fn reply(stream: &TcpStream, id: u32, answer: &Answer) -> io::Result<()> {
    let kind = ("content-type", "application/grpc");
    let last = END_HEADERS | END_STREAM;
    match answer {
        Answer::Status(code, message) => {
            let fields =
                fields(&[(":status", "200"), kind, ("grpc-status", code), ("grpc-message", message)]);
            write_frame(stream, HEADERS, last, id, &fields)
        }
        Answer::Http(status) => write_frame(stream, HEADERS, last, id, &fields(&[(":status", status)])),
        Answer::Success(message) => {
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
            write_frame(stream, HEADERS, END_HEADERS, id, &fields(&[(":status", "200"), kind]))?;
            write_frame(stream, DATA, 0, id, &[&[0], &length[..], message].concat())?;
            write_frame(stream, HEADERS, last, id, &fields(&[("grpc-status", "0")]))
        }
        Answer::Reset(code) => write_frame(stream, RESET, 0, id, &code.to_be_bytes()),
        Answer::GoAway(code) => {
            write_frame(stream, GO_AWAY, 0, 0, &[0u32.to_be_bytes(), code.to_be_bytes()].concat())?;
            stream.shutdown(Shutdown::Write)
        }
        Answer::End | Answer::Http1 => stream.shutdown(Shutdown::Both),
    }
}

/// Header fields as HPACK literals (RFC 7541, section 6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or(0)], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

fn write_frame(mut stream: &TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    stream.write_all(&[&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat())
}

fn read_frame(mut stream: &TcpStream) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload)?;
    Ok((kind, flags, u32::from_be_bytes(id), payload))
}

/// The names in a gRPC message. What is no request of spans is one of log records.
fn names(message: &[u8]) -> Option<String> {
    let (head, compressed) = message.split_first_chunk::<5>()?;
    let body = if head[0] == 1 { capped::gunzip(compressed, 1 << 20).ok()? } else { compressed.to_vec() };
    match ExportTraceServiceRequest::decode(&*body) {
        Ok(request) => Some(span_names(&request)),
        Err(_) => Some(log_names(&ExportLogsServiceRequest::decode(&*body).ok()?)),
    }
}
