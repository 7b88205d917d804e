//! Connections to a receiver, encrypted or not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::Endpoint;
use crate::tls::{Loaded, TlsFiles};

/// How long a connection may take to come about, without TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes connections to one receiver.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    tls: Option<Arc<Mutex<Loaded>>>,
    heard: Arc<Mutex<Heard>>,
    shows_certificate: bool,
}

/// What the receiver has said on the newest connection, as far as it helps to tell why a request got no answer.
#[derive(Clone, Debug, Default)]
pub(crate) enum Heard {
    /// There is no connection.
    #[default]
    Unconnected,
    /// Not a word.
    Nothing,
    /// It answered in TLS to somebody who did not ask for it.
    TlsAlert,
    /// Something.
    Something,
    /// TLS has ended.
    End(rustls::Error),
}

/// The TLS handshake failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Handshake(#[source] io::Error);

impl Connector {
    /// `protocols`: what is offered by ALPN when the endpoint is encrypted.
    pub(crate) fn new(endpoint: &Endpoint, files: &TlsFiles, protocols: &'static [&'static [u8]]) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        let loaded = || Arc::new(Mutex::new(Loaded::new(files.clone(), protocols)));
        Self {
            tcp,
            tls: endpoint.is_encrypted().then(loaded),
            heard: Arc::default(),
            shows_certificate: files.cert.is_some(),
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn shows_certificate(&self) -> bool {
        self.shows_certificate
    }

    /// Takes it: it explains one failure.
    pub(crate) fn heard(&self) -> Heard {
        std::mem::take(&mut locked(&self.heard))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (tls, heard) = (self.tls.clone(), self.heard.clone());
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        begin(&heard, Heard::Unconnected);
        let connecting = self.tcp.call(to);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            begin(&heard, Heard::Nothing);
            let io: Pin<Box<dyn Io>> = match tls {
                None => Box::pin(tcp),
                Some(tls) => {
                    let config = locked(&tls).current()?;
                    let name = ServerName::try_from(host)?;
                    Box::pin(TlsConnector::from(config).connect(name, tcp).await.map_err(Handshake)?)
                }
            };
            Ok(TokioIo::new(Stream::new(io, heard)))
        })
    }
}

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

/// A connection that notices what is said first, and how it ends.
pub(crate) struct Stream {
    io: Pin<Box<dyn Io>>,
    heard: Arc<Mutex<Heard>>,
    spoken: bool,
    /// Why it takes no more.
    broken: Option<io::Error>,
    /// What was heard since, and is still to be read.
    last_words: Vec<u8>,
}

impl Stream {
    fn new(io: Pin<Box<dyn Io>>, heard: Arc<Mutex<Heard>>) -> Self {
        Self { io, heard, spoken: false, broken: None, last_words: Vec::new() }
    }

    /// Notes how TLS ended: HTTP/2 may tell no more than that the connection is gone.
    fn note(&self, error: &io::Error) {
        if let Some(error) = error.get_ref().and_then(|hidden| hidden.downcast_ref::<rustls::Error>()) {
            *locked(&self.heard) = Heard::End(error.clone());
        }
    }

    /// Writes, unless the connection has broken: then what the receiver said before it left is heard first.
    fn write<T>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.broken.is_none() {
            match ready!(write(self.io.as_mut(), context)) {
                Err(error) => self.broken = Some(error),
                written => return Poll::Ready(written),
            }
        }
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        // Something is there, or about to be: at least the end.
        if ready!(self.as_mut().poll_read(context, &mut buffer)).is_ok() {
            self.last_words = buffer.filled().to_vec();
        }
        let error = self.broken.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
        self.note(&error);
        Poll::Ready(Err(error))
    }
}

/// Why the last connection ended holds until it has been told: tonic makes the next before it tells.
fn begin(heard: &Mutex<Heard>, state: Heard) {
    let mut heard = locked(heard);
    if !matches!(*heard, Heard::End(_)) {
        *heard = state;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.last_words.is_empty() {
            let most = buffer.remaining().min(self.last_words.len());
            buffer.put_slice(&self.last_words.drain(..most).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(self.io.as_mut().poll_read(context, buffer)).inspect_err(|error| self.note(error))?;
        let said = &buffer.filled()[before..];
        if !self.spoken && !said.is_empty() {
            self.spoken = true;
            // A record of TLS: the type `alert`, version 3.
            let alert = said.starts_with(&[21, 3]);
            let heard = if alert { Heard::TlsAlert } else { Heard::Something };
            *locked(&self.heard) = heard;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |io, context| io.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(context, |io, context| io.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |io, context| io.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
