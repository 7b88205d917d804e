//! `dagtel replay`: tells recorded runs again, with their recorded times and the same ids; the same recording always
//! gives the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dagtel_core::event::Event;
use dagtel_core::fold::{Fold, Timing};
use dagtel_core::guard;
use dagtel_core::id::RunIds;
use dagtel_core::key::RunKey;
use dagtel_core::signal::{log_records, spans};
use dagtel_core::time::Timestamp;
use dagtel_otlp::{Frame, Identity};
use dagtel_ship::Endpoint;

use crate::recording::{self, Problem};
use crate::{Outcome, terminal};

mod deliver;
mod print;

/// What to replay, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Recordings, as lines of JSON: Airflow's listener hooks, or dagtel's event lines
    #[arg(required = true, value_name = "FILE.jsonl")]
    files: Vec<PathBuf>,
    /// The OTLP/gRPC receiver to send to
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "http://127.0.0.1:4317")]
    endpoint: Endpoint,
    /// Print what would be sent, and send nothing
    #[arg(long, value_enum)]
    print: Option<Form>,
    /// The deployment that the runs belong to; ids depend on it
    #[arg(long, default_value = "default")]
    namespace: String,
    /// `service.name` of the metrics
    #[arg(long, default_value = "dagtel")]
    service_name: String,
}

/// How to print.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Form {
    /// Traces as trees and metrics as a table, for people
    Tree,
    /// OTLP JSON, one request a line
    Json,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(options: &Options) -> anyhow::Result<Outcome> {
    let mut replay = Replay::default();
    for file in &options.files {
        replay.read(file, &options.namespace)?;
    }
    let bad_lines = replay.bad_lines;
    if replay.runs.is_empty() {
        terminal::complain("no run was found in the recording: there is nothing to tell");
        return Ok(Outcome::BadInput);
    }
    let told = replay.tell(&options.service_name);
    let delivered = match options.print {
        Some(Form::Json) => print::json(&told.frames),
        Some(Form::Tree) => print::tree(&told.frames),
        None => deliver::deliver(&told, &options.endpoint)?,
    };
    Ok(match (delivered, bad_lines) {
        (false, _) => Outcome::Failed,
        (true, 0) => Outcome::Ok,
        (true, _) => Outcome::BadInput,
    })
}

/// The runs of the recordings, each with a fold of its own, so that its metrics are its own as well.
#[derive(Default)]
struct Replay {
    runs: BTreeMap<Arc<RunKey>, Recorded>,
    bad_lines: usize,
}

struct Recorded {
    fold: Fold,
    first: Timestamp,
    last: Timestamp,
}

/// Everything that is to be sent.
struct Told {
    frames: Vec<Frame>,
    runs: Vec<(Arc<RunKey>, RunIds)>,
    anomalies: BTreeMap<&'static str, u64>,
}

impl Replay {
    fn read(&mut self, path: &Path, namespace: &str) -> anyhow::Result<()> {
        let shown = path.display();
        let context = |error| anyhow::anyhow!("the recording {shown} cannot be read: {error}");
        let input = BufReader::new(File::open(path).map_err(context)?);
        let (mut events, mut problems) = (Vec::new(), 0);
        let complain = |Problem { line, message }| {
            problems += 1;
            terminal::complain(&format!("{shown}, line {line}: {message}"));
        };
        recording::read(input, namespace, |event| events.push(event), complain).map_err(context)?;
        events.into_iter().for_each(|event| self.apply(event));
        self.bad_lines += problems;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        let (event, found) = guard::admit(event);
        let at = event.event().at;
        let run = self.runs.entry(event.event().run.clone()).or_insert_with(|| Recorded {
            fold: Fold::new(Timestamp::MAX, Timing::new(Duration::ZERO, Duration::ZERO)),
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        });
        run.first = run.first.min(at);
        run.last = run.last.max(at);
        run.fold.found(found);
        run.fold.apply(event);
    }

    fn tell(self, service_name: &str) -> Told {
        let mut told = Told { frames: Vec::new(), runs: Vec::new(), anomalies: BTreeMap::new() };
        let mut all_spans = Vec::new();
        let (mut metrics, mut lines) = (Vec::new(), Vec::new());
        for (key, mut run) in self.runs {
            let ids = RunIds::of(&key);
            all_spans.extend(spans(run.fold.finish()));
            lines.extend(run.fold.take_lines());
            run.fold.start_metrics_at(run.first);
            // Points of a replay are of an instance that no living process is, and always of the same one.
            let identity = Identity::new(service_name, format!("replay-{}", ids.trace_id));
            metrics.extend(dagtel_otlp::metrics(run.fold.metrics(), run.last, &identity));
            for (anomaly, times) in run.fold.anomalies().seen() {
                *told.anomalies.entry(anomaly.as_str()).or_default() += times;
            }
            told.runs.push((key, ids));
        }
        let identity = Identity::new(service_name, "");
        told.frames = dagtel_otlp::traces(all_spans, &identity);
        let records: Vec<_> = log_records(lines).collect();
        told.frames.extend(dagtel_otlp::logs(&records, &identity));
        told.frames.extend(metrics);
        told
    }
}
