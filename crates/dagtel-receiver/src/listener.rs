//! A TCP listener that never holds more than a fixed number of open connections.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Pause after a failed accept: the usual cause is that the process is out of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener whose connections each hold one of a fixed number of seats.
#[derive(Debug)]
pub(crate) struct SeatedListener {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

/// A connection; its seat is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Seated {
    stream: TcpStream,
    _seat: Option<OwnedSemaphorePermit>,
}

impl SeatedListener {
    /// Must be called inside a runtime, because the listener registers with it.
    pub(crate) fn new(listener: std::net::TcpListener, seats: usize) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener)?;
        Ok(Self { listener, seats: Arc::new(Semaphore::new(seats)) })
    }

    async fn next(&self) -> (Seated, SocketAddr) {
        // `acquire_owned` fails only on a closed semaphore, and nobody closes this one.
        let seat = Arc::clone(&self.seats).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Requests are small and answers smaller; waiting to fill a packet only adds delay.
                    let _ = stream.set_nodelay(true);
                    return (Seated { stream, _seat: seat }, peer);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// The connections as the stream that tonic wants.
    pub(crate) fn into_stream(self) -> Incoming {
        let listener = Arc::new(self);
        Incoming { next: next_of(&listener), listener }
    }
}

/// The connections of a [`SeatedListener`], one after the other, without end.
pub(crate) struct Incoming {
    listener: Arc<SeatedListener>,
    next: NextConnection,
}

type NextConnection = Pin<Box<dyn Future<Output = Seated> + Send>>;

fn next_of(listener: &Arc<SeatedListener>) -> NextConnection {
    let listener = Arc::clone(listener);
    Box::pin(async move { listener.next().await.0 })
}

impl Stream for Incoming {
    type Item = io::Result<Seated>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let seated = ready!(self.next.as_mut().poll(cx));
        self.next = next_of(&self.listener);
        Poll::Ready(Some(Ok(seated)))
    }
}

impl axum::serve::Listener for SeatedListener {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected for Seated {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
