//! A receiver that costs the same whoever sends: it reads a gRPC request, answers success, and looks inside only when the
//! clock has stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use dagtel_otlp::capped;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// The windows of HTTP/2 that hyper's servers give by default.
const WINDOW: u32 = 1024 * 1024;
/// Bytes of a request when it is decompressed.
const REQUEST: usize = 64 * 1024 * 1024;

/// Requests, and whether they are of the trace service.
type Bodies = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

/// The receiver, on a thread and with a runtime of its own.
pub(crate) struct Sink {
    address: SocketAddr,
    bodies: Bodies,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What came since it was last asked.
#[derive(Clone, Copy, Default)]
pub(crate) struct Arrived {
    pub(crate) spans: usize,
    pub(crate) requests: usize,
    /// As they came over the wire, the five bytes that gRPC puts before a message included.
    pub(crate) bytes: usize,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = oneshot::channel();
        let bodies = Bodies::default();
        let kept = bodies.clone();
        let thread = thread::spawn(move || {
            runtime.spawn(accept(listener, kept));
            // Whichever way it ends, the receiver ends.
            let _ = runtime.block_on(stopped);
        });
        Self { address, bodies, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decodes what has come, and forgets it.
    pub(crate) fn take(&self) -> Arrived {
        let bodies = std::mem::take(&mut *self.bodies.lock().unwrap_or_else(PoisonError::into_inner));
        let mut arrived = Arrived { requests: bodies.len(), ..Arrived::default() };
        for (traces, body) in bodies {
            arrived.bytes += body.len();
            arrived.spans += if traces { spans(&body) } else { 0 };
        }
        arrived
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(!matches!(ended, Some(Err(_))), "the receiver panicked");
    }
}

async fn accept(listener: TcpListener, bodies: Bodies) {
    while let Ok((socket, _)) = listener.accept().await {
        // As tonic's servers do; else a sender would wait for the delayed acknowledgements of its own kernel.
        socket.set_nodelay(true).expect("a TCP socket");
        tokio::spawn(serve(socket, bodies.clone()));
    }
}

async fn serve(socket: TcpStream, bodies: Bodies) -> Result<(), h2::Error> {
    let mut server = h2::server::Builder::new();
    server.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let mut connection = server.handshake(socket).await?;
    while let Some(request) = connection.accept().await {
        let (request, answer) = request?;
        tokio::spawn(respond(request, answer, bodies.clone()));
    }
    Ok(())
}

/// Reads a request to its end and says that all of it was taken: an empty message with status 0.
async fn respond(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    bodies: Bodies,
) -> Result<(), h2::Error> {
    let traces = request.uri().path().contains("TraceService");
    let (mut body, mut bytes) = (request.into_body(), Vec::new());
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        bytes.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len())?;
    }
    bodies.lock().unwrap_or_else(PoisonError::into_inner).push((traces, bytes));
    let mut head = Response::new(());
    head.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = answer.send_response(head, false)?;
    stream.send_data(Bytes::from_static(&[0; 5]), false)?;
    stream.send_trailers(HeaderMap::from_iter([(
        "grpc-status".parse().expect("a name"),
        HeaderValue::from_static("0"),
    )]))
}

/// The spans of a gRPC message: whether it is compressed u8, its length u32, its bytes.
fn spans(body: &[u8]) -> usize {
    let (compressed, message) = (body[0] == 1, &body[5..]);
    let message =
        if compressed { capped::gunzip(message, REQUEST).expect("whole gzip") } else { message.to_vec() };
    let request = ExportTraceServiceRequest::decode(&*message).expect("a request for spans");
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}
