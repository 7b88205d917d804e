//! What is said of metrics beside where OTLP goes: StatsD, standard output, names and lists.
//!
//! The words are those of Airflow's `[metrics]` section. Each key is a variable as well: `statsd_on` of `[metrics]` is
//! `DAGTEL_METRICS__STATSD_ON`.

use std::collections::BTreeMap;

use dagtel_core::catalog::naming::{NameFilter, Naming};
use dagtel_ship::{Statsd, TagStyle};

use super::Environment;

/// What may stand behind a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    YesOrNo,
    Text,
    Host,
    Port,
    /// Regular expressions, by commas.
    Patterns,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// The keys of `[metrics]`.
pub(super) const METRICS: [(&str, Kind); 13] = [
    ("statsd_on", Kind::YesOrNo),
    ("statsd_host", Kind::Host),
    ("statsd_port", Kind::Port),
    ("statsd_prefix", Kind::Text),
    ("statsd_datadog_enabled", Kind::YesOrNo),
    ("statsd_influxdb_enabled", Kind::YesOrNo),
    ("statsd_disabled_tags", Kind::Text),
    ("legacy_names_on", Kind::YesOrNo),
    ("stdout_on", Kind::YesOrNo),
    ("metrics_allow_list", Kind::Patterns),
    ("metrics_block_list", Kind::Patterns),
    ("disabled_tags", Kind::Text),
    ("timer_unit", Kind::OneOf(&["s", "ms"])),
];
/// The keys of `[traces]`.
pub(super) const TRACES: [(&str, Kind); 1] = [("stdout_on", Kind::YesOrNo)];

/// The keys of a section.
pub(super) fn of_section(section: &str) -> &'static [(&'static str, Kind)] {
    match section {
        "metrics" => &METRICS,
        "traces" => &TRACES,
        _ => &[],
    }
}

/// What stands behind the keys that are said, as text.
pub(super) type Values = BTreeMap<&'static str, String>;

/// Whether a text may stand behind a key.
pub(super) fn check(kind: Kind, text: &str) -> Result<(), String> {
    let good = match kind {
        Kind::Text => true,
        Kind::YesOrNo => ["true", "false"].contains(&text),
        Kind::Port => text.parse::<u16>().is_ok_and(|port| port > 0),
        Kind::Host => {
            let address = text.parse::<std::net::IpAddr>().is_ok();
            let name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            !text.is_empty() && (address || text.chars().all(name))
        }
        Kind::Patterns => {
            return NameFilter::new(text, "").map(drop).map_err(|error| format!("is wrong: {error}"));
        }
        Kind::OneOf(words) => words.contains(&text),
    };
    if good { Ok(()) } else { Err(format!("must be {}", kind.wanted())) }
}

impl Kind {
    /// Whether it stands in quotes.
    pub(super) fn is_text(self) -> bool {
        !matches!(self, Self::YesOrNo | Self::Port)
    }

    /// What is wanted, for errors.
    pub(super) fn wanted(self) -> String {
        match self {
            Self::YesOrNo => "true or false".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Host => "a host name or an address, without scheme and port".to_owned(),
            Self::Port => "a whole number from 1 to 65535".to_owned(),
            Self::Patterns => "regular expressions, separated by commas".to_owned(),
            Self::OneOf(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                words.join(" or ")
            }
        }
    }
}

/// What variables say of the keys of a section.
pub(super) fn of_environment(
    environment: &Environment,
    section: &str,
    keys: &[(&'static str, Kind)],
    problems: &mut Vec<String>,
) -> Values {
    let mut values = Values::new();
    for (key, kind) in keys {
        let name = format!("DAGTEL_{section}__{}", key.to_ascii_uppercase());
        let Some(text) = environment.get(&name) else { continue };
        let text = if matches!(kind, Kind::YesOrNo) { text.to_ascii_lowercase() } else { text.to_owned() };
        match check(*kind, &text) {
            Ok(()) => drop(values.insert(key, text)),
            Err(error) => problems.push(format!("{name} {error}")),
        }
    }
    values
}

/// A daemon, or why there is none.
pub(super) fn statsd(
    values: &Values,
    otel_prefix: &str,
    tags: &[(String, String)],
    problems: &mut Vec<String>,
) -> Result<Statsd, String> {
    let is = |key| values.get(key).is_some_and(|value| value == "true");
    if !is("statsd_on") {
        let said = values.contains_key("statsd_on");
        return Err(format!("[metrics] statsd_on is {}", if said { "false" } else { "not set" }));
    }
    let text = |key| values.get(key).map(String::as_str);
    let host = text("statsd_host").unwrap_or("localhost");
    let port = text("statsd_port").and_then(|port| port.parse().ok()).unwrap_or(8125);
    let mut statsd = Statsd::new(host, port);
    statsd.otel_prefix = otel_prefix.to_owned();
    statsd.prefix = with_dot(text("statsd_prefix").unwrap_or("airflow"));
    statsd.tags = match (is("statsd_datadog_enabled"), is("statsd_influxdb_enabled")) {
        (false, false) => TagStyle::None,
        (true, false) => TagStyle::Datadog,
        (false, true) => TagStyle::Influx,
        (true, true) => {
            problems.push(
                "[metrics] statsd_datadog_enabled and statsd_influxdb_enabled are both true: a daemon reads one of them"
                    .to_owned(),
            );
            TagStyle::None
        }
    };
    statsd.legacy_names = text("legacy_names_on").map(|on| on == "true");
    if let Some(list) = text("statsd_disabled_tags") {
        statsd.disabled_tags = words(list);
    }
    statsd.static_tags = tags.iter().map(|(tag, _)| tag.clone()).collect();
    statsd.filter = filter(values);
    Ok(statsd)
}

/// Which metrics and tags there are, for every backend.
pub(super) fn naming(values: &Values) -> Naming {
    let mut naming = Naming::default();
    naming.filter = filter(values);
    let disabled = values.get("disabled_tags").map(|list| words(list)).unwrap_or_default();
    naming.disabled_tags = disabled.into_iter().map(Into::into).collect();
    naming.milliseconds = values.get("timer_unit").is_some_and(|unit| unit == "ms");
    naming.legacy_names = values.get("legacy_names_on").is_some_and(|on| on == "true");
    naming
}

fn filter(values: &Values) -> NameFilter {
    let list = |key| values.get(key).map(String::as_str).unwrap_or_default();
    // What is no pattern was told when it was read.
    NameFilter::new(list("metrics_allow_list"), list("metrics_block_list")).unwrap_or_default()
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// With the dot that ends a prefix, unless there is none.
pub(super) fn with_dot(prefix: &str) -> String {
    let dot = if prefix.is_empty() || prefix.ends_with('.') { "" } else { "." };
    format!("{prefix}{dot}")
}
