//! Sending, and saying what became of it.

use std::time::{Duration, Instant};

use dagtel_drain::{Layout, OutboxWriter};
use dagtel_otlp::Signal;
use dagtel_ship::{Destination, Endpoint, Seen, lines};

use super::Told;
use crate::terminal;

/// How long the receiver may take for everything.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is asked how things stand.
const LOOK: Duration = Duration::from_millis(10);
/// How long it may be away altogether.
const ABSENCE: Duration = Duration::from_secs(3);

/// Sends everything, through an outbox as agents and engines do. Returns whether all of it was taken.
pub(super) fn deliver(told: &Told, endpoint: &Endpoint) -> anyhow::Result<bool> {
    let dir = tempfile::Builder::new().prefix("dagtel-replay-").tempdir()?;
    let layout = Layout::new(dir.path());
    let outbox = OutboxWriter::open(&layout)?;
    for frame in &told.frames {
        outbox.append(frame.clone())?;
    }
    outbox.flush()?;
    let seen = send(&layout, endpoint)?;
    if let Some(reason) = trouble(&seen) {
        terminal::complain(&format!(
            "the collector at {endpoint} did not take the replay: {reason}. Start one there, or name another with \
             --endpoint; the recording can be replayed as often as needed"
        ));
        return Ok(false);
    }
    report(told, endpoint);
    Ok(true)
}

fn send(layout: &Layout, endpoint: &Endpoint) -> anyhow::Result<Seen> {
    let destination = Destination::new(endpoint.clone(), endpoint.usual_protocol(), layout.shipped(endpoint));
    let mut lines = lines(&layout.outbox(), &layout.dead_letters(), vec![destination])?;
    let line = lines.swap_remove(0);
    let status = line.status();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // A receiver that is busy is waited for, one that is away for a shorter time.
    let stop = async {
        let began = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let (seen, waited) = (status.seen(), began.elapsed());
            let away = seen.failing.is_some() && seen.delivered.is_empty() && waited >= ABSENCE;
            if seen.caught_up || away || waited >= PATIENCE {
                return Duration::ZERO;
            }
        }
    };
    runtime.block_on(line.run(stop));
    Ok(status.seen())
}

/// Why not everything was taken, if so.
fn trouble(seen: &Seen) -> Option<String> {
    let dropped: u64 = seen.dropped.values().sum();
    if seen.caught_up && dropped == 0 {
        return None;
    }
    let reason = seen.last_error.clone().unwrap_or_else(|| "it did not answer in time".into());
    Some(if dropped > 0 { format!("{dropped} items rejected: {reason}") } else { reason })
}

fn report(told: &Told, endpoint: &Endpoint) {
    let items = |signal| told.frames.iter().filter(|f| f.signal == signal).map(|f| f.items).sum::<usize>();
    let theme = terminal::theme();
    for (run, ids) in &told.runs {
        let (dag_id, run_id) = (theme.clean(&run.dag_id), theme.clean(&run.run_id));
        terminal::say(&format!("trace {}  {dag_id} / {run_id}\n", ids.trace_id));
    }
    let (spans, points, lines) = (items(Signal::Traces), items(Signal::Metrics), items(Signal::Logs));
    let lines = if lines > 0 { format!(" and {lines} log records") } else { String::new() };
    terminal::say(&format!("delivered {spans} spans and {points} metric points{lines} to {endpoint}\n"));
    for (anomaly, times) in &told.anomalies {
        terminal::note(&format!("note: {times} x {anomaly}"));
    }
}
