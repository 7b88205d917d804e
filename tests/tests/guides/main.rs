//! Every block of every guide in `docs/guides` is run: shell blocks in order, as a reader would paste them into one
//! terminal; files that a guide shows are written and used; Rust is compiled and run with the documentation of the crate
//! `dagtel`. A block that would not be run is an error.
//!
//! What the words behind a fence mean:
//!
//! | fence | what becomes of the block |
//! |---|---|
//! | `sh` | it is run, and every command must succeed |
//! | `sh fails`, `sh real fails` | it is run, and its last command must fail |
//! | `sh real` | it is run where the real collector, Jaeger and Prometheus are (`cargo xtask test`) |
//! | `sh kafka` | the same, with Kafka's programs |
//! | `sh opentelemetry-python` | the same, with a Python that has OpenTelemetry's SDK |
//! | `sh slow` | it is run in the long class (`RUN_SLOW_TESTS=1`) |
//! | `text` | it must be in what the blocks before it print, but for figures |
//! | `crontab` | the commands of its lines are run, with the environment that cron gives |
//! | any language with `file=NAME` | it is written to this file, which a later block must use |
//! | `rust` | it is an example of the documentation, and run as one |

mod markdown;
mod output;
mod play;
mod terminal;

use play::play;

macro_rules! guides {
    ($($test:ident: $file:literal;)*) => {
        const ALL: &[&str] = &[$($file),*];
        $(
            #[test]
            fn $test() {
                play($file);
            }
        )*
    };
}

guides! {
    first_trace: "first-trace.md";
    rust_engine: "rust-engine.md";
    shell_and_cron: "shell-and-cron.md";
    inside_a_task: "inside-a-task.md";
    cardinality: "cardinality.md";
    collector: "collector.md";
    from_statsd: "from-statsd.md";
    usage_events: "usage-events.md";
}

#[test]
fn every_guide_is_here() {
    let mut there: Vec<_> = std::fs::read_dir(markdown::directory())
        .expect("the directory is there")
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("it is text"))
        .collect();
    there.sort();
    let mut here: Vec<_> = ALL.iter().map(|name| (*name).to_owned()).collect();
    here.sort();
    assert_eq!(there, here, "name each guide once in tests/tests/guides/main.rs");
}
