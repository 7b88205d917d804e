//! What ends telemetry.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::Dagtel;
use crate::worker::Report;

/// Ends telemetry when it goes: closes what is open and sends what it can within the builder's deadline.
///
/// Bind it to a name that lives as long as the engine does. `let _ = …` drops it at once.
#[must_use = "telemetry ends when the guard is dropped; bind it to a name that lives as long as the engine"]
#[derive(Debug)]
pub struct Guard {
    pub(crate) dagtel: Dagtel,
    pub(crate) deadline: Duration,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) thread: Option<JoinHandle<Report>>,
}

impl Guard {
    /// Ends telemetry now, and tells what became of everything. `None` when the worker's thread died, or telemetry is off.
    pub fn shutdown(mut self) -> Option<Report> {
        self.end()
    }

    fn end(&mut self) -> Option<Report> {
        let thread = self.thread.take()?;
        if let Some(meters) = self.dagtel.0.as_ref().and_then(|inner| inner.meters.as_ref()) {
            // The last reading; its exporter only writes to the outbox, so this takes no time. Nothing may be read after
            // it, because nobody would send it. A failure is the SDK's own, and logged.
            let _ = meters.shutdown();
        }
        if let Some(stop) = self.stop.take() {
            // An error says that the worker has stopped already.
            let _ = stop.send(());
        }
        if let Some(usage) = self.dagtel.0.as_ref().and_then(|inner| inner.usage.as_ref()) {
            // While the worker sends the rest. What is left then is given up, for nobody keeps it.
            usage.flush(self.deadline);
        }
        thread.join().ok()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}
