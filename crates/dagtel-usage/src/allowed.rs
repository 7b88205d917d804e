//! What may be in an event: which metrics, and of which shape their values must be.
//!
//! The original sends whatever it is given. Here a value that is not of its metric's shape is left out, so that a
//! path, a password or a message cannot travel as, say, the name of a database.

use crate::json::Value;
use crate::{NotSent, UsageEvent};

/// What a value must look like. `None` is fine everywhere.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// True or false.
    Flag,
    /// An integer that is not negative.
    Count,
    /// A float that is not negative.
    Seconds,
    /// A word of lower-case letters, digits, `_` and `-`.
    Name,
    /// A name of a class: letters, digits and `_`.
    Class,
    /// A version, a system or a machine: also `.`, `+`, and `%` from quoting.
    Version,
    /// Hexadecimal digits.
    Hash,
    /// dbt's own words and names of flags, with a blank between.
    Command,
}

/// Every metric that is ever sent.
const METRICS: [(&str, Shape); 33] = [
    ("cosmos_version", Shape::Version),
    ("airflow_version", Shape::Version),
    ("python_version", Shape::Version),
    ("platform_system", Shape::Version),
    ("platform_machine", Shape::Version),
    ("dag_hash", Shape::Hash),
    ("status", Shape::Name),
    ("task_count", Shape::Count),
    ("cosmos_task_count", Shape::Count),
    ("execution_modes", Shape::Name),
    ("used_automatic_load_mode", Shape::Flag),
    ("invocation_mode", Shape::Name),
    ("install_deps", Shape::Flag),
    ("uses_node_converter", Shape::Flag),
    ("test_behavior", Shape::Name),
    ("source_behavior", Shape::Name),
    ("actual_load_mode", Shape::Name),
    ("total_dbt_models", Shape::Count),
    ("selected_dbt_models", Shape::Count),
    ("profile_strategy", Shape::Name),
    ("profile_mapping_class", Shape::Class),
    ("database", Shape::Name),
    ("operator_name", Shape::Class),
    ("is_cosmos_operator_subclass", Shape::Flag),
    ("execution_mode", Shape::Name),
    ("is_mapped_task", Shape::Flag),
    ("dbt_command", Shape::Command),
    ("has_callback", Shape::Flag),
    ("duration", Shape::Seconds),
    ("storage_type", Shape::Name),
    ("docs_dir_configured", Shape::Flag),
    ("uses_custom_conn", Shape::Flag),
    ("has_custom_name", Shape::Flag),
];

/// The metrics of [`METRICS`] that the compressed metadata of a DAG may bring, in the original's order.
const METADATA: [&str; 12] = [
    "used_automatic_load_mode",
    "invocation_mode",
    "install_deps",
    "uses_node_converter",
    "test_behavior",
    "source_behavior",
    "actual_load_mode",
    "total_dbt_models",
    "selected_dbt_models",
    "profile_strategy",
    "profile_mapping_class",
    "database",
];

/// The words of dbt's command line that say what is done. Everything else on it may be the user's.
const DBT_WORDS: [&str; 22] = [
    "build",
    "clean",
    "clone",
    "compile",
    "debug",
    "deps",
    "docs",
    "freshness",
    "generate",
    "init",
    "list",
    "ls",
    "parse",
    "retry",
    "run",
    "run-operation",
    "seed",
    "serve",
    "show",
    "snapshot",
    "source",
    "test",
];

/// Longest text of the shapes that have no list.
const LONGEST: usize = 200;

/// The names of all metrics that may be sent.
pub fn metrics() -> impl Iterator<Item = &'static str> {
    METRICS.iter().map(|(name, _)| *name)
}

/// Leaves out of the event what is not allowed. Returns the names of what went.
///
/// # Errors
///
/// When the type of the event itself is no word.
pub fn keep_allowed(event: &mut UsageEvent) -> Result<Vec<String>, NotSent> {
    if event.event_type.is_empty() || !is_name(&event.event_type) {
        return Err(NotSent::EventType);
    }
    let mut gone = Vec::new();
    event.metrics.retain(|name, value| {
        let keep = METRICS.iter().any(|(allowed, shape)| allowed == name && shape.fits(value));
        if !keep {
            gone.push(name.clone());
        }
        keep
    });
    Ok(gone)
}

/// Whether the compressed metadata may bring this metric.
pub(crate) fn is_metadata(name: &str) -> bool {
    METADATA.contains(&name)
}

/// What of a dbt command line may be sent: dbt's own words, and flags without their values.
pub(crate) fn dbt_command<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let words = words.into_iter().flat_map(str::split_whitespace);
    let words = words.map(|word| word.split('=').next().unwrap_or_default());
    let kept: Vec<&str> = words.filter(|word| is_command_word(word)).collect();
    kept.first().is_some_and(|first| !first.starts_with('-')).then(|| kept.join(" "))
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Count, Value::Int(number)) => *number >= 0,
            (Self::Seconds, Value::Float(seconds)) => seconds.is_finite() && *seconds >= 0.0,
            (Self::Seconds, Value::Int(seconds)) => *seconds >= 0,
            (Self::Name, Value::Str(text)) => is_name(text),
            (Self::Class, Value::Str(text)) => {
                made_of(text, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
            }
            (Self::Version, Value::Str(text)) => {
                made_of(text, |byte| byte.is_ascii_alphanumeric() || b"_.-~+%".contains(&byte))
            }
            (Self::Hash, Value::Str(text)) => made_of(text, |byte| byte.is_ascii_hexdigit()),
            (Self::Command, Value::Str(text)) => dbt_command([text.as_str()]).as_ref() == Some(text),
            _ => false,
        }
    }
}

fn is_name(text: &str) -> bool {
    made_of(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

fn made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.len() <= LONGEST && text.bytes().all(allowed)
}

fn is_command_word(word: &str) -> bool {
    let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
    let is_flag = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    flag.map_or_else(|| DBT_WORDS.contains(&word), is_flag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Dict;

    #[test]
    fn the_lists_agree() {
        for name in METADATA {
            assert!(metrics().any(|allowed| allowed == name), "{name}");
        }
        assert_eq!(metrics().collect::<std::collections::BTreeSet<_>>().len(), METRICS.len());
    }

    #[test]
    fn a_command_keeps_dbts_own_words_and_bare_flags() {
        let kept = |words: &[&str]| dbt_command(words.iter().copied());
        assert_eq!(kept(&["run", "--full-refresh"]).as_deref(), Some("run --full-refresh"));
        assert_eq!(kept(&["docs", "generate"]).as_deref(), Some("docs generate"));
        assert_eq!(kept(&["run-operation", "drop_customer_acme"]).as_deref(), Some("run-operation"));
        assert_eq!(
            kept(&["run", "--vars={pw: x}", "--profiles-dir", "/home/me"]).as_deref(),
            Some("run --vars --profiles-dir")
        );
        assert_eq!(kept(&["run", "--Secret9", "--", "-"]).as_deref(), Some("run"));
        assert_eq!(kept(&["deps"]).as_deref(), Some("deps"));
        for nothing in [&[][..], &[""], &["acme"], &["--flag"]] {
            assert_eq!(kept(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_value_of_another_shape_is_left_out_and_named() {
        let metrics = [
            ("status", Value::from("success")),
            ("database", "postgres://me:secret@db/prod".into()),
            ("task_count", (-1_i64).into()),
            ("duration", f64::NAN.into()),
            ("install_deps", "True".into()),
            ("profile_strategy", Value::Null),
            ("dag_id", "sales".into()),
        ];
        let metrics = metrics.map(|(name, value)| (name.to_owned(), value)).into();
        let mut event = UsageEvent { event_type: "dag_run".to_owned(), metrics };
        let gone = keep_allowed(&mut event).unwrap();
        assert_eq!(gone, ["database", "task_count", "duration", "install_deps", "dag_id"]);
        assert_eq!(event.metrics.keys().collect::<Vec<_>>(), ["status", "profile_strategy"]);
        for odd in ["", "dag run", "../x", "DAG"] {
            let mut event = UsageEvent { event_type: odd.to_owned(), metrics: Dict::new() };
            assert_eq!(keep_allowed(&mut event), Err(NotSent::EventType), "{odd:?}");
        }
    }
}
