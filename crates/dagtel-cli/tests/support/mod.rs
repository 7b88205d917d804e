//! The binary, run as users run it, in an environment without surprises.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Stands in for the user's state directory, and belongs to this process. No command that is tested with it may use it:
/// it is never there.
pub(crate) fn state_home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("state-{}", std::process::id()))
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dagtel"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "DAGTEL_DEMO_PUBLISH_TO"] {
        command.env_remove(variable);
    }
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    command.env("XDG_STATE_HOME", state_home()).env("DAGTEL_SPOOL_DIR", state_home().join("spool"));
    command
}

pub(crate) fn dagtel<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    end(command().args(arguments))
}

pub(crate) fn end(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    assert!(!state_home().exists(), "{command:?} wrote to the user's state directory");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file of the repository's `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// A recording with this content, which lives as long as what is returned.
pub(crate) fn recording(content: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

/// A recording printed as OTLP JSON.
pub(crate) fn print_json(path: &Path) -> Ended {
    end(command().args(["replay", "--print", "json"]).arg(path))
}

/// The spans in OTLP JSON lines.
pub(crate) fn spans(json_lines: &str) -> Vec<serde_json::Value> {
    let mut spans = Vec::new();
    for line in json_lines.lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        for group in request["resourceSpans"].as_array().into_iter().flatten() {
            for scope in group["scopeSpans"].as_array().into_iter().flatten() {
                spans.extend(scope["spans"].as_array().cloned().unwrap_or_default());
            }
        }
    }
    spans
}

/// The text of a span's attribute.
pub(crate) fn text<'a>(span: &'a serde_json::Value, key: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array()?;
    let found = attributes.iter().find(|attribute| attribute["key"] == key)?;
    found["value"]["stringValue"].as_str()
}

/// A run of one task, as two event lines and two more.
pub(crate) const GOOD: &str = r#"{"event":"dag_run.started","at":1795208627,"dag_id":"good","run_id":"r"}
{"event":"task.started","at":1795208628,"dag_id":"good","run_id":"r","task_id":"t"}
{"event":"task.finished","at":1795208629,"dag_id":"good","run_id":"r","task_id":"t","state":"success"}
{"event":"dag_run.finished","at":1795208630,"dag_id":"good","run_id":"r","state":"success"}
"#;
