//! A receiver for programs that are not asynchronous: its own thread, its own runtime.

use std::{net::SocketAddr, thread::JoinHandle};

use tokio::{runtime::Builder, sync::oneshot};

use crate::{
    receiver::{BindError, Receiver, ReceiverOptions},
    sink::Sink,
};

/// A running receiver that stops when it is dropped.
///
/// Dropping waits for requests under way, at most [`SHUTDOWN_GRACE`](crate::limits::SHUTDOWN_GRACE), and for a sink
/// that is at work, however long it takes.
#[derive(Debug)]
#[must_use = "the receiver stops as soon as this is dropped"]
pub struct ReceiverThread {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ReceiverThread {
    /// Binds on the calling thread, so that a taken port is an error here, and serves on a new one.
    ///
    /// # Errors
    ///
    /// [`BindError`] when an address or the thread could not be had.
    pub fn start<S: Sink>(options: ReceiverOptions, sink: S) -> Result<Self, BindError> {
        let receiver = Receiver::bind(options)?;
        let (grpc, http) = (receiver.grpc_addr(), receiver.http_addr());
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|source| BindError::Thread { source })?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("dagtel-receiver".to_owned())
            .spawn(move || {
                // Both a sent signal and a dropped sender mean stop. A serving error ends the thread; the sockets
                // close with it, so that senders see a refused connection instead of silence.
                let stop = async { drop(stopped.await) };
                let _ = runtime.block_on(receiver.serve(sink, stop));
            })
            .map_err(|source| BindError::Thread { source })?;
        Ok(Self { grpc, http, stop: Some(stop), thread: Some(thread) })
    }

    /// Where OTLP/gRPC listens, with the real port.
    #[must_use]
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Where OTLP/HTTP listens, with the real port.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Stops now instead of at the drop.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for ReceiverThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was already printed by the panic hook; there is nobody to hand it to.
            let _ = thread.join();
        }
    }
}
