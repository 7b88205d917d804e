//! A pass of a loop with four steps, beside five spans of OpenTelemetry's SDK.
//!
//! `not told` is what nearly all passes are: the share is as small as can be, and the SDK's sampler drops all. `told`
//! encodes and writes to the outbox on the engine's thread, by one append; the SDK hands five spans to its batch processor,
//! which exports to nobody.

use std::hint::black_box;
use std::time::Instant;

use dagtel::{Dagtel, Worker};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer, TracerProvider as _};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tempfile::TempDir;

use crate::ratio::{Table, Target};
use crate::sides::Sdk;

const STEPS: [&str; 4] = ["executor_heartbeat", "create_dag_runs", "critical_section", "queue"];

struct Ours {
    dagtel: Dagtel,
    _worker: Worker,
    _spool: TempDir,
}

impl Ours {
    fn start(share: f64) -> Self {
        let spool = tempfile::tempdir().expect("a directory for the spool");
        let builder = Dagtel::builder("bench").spool(spool.path()).endpoint("http://127.0.0.1:9");
        let (dagtel, worker) = builder.loop_spans(share).build().expect("an engine");
        Self { dagtel, _worker: worker, _spool: spool }
    }
}

fn pass(dagtel: &Dagtel) {
    let pass = dagtel.triggerer_loop();
    STEPS.into_iter().for_each(|name| drop(pass.step(name)));
}

fn spans<T: Tracer>(tracer: &T)
where
    T::Span: Send + Sync + 'static,
{
    let pass = Context::new().with_span(tracer.start("triggerer.loop"));
    STEPS.into_iter().for_each(|name| tracer.start_with_context(name, &pass).end());
    pass.span().end();
}

fn dropping() -> (SdkTracerProvider, SdkTracer) {
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    let tracer = provider.tracer("bench");
    (provider, tracer)
}

pub(crate) fn table(table: &mut Table) {
    let off = Dagtel::off();
    let (_provider, tracer) = dropping();
    let mut compare = |what: &str, dagtel: &Dagtel| {
        let ours = || per_call(20_000, || pass(black_box(dagtel)));
        table.compare(what, Target::Times(1.0), ours, || per_call(20_000, || spans(&tracer)), String::new);
    };
    compare("loop: off / SDK, sampled out", &off);
    compare("loop: not told / SDK, sampled out", &Ours::start(f64::MIN_POSITIVE).dagtel);
    let (ours, theirs) = (Ours::start(1.0), Sdk::start());
    let told = || per_call(500, || pass(black_box(&ours.dagtel)));
    let batched = || {
        let cost = per_call(500, || spans(theirs.tracer()));
        theirs.flush();
        cost
    };
    let note = || "five spans by one append to disk".to_owned();
    table.compare("loop: told / SDK, batch processor", Target::None, told, batched, note);
}

/// Nanoseconds of a call.
fn per_call(calls: u32, call: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}
