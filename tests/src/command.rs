//! The `dagtel` command, as it was built beside the tests.

use std::path::PathBuf;
use std::process::{Command, Output};

/// The command, to be given arguments.
///
/// # Panics
/// When it was not built.
#[track_caller]
pub fn dagtel() -> Command {
    let test = std::env::current_exe().expect("a test knows its own file");
    // Test binaries are in `deps`, beside which the command stands.
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a test is in a target folder");
    let program: PathBuf = folder.join("dagtel");
    assert!(program.exists(), "{} is not there: build it with cargo build -p dagtel-cli", program.display());
    let mut command = Command::new(program);
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").env_remove("OTEL_RESOURCE_ATTRIBUTES");
    // Of the many agents that tests run at a time only one could have the usual port; and heartbeats would take answers
    // that a test prepares for something else.
    command.env("DAGTEL_AGENT_HTTP_SERVER__ON", "false");
    command
}

/// Runs it to its end, which must be a good one, and gives what it printed.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn run(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = dagtel().args(arguments).output().expect("dagtel can be started");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "dagtel {arguments:?} ended with {status}.\n{stdout}\n{stderr}");
    stdout.into_owned()
}

/// A file among the fixtures.
pub fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}
