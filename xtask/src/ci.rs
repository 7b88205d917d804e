//! `cargo xtask ci`: each check a change must pass, cheap ones first; stops at the first that fails.

use crate::{
    cache::{self, Recipe},
    command::{Job, cargo, on_path, run_through},
    failure::{Failure, Result},
    fuzz, test,
};
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

const CARGO_DENY: &str = "cargo-deny";
const CARGO_DENY_VERSION: &str = "0.20.2";

struct Step {
    name: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: [Step; 6] = [
    Step { name: "format", run: format },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: documentation },
    Step { name: "tests", run: || test::run(&[]) },
    Step { name: "fuzz", run: || fuzz::run(fuzz::SECONDS) },
    Step { name: "dependencies", run: dependencies },
];

pub(crate) fn run() -> Result<()> {
    let mut times = Vec::new();
    let mut failure = None;
    for step in &STEPS {
        eprintln!("== {} ==", step.name);
        let started = Instant::now();
        let outcome = (step.run)();
        times.push(started.elapsed());
        if let Err(Failure(message)) = outcome {
            failure = Some(Failure(format!("The step \"{}\" failed: {message}", step.name)));
            break;
        }
    }
    print_table(&times, failure.is_some());
    failure.map_or(Ok(()), Err)
}

fn print_table(times: &[Duration], failed: bool) {
    eprintln!("\n{:15} {:>8}", "step", "seconds");
    for (index, step) in STEPS.iter().enumerate() {
        let Some(time) = times.get(index) else {
            eprintln!("{:15} {:>8}", step.name, "not run");
            continue;
        };
        let mark = if failed && index + 1 == times.len() { "  FAILED" } else { "" };
        eprintln!("{:15} {:>8.1}{mark}", step.name, time.as_secs_f64());
    }
    eprintln!("{:15} {:>8.1}", "together", times.iter().sum::<Duration>().as_secs_f64());
}

fn format() -> Result<()> {
    run_through(&mut cargo(&["fmt", "--all", "--check"]))?;
    run_through(&mut cargo(&["fmt", "--manifest-path", fuzz::MANIFEST, "--check"]))
}

fn clippy() -> Result<()> {
    run_through(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    run_through(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The checks of cargo-deny that need no network: the advisories are left to where their feed is reachable.
fn dependencies() -> Result<()> {
    let mut deny = Command::new(cargo_deny()?);
    deny.current_dir(crate::source_root()).args(["check", "bans", "licenses", "sources"]);
    run_through(&mut deny)
}

fn cargo_deny() -> Result<PathBuf> {
    if let Some(installed) = on_path(CARGO_DENY) {
        return Ok(installed);
    }
    let recipe = Recipe { name: CARGO_DENY, inputs: &[CARGO_DENY_VERSION], products: &[CARGO_DENY] };
    let home = cache::get_or_build(&recipe, |place| {
        let job =
            Job::start(CARGO_DENY, &format!("building cargo-deny {CARGO_DENY_VERSION}"), "2 to 4 minutes")?;
        let mut install =
            cargo(&["install", CARGO_DENY, "--version", CARGO_DENY_VERSION, "--locked", "--root"]);
        install.arg(&place.scratch).env("CARGO_TARGET_DIR", place.scratch.join("target"));
        job.run("compiling", &mut install)?;
        let binary = place.scratch.join("bin").join(CARGO_DENY);
        std::fs::rename(&binary, place.output.join(CARGO_DENY))
            .map_err(crate::failure::at("Taking the built", &binary))?;
        job.done();
        Ok(())
    })?;
    Ok(home.join(CARGO_DENY))
}
