//! Start and end of a task as the engine's thread pays for it, beside a span through OpenTelemetry's batch processor.
//!
//! On both sides something works in the background at its normal rhythm: dagtel's drainer every 100 ms, the SDK's
//! whenever 512 spans wait. Three loads:
//! - `paced`: 16 tasks every half millisecond, which is 32 000 a second; nothing is encoded on either side;
//! - `burst`: 2000 tasks without a pause, as many as the SDK's queue takes by default;
//! - `sent`: as paced, but dagtel folds, encodes, sends by gRPC, and a receiver in this process decodes it, all on the
//!   two other threads, while the SDK still exports to nobody. What dagtel does more costs the engine's thread caches
//!   and cores.

use std::time::{Duration, Instant};

use criterion::Criterion;

use crate::ratio::{Table, Target};
use crate::sides::{InMemory, Installed, Sdk, Side};

const CHUNK: usize = 16;
const ROUND: Duration = Duration::from_millis(220);
const BURST: usize = 2000;

/// How the load comes.
#[derive(Clone, Copy)]
struct Pace {
    chunk: usize,
    every: Duration,
}

const PACED: Pace = Pace { chunk: CHUNK, every: Duration::from_micros(500) };

/// Runs tasks at a pace, and says what they cost the thread together. The pauses are spun, not slept: a thread that
/// sleeps loses its core's caches to others, and that would be measured instead.
fn load<S: Side>(side: &S, pace: Pace, tasks: usize) -> Duration {
    let run = side.begin();
    let mut spent = Duration::ZERO;
    let mut done = 0;
    while done < tasks {
        let start = Instant::now();
        let end = tasks.min(done + pace.chunk);
        (done..end).for_each(|n| side.task(&run, n));
        spent += start.elapsed();
        done = end;
        while start.elapsed() < pace.every {
            std::hint::spin_loop();
        }
    }
    side.settle(run, tasks);
    spent
}

fn paced(side: &impl Side) -> f64 {
    let tasks = CHUNK * (ROUND.as_micros() / PACED.every.as_micros()) as usize;
    load(side, PACED, tasks).as_nanos() as f64 / tasks as f64
}

fn burst(side: &impl Side) -> f64 {
    let pace = Pace { chunk: BURST, every: Duration::ZERO };
    load(side, pace, BURST).as_nanos() as f64 / BURST as f64
}

pub(crate) fn criterion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine_thread");
    group.sample_size(10);
    let (ours, theirs) = (InMemory::start(), Sdk::start());
    group.bench_function("dagtel/paced", |b| b.iter_custom(|tasks| load(&ours, PACED, tasks as usize)));
    group.bench_function("sdk/paced", |b| b.iter_custom(|tasks| load(&theirs, PACED, tasks as usize)));
    group.finish();
}

pub(crate) fn table(table: &mut Table) {
    let theirs = Sdk::start();
    let target = Target::Times(1.0);
    let memory = InMemory::start();
    let lost = || note(&memory, &theirs);
    table.compare("engine_thread: paced", target, || paced(&memory), || paced(&theirs), lost);
    table.compare("engine_thread: burst", target, || burst(&memory), || burst(&theirs), lost);
    drop(memory);
    if !table.wants("engine_thread: sent") {
        return;
    }
    let sent = Installed::start();
    let lost = || note(&sent, &theirs);
    table.compare("engine_thread: sent", target, || paced(&sent), || paced(&theirs), lost);
}

fn note(ours: &impl Side, theirs: &impl Side) -> String {
    match (ours.lost(), theirs.lost()) {
        (0, 0) => "nothing dropped".to_owned(),
        (ours, theirs) => format!("DROPPED: dagtel {ours}, peer {theirs}"),
    }
}
