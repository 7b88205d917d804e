//! Lines that a task logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::value::Attribute;

/// How bad it is, by the lowest number of each of OpenTelemetry's ranges (`logs/data-model.md`, "Field:
/// SeverityNumber").
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "OpenTelemetry has these ranges")]
pub enum Severity {
    /// For who follows every step.
    Trace = 1,
    /// For who looks for a fault.
    Debug = 5,
    /// Something happened.
    #[default]
    Info = 9,
    /// Something should be looked at.
    Warn = 13,
    /// Something went wrong.
    Error = 17,
    /// Something ended because of it.
    Fatal = 21,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// A line that a try logged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "it is told by whoever logs it")]
pub struct LogLine {
    /// How bad it is.
    pub severity: Severity,
    /// The text.
    pub body: SmolStr,
    /// What is known of it, each key once. `host.name` and `process.pid` become the resource of its record.
    pub attributes: Vec<Attribute>,
}
