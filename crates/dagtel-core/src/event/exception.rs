//! Errors, as events carry them.

use std::error::Error;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// An error as OpenTelemetry records it (`specification/trace/exceptions.md`).
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Its type, such as `ValueError` or `std::io::Error`. It becomes `error.type`, so it must be of low cardinality.
    /// Empty when it is not known.
    #[serde(default, rename = "type")]
    #[schemars(with = "String")]
    pub kind: SmolStr,
    /// Its message.
    #[serde(default)]
    #[schemars(with = "String")]
    pub message: SmolStr,
    /// Its stack trace, in the language's own form. Empty when there is none.
    #[serde(default)]
    #[schemars(with = "String")]
    pub stacktrace: SmolStr,
}

impl Exception {
    /// An error of this type with this message.
    pub fn new(kind: impl Into<SmolStr>, message: impl Into<SmolStr>) -> Self {
        Self { kind: kind.into(), message: message.into(), stacktrace: SmolStr::default() }
    }
}

/// A Rust error: the name of its type, its message, and the chain of its sources as the stack trace.
impl<E: Error> From<&E> for Exception {
    fn from(error: &E) -> Self {
        let mut chain = String::new();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push_str("caused by: ");
            chain.push_str(&cause.to_string());
            chain.push('\n');
            source = cause.source();
        }
        let kind = std::any::type_name::<E>();
        Self { kind: kind.into(), message: error.to_string().into(), stacktrace: chain.into() }
    }
}

/// Only a message: the exception has no type, and `error.type` becomes OpenTelemetry's `_OTHER`.
impl From<&str> for Exception {
    fn from(message: &str) -> Self {
        Self::new("", message)
    }
}

impl From<String> for Exception {
    fn from(message: String) -> Self {
        Self::from(message.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_error_keeps_its_type_and_its_sources() {
        let inner = std::io::Error::other("disk on fire");
        let outer = std::io::Error::other(inner);
        let exception = Exception::from(&outer);
        assert_eq!(exception.kind, "std::io::error::Error");
        assert_eq!(exception.message, "disk on fire");
        assert_eq!(Exception::from("plain").kind, "");
    }
}
