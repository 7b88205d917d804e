//! What the environment says.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use dagtel_drain::DIR_VARIABLE;
use dagtel_otlp::{Most, RecordLimits};
use dagtel_ship::{Delivery, Endpoint};

use super::backends;
use super::certificates::{Certificates, Named};
use super::said::{Said, SaidOfSignal};

/// Why everything is off.
pub(super) const DISABLED: &str = "OTEL_SDK_DISABLED is true";

/// Environment variables, of this process or given.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Without the values, which may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Environment {
    /// Those of this process. What is not Unicode is not taken.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A variable read as a `T`; one that is none is a problem.
    fn read<T: FromStr<Err: Display>>(&self, name: &str, problems: &mut Vec<String>) -> Option<T> {
        match self.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                None
            }
        }
    }

    fn share(&self, name: &str, problems: &mut Vec<String>) -> Option<f64> {
        let share = self.get(name)?.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            problems.push(format!("{name}: write a number from 0 to 1, such as 0.01"));
        }
        share
    }

    fn milliseconds(&self, name: &str, problems: &mut Vec<String>) -> Option<Duration> {
        match self.get(name)?.parse() {
            Ok(milliseconds) if milliseconds > 0 => Some(Duration::from_millis(milliseconds)),
            _ => {
                problems.push(format!("{name}: write a whole number of milliseconds above 0, such as 10000"));
                None
            }
        }
    }

    pub(super) fn said(&self, problems: &mut Vec<String>) -> Said {
        let pairs = |name, problems: &mut Vec<String>| match pairs(self.get(name).unwrap_or_default()) {
            Ok(pairs) => pairs,
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                Vec::new()
            }
        };
        let traces = self.signal("TRACES", problems);
        let mut of_metrics = backends::of_environment(self, "METRICS", &backends::METRICS, problems);
        let mut of_traces = backends::of_environment(self, "TRACES", &backends::TRACES, problems);
        for (of, signal) in [(&mut of_traces, "TRACES"), (&mut of_metrics, "METRICS")] {
            if let Some(exporters) = self.exporters(signal) {
                let console = exporters.contains(&"console");
                of.entry("stdout_on").or_insert_with(|| console.to_string());
            }
        }
        let page = self.exporters("METRICS").is_some_and(|exporters| exporters.contains(&"prometheus"));
        Said {
            disabled: self.is_disabled(),
            limits: self.limits(problems),
            of_metrics,
            of_traces,
            // What is wrong with it has been said for the signals.
            protocol: self.read("OTEL_EXPORTER_OTLP_PROTOCOL", &mut Vec::new()),
            traces,
            metrics: self.signal("METRICS", problems),
            logs: self.signal("LOGS", problems),
            metric_interval: self.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", problems),
            service_name: self.get("OTEL_SERVICE_NAME").map(str::to_owned),
            resource: pairs("OTEL_RESOURCE_ATTRIBUTES", problems),
            loop_spans: self.share("DAGTEL_TRACES__LOOP_SPANS", problems),
            spool: self.get(DIR_VARIABLE).map(PathBuf::from),
            // Where events go is nothing that a variable says: they are no logs to anybody else.
            forward: SaidOfSignal { on: None, endpoints: None, ..self.signal("LOGS", problems) },
            http_on: self.read("DAGTEL_AGENT_HTTP_SERVER__ON", problems).or(page.then_some(true)),
            http_host: self.read("DAGTEL_AGENT_HTTP_SERVER__HOST", problems),
            http_port: self.read("DAGTEL_AGENT_HTTP_SERVER__PORT", problems),
            ..Said::default()
        }
    }

    fn signal(&self, signal: &str, problems: &mut Vec<String>) -> SaidOfSignal {
        // What is said for the signal counts before what is said for all.
        let name = |what: &str| {
            let own = format!("OTEL_EXPORTER_OTLP_{signal}_{what}");
            if self.get(&own).is_some() { own } else { format!("OTEL_EXPORTER_OTLP_{what}") }
        };
        let mut once = Vec::new();
        let said = SaidOfSignal {
            on: self.on(signal, &mut once),
            endpoints: self.endpoints(signal, &name("ENDPOINT"), &mut once),
            protocol: self.read(&name("PROTOCOL"), &mut once),
            delivery: Some(self.delivery(&name, &mut once)),
            certificates: Certificates {
                ca: self.file(name("CERTIFICATE")),
                cert: self.file(name("CLIENT_CERTIFICATE")),
                key: self.file(name("CLIENT_KEY")),
            },
        };
        // A general variable is read for each signal, and is one problem.
        once.retain(|problem| !problems.contains(problem));
        problems.append(&mut once);
        said
    }

    fn file(&self, name: String) -> Option<Named> {
        self.get(&name).map(|path| Named { path: path.into(), by: name.clone() })
    }

    fn on(&self, signal: &str, problems: &mut Vec<String>) -> Option<(bool, String)> {
        if self.is_disabled() {
            return Some((false, DISABLED.to_owned()));
        }
        let disabled = self.get("OTEL_SDK_DISABLED").map(str::to_ascii_lowercase);
        if disabled.is_some_and(|disabled| disabled != "false") {
            problems.push("OTEL_SDK_DISABLED: write true or false".to_owned());
        }
        let name = format!("OTEL_{signal}_EXPORTER");
        let known: &[&str] = match signal {
            "METRICS" => &["otlp", "console", "prometheus", "none"],
            _ => &["otlp", "console", "none"],
        };
        let exporters = self.exporters(signal)?;
        for exporter in exporters.iter().filter(|exporter| !known.contains(exporter)) {
            let known = known.join(", ");
            problems.push(format!("{name}: the exporter {exporter:?} is not there: use {known}, or a list"));
        }
        let said = self.get(&name).unwrap_or_default();
        Some((exporters.contains(&"otlp"), format!("{name} is {said}")))
    }

    /// What spans and log records are held to. What is said of one kind of them counts before what is said of all.
    fn limits(&self, problems: &mut Vec<String>) -> RecordLimits {
        const SPAN_LENGTH: &str = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT";
        let mut limit = |names: &[&str], of: &str| {
            let Some((name, text)) = names.iter().find_map(|name| Some((name, self.get(name)?))) else {
                return usize::MAX;
            };
            text.parse().unwrap_or_else(|_| {
                let problem = format!("{name}: write a whole number of {of}, such as 128");
                // A general variable is one problem.
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
                usize::MAX
            })
        };
        let mut most = |count: &str, length: &str| Most {
            attributes: limit(&[count, "OTEL_ATTRIBUTE_COUNT_LIMIT"], "attributes"),
            characters: limit(&[length, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"], "characters"),
        };
        let mut limits = RecordLimits::default();
        limits.span = most("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", SPAN_LENGTH);
        limits.event = most("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", SPAN_LENGTH);
        limits.link = most("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", SPAN_LENGTH);
        limits.log =
            most("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT");
        limits.events = limit(&["OTEL_SPAN_EVENT_COUNT_LIMIT"], "events");
        limits.links = limit(&["OTEL_SPAN_LINK_COUNT_LIMIT"], "links");
        limits
    }

    fn is_disabled(&self) -> bool {
        self.get("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"))
    }

    /// What `OTEL_<signal>_EXPORTER` names.
    fn exporters(&self, signal: &str) -> Option<Vec<&str>> {
        Some(self.get(&format!("OTEL_{signal}_EXPORTER"))?.split(',').map(str::trim).collect())
    }

    fn endpoints(&self, signal: &str, name: &str, problems: &mut Vec<String>) -> Option<Vec<Endpoint>> {
        // The endpoint of one signal has the whole path by the specification; ours ends before that.
        let path = format!("/v1/{}", signal.to_ascii_lowercase());
        let mut endpoints = Vec::new();
        for text in self.get(name)?.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match text.strip_suffix(&path).unwrap_or(text).parse() {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => problems.push(format!("{name}: {error}")),
            }
        }
        Some(endpoints)
    }

    fn delivery(&self, name: &dyn Fn(&str) -> String, problems: &mut Vec<String>) -> Delivery {
        let mut delivery = Delivery::default();
        if let Some(timeout) = self.milliseconds(&name("TIMEOUT"), problems) {
            delivery.timeout = timeout;
        }
        let compression = name("COMPRESSION");
        match self.get(&compression) {
            None | Some("gzip") => {}
            Some("none") => delivery.gzip = false,
            Some(other) => problems.push(format!("{compression}: {other:?} is not known: use gzip or none")),
        }
        let headers = name("HEADERS");
        match pairs(self.get(&headers).unwrap_or_default()) {
            Ok(pairs) => {
                for (key, value) in pairs {
                    if let Err(error) = delivery.add_header(&key, &value) {
                        problems.push(format!("{headers}: {error}"));
                    }
                }
            }
            Err(error) => problems.push(format!("{headers}: {error}")),
        }
        delivery
    }
}

/// `key=value` by commas, percent-encoded. An error does not repeat the text, which may be a secret.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (place, pair) in text.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty()) {
        let wrong =
            || format!("part {} is not key=value with percent-encoded text, such as a=b,c=d%20e", place + 1);
        let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
        let (key, value) = (decoded(key.trim()), decoded(value.trim()));
        let key = key.filter(|key| !key.is_empty()).ok_or_else(wrong)?;
        pairs.push((key, value.ok_or_else(wrong)?));
    }
    Ok(pairs)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(bytes).ok()
}
