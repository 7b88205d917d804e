//! Sending, and saying what became of it.

use std::time::Duration;

use dagtel_otlp::{Frame, Signal};
use dagtel_ship::{Endpoint, Exporter, Verdict};

use super::Told;
use crate::terminal;

/// Attempts for each request, and the wait between them.
const ATTEMPTS: u32 = 4;
const WAIT: Duration = Duration::from_millis(250);

/// Sends everything. Returns whether all of it was taken.
pub(super) fn deliver(told: &Told, endpoint: &Endpoint) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let sent = runtime.block_on(async {
        let mut exporter = Exporter::new(endpoint.clone(), endpoint.usual_protocol());
        for frame in &told.frames {
            send(&mut exporter, frame).await?;
        }
        Ok::<(), String>(())
    });
    let items = |signal| told.frames.iter().filter(|f| f.signal == signal).map(|f| f.items).sum::<usize>();
    match sent {
        Ok(()) => {
            let theme = terminal::theme();
            for (run, ids) in &told.runs {
                let (dag_id, run_id) = (theme.clean(&run.dag_id), theme.clean(&run.run_id));
                terminal::say(&format!("trace {}  {dag_id} / {run_id}\n", ids.trace_id));
            }
            terminal::say(&format!(
                "delivered {} spans and {} metric points to {endpoint}\n",
                items(Signal::Traces),
                items(Signal::Metrics)
            ));
        }
        Err(reason) => {
            terminal::complain(&format!(
                "the collector at {endpoint} did not take the replay: {reason}. Start one there, or name another with \
                 --endpoint; the recording can be replayed as often as needed"
            ));
            return Ok(false);
        }
    }
    for (anomaly, times) in &told.anomalies {
        terminal::note(&format!("note: {times} x {anomaly}"));
    }
    Ok(true)
}

async fn send(exporter: &mut Exporter, frame: &Frame) -> Result<(), String> {
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(WAIT).await;
        }
        match exporter.send_frame(frame.clone()).await {
            Verdict::Accepted => return Ok(()),
            Verdict::Partial { rejected, reason } => {
                return Err(format!("{rejected} items rejected: {reason}"));
            }
            Verdict::Retry { reason, .. } => last = reason,
            Verdict::TooLarge { reason } | Verdict::Refused { reason } => return Err(reason),
        }
    }
    Err(last)
}
