//! The end of a task of Cosmos as the engine's thread pays for it: with usage events by both routes, beside the same
//! end without any. The journal and the outbox are on disk, the gateway answers on loopback.

use std::cell::Cell;
use std::time::{Duration, Instant};

use dagtel::core::catalog::attribute;
use dagtel::core::value::Value;
use dagtel::usage::{Consent, StandardMetrics, UsageOptions};
use dagtel::{Builder, DagRun, Dagtel, TaskInstance};
use dagtel_testkit::gateway::{Server, says};

use crate::ratio::{Table, Target};

/// Tasks of a round: they fit into the queue of the sender.
const TASKS: usize = 200;
const SETTLED: Duration = Duration::from_secs(60);

fn task() -> TaskInstance {
    let task = TaskInstance::new("stg_orders").operator("DbtRunLocalOperator");
    task.operator_module("cosmos.operators.local").attributes([
        (attribute::INVOCATION_MODE, Value::from("dbt_runner")),
        (attribute::PROFILE_STRATEGY, "mapping".into()),
        (attribute::PROFILE_MAPPING_CLASS, "PostgresUserPasswordProfileMapping".into()),
        (attribute::DATABASE, "postgres".into()),
        (attribute::DBT_COMMAND, "run --full-refresh".into()),
        (attribute::INSTALL_DEPS, true.into()),
    ])
}

/// The mean of so many ends, in nanoseconds; keeps the slowest.
fn ends(dagtel: &Dagtel, slowest: &Cell<Duration>) -> f64 {
    let run = dagtel.start(DagRun::new("shop", "1"));
    let handles: Vec<_> = (0..TASKS).map(|_| run.start(task())).collect();
    let mut spent = Duration::ZERO;
    for handle in handles {
        let begin = Instant::now();
        handle.success();
        let took = begin.elapsed();
        spent += took;
        slowest.set(slowest.get().max(took));
    }
    run.success();
    assert!(dagtel.flush(SETTLED), "the gateway takes everything");
    spent.as_nanos() as f64 / TASKS as f64
}

fn reporter(dir: &tempfile::TempDir, change: impl FnOnce(Builder) -> Builder) -> Dagtel {
    change(Dagtel::builder("bench").spool(dir.path())).reporter().expect("the directory is new")
}

pub(crate) fn table(table: &mut Table) {
    let server = Server::http(says("200 OK"));
    let standard = StandardMetrics::new("1.15.1", "3.0.2", "3.11.7");
    // A benchmark in CI is not what is measured.
    let consent = Consent { force_in_ci: true, ..Consent::default() };
    let options = UsageOptions::new(standard).gateway(server.gateway()).collector().consent(consent);
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let with = reporter(&dirs[0], |builder| builder.usage(options));
    let without = reporter(&dirs[1], |builder| builder);
    let (slowest, other) = (Cell::new(Duration::ZERO), Cell::new(Duration::ZERO));
    table.compare(
        "usage: end of a Cosmos task / no events",
        Target::None,
        || ends(&with, &slowest),
        || ends(&without, &other),
        || {
            let stats = with.usage();
            format!(
                "{} events sent, {} dropped; slowest end {:?}, without events {:?}",
                stats.sent,
                stats.dropped,
                slowest.get(),
                other.get()
            )
        },
    );
}
