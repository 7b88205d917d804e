//! `cargo xtask fuzz`: each target of `fuzz/` under libFuzzer for a while.
//!
//! cargo-fuzz is not needed, nor a nightly compiler: libFuzzer wants the coverage instrumentation of LLVM, which the
//! stable compiler has as a pass. Builds, corpora and what was found are kept in the cache, none of it in the source tree.

use crate::{
    cache,
    command::{cargo, output, run_through, tail},
    failure::{Failure, Result, at},
};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    thread,
};

/// How long a target runs by default.
pub(crate) const SECONDS: u64 = 10;
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// What cargo-fuzz passes to the compiler when it is to use no sanitizer
/// (<https://github.com/rust-fuzz/cargo-fuzz>, `project.rs`).
const INSTRUMENTATION: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// Memory beyond which a target has failed, seconds after which one input has, and the longest input.
const BOUNDS: [&str; 3] = ["-rss_limit_mb=256", "-timeout=10", "-max_len=65536"];

/// Large blocks are no part of the heap. Between those of two inputs libFuzzer keeps what it wants to remember, so that the
/// heap grows by a block with each input kept: 250 MiB with a corpus of 1,100, in a target that needs 5.
const LARGE_APART: &str = "glibc.malloc.mmap_threshold=65536";

/// Inputs to begin with, besides those in `fuzz/seeds`.
const FIXTURES: [(&str, &str); 2] =
    [("recording", "tests/fixtures"), ("journal_record", "crates/dagtel-drain/tests/golden")];

/// Builds all targets, then runs as many at a time as there are cores.
pub(crate) fn run(seconds: u64) -> Result<()> {
    let programs = build()?;
    let targets = Mutex::new(targets()?.into_iter());
    let failures = Mutex::new(Vec::new());
    let next = || targets.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(target) = next() {
            if let Err(Failure(message)) = fuzz(&programs, &target, seconds) {
                failures.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() { Ok(()) } else { Err(Failure(failures.join("\n"))) }
}

/// Builds the targets, and says in which directory they are.
fn build() -> Result<PathBuf> {
    let directory = cache::directory("fuzz/target")?;
    // Named, so that build scripts and macros, which run now, are built without the instrumentation.
    let host = host()?;
    let mut build =
        cargo(&["build", "--release", "--manifest-path", MANIFEST, "--target", &host, "--target-dir"]);
    run_through(
        build.arg(&directory).env("RUSTFLAGS", INSTRUMENTATION).env_remove("CARGO_ENCODED_RUSTFLAGS"),
    )?;
    Ok(directory.join(host).join("release"))
}

fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = output(Command::new(rustc).current_dir(crate::source_root()).arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure(format!("rustc does not say for which host it is: {told}")))
}

fn targets() -> Result<Vec<String>> {
    let directory = crate::source_root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&directory).map_err(at("Listing", &directory))?;
    let names = entries.flatten().map(|entry| entry.path()).filter_map(|path| {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        is_rust.then(|| path.file_stem().map(|name| name.to_string_lossy().into_owned()))?
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// Runs one target. What it prints goes to a file, the end of which is shown when something was found.
fn fuzz(programs: &Path, target: &str, seconds: u64) -> Result<()> {
    let home = cache::directory(&format!("fuzz/{target}"))?;
    let [corpus, found, scratch] = ["corpus", "found", "scratch"].map(|name| home.join(name));
    for directory in [&corpus, &found, &scratch] {
        fs::create_dir_all(directory).map_err(at("Making the directory", directory))?;
    }
    let log = home.join("log");
    let file = File::create(&log).map_err(at("Starting the log", &log))?;
    let file_too = file.try_clone().map_err(at("Sharing the log", &log))?;
    let root = crate::source_root();
    let fixtures = FIXTURES.iter().filter(|(name, _)| *name == target).map(|(_, place)| root.join(place));
    let seeds = fixtures.chain([root.join("fuzz/seeds").join(target)]).filter(|place| place.is_dir());
    let mut program = Command::new(programs.join(target));
    program.args(BOUNDS).arg(format!("-max_total_time={seconds}"));
    program.arg(format!("-artifact_prefix={}/", found.display())).arg(&corpus).args(seeds);
    // It ends without cleaning up after itself, and a backtrace would push what was found out of the log's end.
    program.env("TMPDIR", &scratch).env("RUST_BACKTRACE", "0").env("GLIBC_TUNABLES", LARGE_APART);
    program.stdout(file).stderr(file_too);
    let outcome = run_through(&mut program);
    fs::remove_dir_all(&scratch).map_err(at("Clearing", &scratch))?;
    let Err(Failure(message)) = outcome else {
        eprintln!("  {target}: {}", tail(&log).lines().last().unwrap_or_default());
        return Ok(());
    };
    Err(Failure(format!(
        "{target} found something: {message}\n--- the end of {} ---\n{}\nThe input is in {}; the program with it as \
         its argument does it again.",
        log.display(),
        tail(&log),
        found.display()
    )))
}
