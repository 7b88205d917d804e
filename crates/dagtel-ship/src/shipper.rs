//! The shipper: lines to destinations, each on a thread with a runtime of its own.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::Line;
use crate::status::Status;

/// Runs lines, a thread each. Dropping it stops them at once; what is not sent stays in the outbox.
#[derive(Debug)]
pub struct Shipper(Vec<Shipping>);

#[derive(Debug)]
struct Shipping {
    name: String,
    status: Arc<Status>,
    wake: Arc<Notify>,
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts them.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be had.
    pub fn start(lines: Vec<Line>) -> io::Result<Self> {
        lines.into_iter().map(Shipping::start).collect::<io::Result<_>>().map(Self)
    }

    /// Says that something was put into the outbox.
    pub fn wake(&self) {
        self.0.iter().for_each(|shipping| shipping.wake.notify_one());
    }

    /// How each destination fares, by its address.
    pub fn destinations(&self) -> impl Iterator<Item = (&str, &Arc<Status>)> {
        self.0.iter().map(|shipping| (&*shipping.name, &shipping.status))
    }

    /// Sends what is there, for at most `deadline`, and ends. Returns whether nothing is left.
    pub fn stop(mut self, deadline: Duration) -> bool {
        self.end(deadline);
        self.0.iter().all(|shipping| shipping.status.seen().caught_up)
    }

    fn end(&mut self, deadline: Duration) {
        for shipping in &mut self.0 {
            if let Some(stop) = shipping.stop.take() {
                // An error says that it has ended already.
                let _ = stop.send(deadline);
            }
        }
        for thread in self.0.iter_mut().filter_map(|shipping| shipping.thread.take()) {
            // A panic was printed by the panic hook; what was not sent stays in the outbox.
            let _ = thread.join();
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Shipping {
    fn start(line: Line) -> io::Result<Self> {
        let (name, status, wake) = (line.receiver().to_string(), line.status(), line.waker());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let work = move || runtime.block_on(line.run(async { stopped.await.unwrap_or(Duration::ZERO) }));
        let thread = std::thread::Builder::new().name("dagtel-ship".into()).spawn(work)?;
        Ok(Self { name, status, wake, stop: Some(stop), thread: Some(thread) })
    }
}
