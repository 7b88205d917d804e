//! An HTTP server whose answers are scripted bytes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use dagtel_otlp::{Signal, capped};

use crate::outbox::{HUNG, names};

/// What the server does once it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Writes this and goes on.
    Says(Vec<u8>),
    /// Writes this and closes the connection.
    SaysAndEnds(Vec<u8>),
    /// Writes this and resets the connection.
    SaysAndResets(Vec<u8>),
    /// Writes this and then zeros until nobody wants any more.
    SaysOnAndOn(Vec<u8>),
    /// Says nothing until the server ends.
    Hangs,
}

/// A status with headers (each with its line end) and a body.
pub(crate) fn says(status: &str, headers: &str, body: &[u8]) -> Reply {
    Reply::Says(response(status, headers, body))
}

pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

type Script = dyn FnMut(&str) -> Reply + Send;

/// A running server. It ends when it is dropped.
pub(crate) struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
}

struct State {
    script: Box<Script>,
    requests: Vec<(String, Instant)>,
    connections: Vec<Weak<TcpStream>>,
}

impl Server {
    /// That gives these answers, and then 200 for ever.
    pub(crate) fn scripted(answers: Vec<Reply>) -> Self {
        let mut answers = answers.into_iter();
        Self::start(move |_| answers.next().unwrap_or_else(|| says("200 OK", "", b"")))
    }

    /// That answers by the names in each request.
    pub(crate) fn start(script: impl FnMut(&str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        Self::listen(listener, script)
    }

    pub(crate) fn listen(listener: TcpListener, script: impl FnMut(&str) -> Reply + Send + 'static) -> Self {
        let addr = listener.local_addr().expect("it is bound");
        let state = State { script: Box::new(script), requests: Vec::new(), connections: Vec::new() };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), ended: false.into() });
        let server = Self { addr, shared: shared.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (stream, shared) = (Arc::new(stream), shared.clone());
                shared.lock().connections.push(Arc::downgrade(&stream));
                // An error is a client that went away.
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        server
    }

    /// As an OTLP/HTTP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/otlp", self.addr)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The names in each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.iter().map(|(names, _)| names.clone()).collect()
    }

    /// When each request came.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.shared.lock().requests.iter().map(|(_, time)| *time).collect()
    }

    /// Waits until this many requests came.
    pub(crate) fn wait_for_requests(&self, wanted: usize) {
        let fewer = |state: &mut State| state.requests.len() < wanted;
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), HUNG, fewer);
        let (state, out_of_time) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!out_of_time.timed_out(), "only {} requests came", state.requests.len());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for connection in self.shared.lock().connections.iter().filter_map(Weak::upgrade) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let names = read_request(&mut reader)?;
            let mut state = self.lock();
            let reply = (state.script)(&names);
            state.requests.push((names, Instant::now()));
            self.changed.notify_all();
            match reply {
                Reply::Says(bytes) => stream.write_all(&bytes)?,
                Reply::SaysAndEnds(bytes) => {
                    stream.write_all(&bytes)?;
                    return stream.shutdown(Shutdown::Both);
                }
                Reply::SaysAndResets(bytes) => {
                    stream.write_all(&bytes)?;
                    // Closing it is a reset now, instead of an end.
                    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
                    return Ok(());
                }
                Reply::SaysOnAndOn(bytes) => {
                    drop(state);
                    stream.write_all(&bytes)?;
                    loop {
                        stream.write_all(&[0; 4096])?;
                    }
                }
                Reply::Hangs => {
                    let ended = |_: &mut State| !self.ended.load(Ordering::Relaxed);
                    drop(self.changed.wait_while(state, ended));
                    return Ok(());
                }
            }
        }
    }
}

/// Reads a request as the exporter writes it, and gives the names in it.
fn read_request(reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    let (mut length, mut signal, mut line) = (0, None, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.trim_end().to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        } else if let Some(path) = lower.strip_prefix("post /otlp/v1/") {
            let all = [Signal::Traces, Signal::Metrics, Signal::Logs];
            signal = all.into_iter().find(|signal| path.starts_with(signal.as_str()));
        } else if lower.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = capped::gunzip(&body, 1 << 20).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(names(signal.ok_or(io::ErrorKind::InvalidData)?, &body))
}
