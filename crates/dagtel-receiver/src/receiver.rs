//! Binding the two sockets and serving them until told to stop.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use tokio::sync::{Semaphore, watch};
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::{
    grpc, http,
    limits::{MAX_CONNECTIONS, MAX_IN_FLIGHT, REQUEST_TIMEOUT, SHUTDOWN_GRACE, SHUTDOWN_LINGER, WINDOW},
    listener::SeatedListener,
    sink::Sink,
};

/// Where to listen. The receiver has no authentication and no TLS: stay on loopback unless something else guards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiverOptions {
    /// Address for OTLP/gRPC, usually port 4317; `None` leaves gRPC out.
    pub grpc: Option<SocketAddr>,
    /// Address for OTLP/HTTP, usually port 4318; `None` leaves HTTP out.
    pub http: Option<SocketAddr>,
}

impl ReceiverOptions {
    /// Both transports on 127.0.0.1, each on a free port of the system's choice.
    #[must_use]
    pub fn any_port() -> Self {
        Self::loopback(0, 0)
    }

    /// Both transports on 127.0.0.1 on these ports; 0 means any free one.
    #[must_use]
    pub fn loopback(grpc_port: u16, http_port: u16) -> Self {
        let at = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self { grpc: at(grpc_port), http: at(http_port) }
    }
}

/// Why a receiver could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Neither transport was asked for.
    #[error("the receiver has no address; give one for gRPC, for HTTP, or for both")]
    NoAddress,
    /// An address could not be had.
    #[error(
        "cannot listen for OTLP/{transport} on {addr}: {source}; stop what uses the address or choose another"
    )]
    Address {
        /// `gRPC` or `HTTP`.
        transport: &'static str,
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread or the runtime for a receiver of its own could not be made.
    #[error("cannot start the receiver's thread: {source}; check the limits on threads and open files")]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// Why serving ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A bound socket could not be handed to the runtime.
    #[error("cannot serve OTLP/{transport}: {source}; check the limit on open files")]
    Socket {
        /// `gRPC` or `HTTP`.
        transport: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The gRPC server gave up.
    #[error("the OTLP/gRPC server stopped: {source}")]
    Grpc {
        /// What tonic said.
        source: tonic::transport::Error,
    },
}

/// A receiver whose sockets are bound and which answers nobody yet.
///
/// Connections that come before [`serve`](Receiver::serve) wait in the system's queue.
#[derive(Debug)]
pub struct Receiver {
    grpc: Option<Bound>,
    http: Option<Bound>,
}

#[derive(Debug)]
struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Receiver {
    /// Takes the addresses. A port that is in use is an error here, not later.
    ///
    /// # Errors
    ///
    /// [`BindError`] when no address was given or one could not be had.
    pub fn bind(options: ReceiverOptions) -> Result<Self, BindError> {
        if options.grpc.is_none() && options.http.is_none() {
            return Err(BindError::NoAddress);
        }
        let grpc = options.grpc.map(|addr| Bound::new("gRPC", addr)).transpose()?;
        let http = options.http.map(|addr| Bound::new("HTTP", addr)).transpose()?;
        Ok(Self { grpc, http })
    }

    /// Where OTLP/gRPC listens, with the real port.
    #[must_use]
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|bound| bound.addr)
    }

    /// Where OTLP/HTTP listens, with the real port.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|bound| bound.addr)
    }

    /// Serves both transports into `sink` until `stop` completes.
    ///
    /// The sockets close at that moment and requests under way get [`SHUTDOWN_GRACE`] to finish. A connection whose
    /// client holds on for longer lives until the runtime ends.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when a transport ends by itself; the other one is stopped then.
    pub async fn serve<S, F>(self, sink: S, stop: F) -> Result<(), ServeError>
    where
        S: Sink,
        F: Future<Output = ()>,
    {
        let sink: Arc<dyn Sink> = Arc::new(sink);
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let (stopper, stopped) = watch::channel(());
        let grpc = serve_grpc(self.grpc, Arc::clone(&sink), Arc::clone(&in_flight), stopped.clone());
        let http = serve_http(self.http, sink, Arc::clone(&in_flight), stopped);
        let both = async { tokio::try_join!(grpc, http).map(|_| ()) };
        tokio::pin!(both);
        tokio::select! {
            ended = &mut both => return ended,
            () = stop => {}
        }
        drop(stopper);
        tokio::select! {
            ended = both => ended,
            _ = tokio::time::timeout(SHUTDOWN_GRACE, quiet(&in_flight)) => Ok(()),
        }
    }
}

/// Completes when no request is under way and the last answers had time to leave. A connection that is merely open
/// is not waited for: its client may never say goodbye.
async fn quiet(in_flight: &Semaphore) {
    let all = u32::try_from(MAX_IN_FLIGHT).unwrap_or(u32::MAX);
    // Fails only on a closed semaphore, and nobody closes this one.
    let _every_place = in_flight.acquire_many(all).await;
    tokio::time::sleep(SHUTDOWN_LINGER).await;
}

impl Bound {
    fn new(transport: &'static str, addr: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let listener = TcpListener::bind(addr)?;
            listener.set_nonblocking(true)?;
            let addr = listener.local_addr()?;
            Ok(Self { listener, addr })
        };
        bind().map_err(|source| BindError::Address { transport, addr, source })
    }

    fn seated(self, transport: &'static str) -> Result<SeatedListener, ServeError> {
        SeatedListener::new(self.listener, MAX_CONNECTIONS)
            .map_err(|source| ServeError::Socket { transport, source })
    }
}

async fn serve_grpc(
    bound: Option<Bound>,
    sink: Arc<dyn Sink>,
    in_flight: Arc<Semaphore>,
    stopped: watch::Receiver<()>,
) -> Result<(), ServeError> {
    let Some(bound) = bound else { return Ok(()) };
    let incoming = bound.seated("gRPC")?.into_stream();
    tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .timeout(REQUEST_TIMEOUT)
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(in_flight))
        .add_routes(grpc::routes(sink))
        .serve_with_incoming_shutdown(incoming, closed(stopped))
        .await
        .map_err(|source| ServeError::Grpc { source })
}

async fn serve_http(
    bound: Option<Bound>,
    sink: Arc<dyn Sink>,
    in_flight: Arc<Semaphore>,
    stopped: watch::Receiver<()>,
) -> Result<(), ServeError> {
    let Some(bound) = bound else { return Ok(()) };
    let listener = bound.seated("HTTP")?;
    let routes = http::routes(sink).layer(GlobalConcurrencyLimitLayer::with_semaphore(in_flight));
    axum::serve(listener, routes)
        .with_graceful_shutdown(closed(stopped))
        .await
        .map_err(|source| ServeError::Socket { transport: "HTTP", source })
}

/// Completes when the other end is dropped.
async fn closed(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}
