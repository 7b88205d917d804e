//! `dagtel demo`: a small DAG of real processes on real files, instrumented like any engine would be.

mod corpus;
mod dag;
mod engine;
mod progress;
mod tasks;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use clap::Args;
use dagtel::core::time::Timestamp;
use dagtel::{DagRun, Dagtel, Report};
use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
use dagtel_ship::Endpoint;

use crate::show::{self, Store};
use crate::{Outcome, terminal};

/// Rows of one metric in the table.
const ROWS: usize = 16;

/// Where to send, and what to work on.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// An OTLP/gRPC receiver to send to; without it the demo receives for itself and shows what came
    #[arg(long, value_name = "URL")]
    endpoint: Option<Endpoint>,
    /// The folder whose files the tasks work on
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// When there are no files to work on, or no port to receive on.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let work = tempdir()?;
    let dag = tasks::dag(&options.dir, work.path())?;
    let store = Arc::new(Mutex::new(Store::default()));
    let receiver = match &options.endpoint {
        Some(_) => None,
        None => Some(receive(store.clone())?),
    };
    let endpoint = match (&options.endpoint, receiver.as_ref().and_then(ReceiverThread::grpc_addr)) {
        (Some(endpoint), _) => endpoint.to_string(),
        (None, Some(addr)) => format!("http://{addr}"),
        (None, None) => anyhow::bail!("the receiver of the demo has no address"),
    };
    let progress = progress::Progress::new(&dag);
    let began = Instant::now();
    let (dagtel, guard) = Dagtel::builder("dagtel-demo")
        .spool(work.path().join("spool"))
        .endpoint(endpoint)
        .listener(progress)
        .install()?;
    let run_id = format!("manual__{}", Timestamp::from(SystemTime::now()));
    let run = dag
        .edges()
        .fold(DagRun::new("demo", run_id).run_type("manual"), |run, (from, to)| run.edge(from, to));
    let trace_id = engine::execute(&dagtel, run, &dag);
    let report = guard.shutdown();
    drop(receiver);
    let seconds = began.elapsed().as_secs_f64();
    Ok(conclude(options, report, &store, trace_id.as_deref(), seconds))
}

fn tempdir() -> anyhow::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("dagtel-demo-")
        .tempdir()
        .map_err(|error| anyhow::anyhow!("no temporary directory could be made: {error}"))
}

fn receive(store: Arc<Mutex<Store>>) -> anyhow::Result<ReceiverThread> {
    let sink = move |request: Received| {
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        match &request {
            Received::Traces(request) => store.add_traces(request),
            Received::Metrics(request) => store.add_metrics(request),
            _ => {}
        }
        Answer::Accept
    };
    Ok(ReceiverThread::start(ReceiverOptions::any_port(), sink)?)
}

fn conclude(
    options: &Options,
    report: Option<Report>,
    store: &Mutex<Store>,
    trace_id: Option<&str>,
    seconds: f64,
) -> Outcome {
    let Some(report) = report else {
        terminal::complain("the thread that sends telemetry died; this is a defect of dagtel");
        return Outcome::Failed;
    };
    if options.endpoint.is_none() {
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let theme = terminal::theme();
        terminal::say(&format!("\n{}\n", show::all_traces(&store, &theme)));
        terminal::say(&show::metric_table(&store, ROWS, &theme));
    }
    let trace = trace_id.unwrap_or("-");
    let (spans, endpoint) = (report.spans, &report.endpoint);
    if report.is_complete() {
        terminal::say(&format!(
            "\n{} spans delivered to {endpoint} in {seconds:.1} s, none lost; trace {trace}\n",
            spans.delivered
        ));
        return Outcome::Ok;
    }
    let reason = report.last_error.as_deref().unwrap_or("it did not answer in time");
    terminal::complain(&format!(
        "the collector at {endpoint} did not take the telemetry: {reason}. {} of {} spans were delivered; the DAG itself \
         ran to its end. Start a collector there, or leave out --endpoint to see the trace here",
        spans.delivered, spans.produced
    ));
    Outcome::Failed
}
