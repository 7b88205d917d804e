//! The server: HTTP/1.1 on a thread and a runtime of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::buf::Chain;
use bytes::{Buf as _, Bytes};
use http::header::{ACCEPT, ALLOW, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::Format;
use crate::check::{self, HEALTHZ, READYZ, Refusal};
use crate::limits::{ANSWER_TIMEOUT, HEAD_BUFFER, HEAD_TIMEOUT, HEADERS};
use crate::seats::Seats;
use crate::traffic::{Answered, Traffic};

/// Pause after a failed accept: mostly the process is out of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the server says that it is at work.
const BEAT: Duration = Duration::from_secs(1);
const TEXT: &str = "text/plain; charset=utf-8";

/// A page in two parts, so that the large one which changes less often need not be copied for every answer.
pub type Parts = Chain<Bytes, Bytes>;

/// What a server shows.
pub trait Source: Send + Sync + 'static {
    /// The page of metrics. It is asked for on the server's thread, one page at a time.
    fn page(&self, format: Format) -> Parts;

    /// Whether what the page is about does its work; if not, why.
    ///
    /// # Errors
    /// What is not ready.
    fn ready(&self) -> Result<(), String>;

    /// The server's thread is at work; called about every second, with how late.
    fn beat(&self, late: Duration);
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve /metrics on {address}: {source}; stop what uses the port, or choose another")]
pub struct StartError {
    address: SocketAddr,
    source: io::Error,
}

/// A server on a thread of its own, until it is dropped.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and serves `/metrics`, `/healthz` and `/readyz`. There is no authentication: stay on loopback unless
    /// something else guards the port.
    ///
    /// # Errors
    /// When the address or a thread cannot be had.
    pub fn start(
        address: SocketAddr,
        source: Arc<dyn Source>,
        traffic: Arc<Traffic>,
    ) -> Result<Self, StartError> {
        let start = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let (stop, stopped) = oneshot::channel::<()>();
            let service = Service { source, traffic, seats: Seats::default() };
            let work = move || {
                runtime.block_on(async {
                    tokio::select! {
                        // A dropped sender means the same as one that says stop.
                        _ = stopped => {}
                        () = service.serve(listener) => {}
                    }
                });
            };
            let thread = std::thread::Builder::new().name("dagtel-scrape".into()).spawn(work)?;
            Ok(Self { address: bound, stop: Some(stop), thread: Some(thread) })
        };
        start().map_err(|source| StartError { address, source })
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the panic hook.
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Service {
    source: Arc<dyn Source>,
    traffic: Arc<Traffic>,
    seats: Seats,
}

impl Service {
    async fn serve(self, listener: std::net::TcpListener) {
        // Fails only outside a runtime.
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        let mut due = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {
                    self.source.beat(due.elapsed());
                    due = tokio::time::Instant::now() + BEAT;
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.welcome(stream),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    fn welcome(&self, stream: TcpStream) {
        let id = self.seats.take();
        let service = self.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = service.converse(stream, id) => {}
                () = service.silent(id) => {}
            }
            service.seats.leave(id);
        });
        self.seats.seat(id, task.abort_handle());
    }

    /// Serves a connection to its end. A client that breaks off or writes nonsense concerns nobody else.
    async fn converse(&self, stream: TcpStream, id: u64) {
        let _ = stream.set_nodelay(true);
        let answer = service_fn(|request: Request<Incoming>| async move {
            self.seats.spoke(id);
            Ok::<_, Infallible>(self.answer(&request))
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BUFFER)
            .max_headers(HEADERS);
        let _ = http.serve_connection(TokioIo::new(stream), answer).await;
    }

    /// Completes when the connection has had its time: since its last whole request, or since it was opened.
    async fn silent(&self, id: u64) {
        while let Some(since) = self.seats.since(id) {
            let left = ANSWER_TIMEOUT.saturating_sub(since.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Parts>> {
        let began = Instant::now();
        let (status, kind, body) = match check::check(request) {
            Ok(route) => self.routed(route, request),
            Err(refusal) => self.refused(request, &refusal),
        };
        self.traffic.answered(&Answered {
            method: request.method(),
            handler: check::handler(request),
            status,
            took: began.elapsed(),
            request_bytes: check::length(request),
            response_bytes: body.remaining(),
        });
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status.is_client_error() {
            // What follows on the connection may be the rest of what was refused.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn routed(&self, route: &'static str, request: &Request<Incoming>) -> (StatusCode, &'static str, Parts) {
        match route {
            HEALTHZ => (StatusCode::OK, TEXT, whole("ok\n")),
            READYZ => match self.source.ready() {
                Ok(()) => (StatusCode::OK, TEXT, whole("ready\n")),
                Err(reason) => {
                    self.traffic.failed(route, "not_ready");
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, whole(format!("{reason}\n")))
                }
            },
            _ => {
                let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = Format::asked_for(accept.unwrap_or_default());
                (StatusCode::OK, format.content_type(), self.source.page(format))
            }
        }
    }

    fn refused(&self, request: &Request<Incoming>, refusal: &Refusal) -> (StatusCode, &'static str, Parts) {
        if let Some(route) = check::route(request) {
            self.traffic.failed(route, refusal.error_type);
        }
        (refusal.status, TEXT, whole(format!("{}\n", refusal.message)))
    }
}

fn whole(text: impl Into<Bytes>) -> Parts {
    text.into().chain(Bytes::new())
}
