//! What the file says.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use dagtel_core::redact::Rules;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Environment;
use super::backends::{self, Kind, Values};
use super::certificates::{Certificates, Named};
use super::said::{Said, SaidOfSignal};

/// A file as long as this is none.
const MOST: u64 = 1024 * 1024;
/// The keys of each of the three signals: where it goes.
const SIGNAL: &[&str] = &[
    "otel_on",
    "otel_host",
    "otel_port",
    "otel_endpoint",
    "otel_protocol",
    "otel_ssl_active",
    "otel_ca_file",
    "otel_cert_file",
    "otel_key_file",
];
/// The sections and their keys; `metrics_tags` has any.
const SECTIONS: [(&str, &[&[&str]]); 8] = [
    ("metrics", &[SIGNAL, &["otel_prefix", "otel_interval_milliseconds", "otel_service"]]),
    ("metrics_tags", &[]),
    ("traces", &[SIGNAL, &["loop_spans", "otel_task_log_event"]]),
    ("logs", &[SIGNAL, &["lifecycle"]]),
    ("redaction", &[&["names", "patterns"]]),
    ("http_server", &[&["on", "host", "port"]]),
    ("spool", &[&["dir"]]),
    ("agent", &[&["adoption", "shutdown_deadline", "forward", "receive", "grace", "patience"]]),
];

/// The file that is named, or the usual one if it is there.
pub(super) fn load(
    named: Option<&Path>,
    environment: &Environment,
    problems: &mut Vec<String>,
) -> (Option<PathBuf>, Said) {
    let named = named.map(Path::to_owned).or_else(|| environment.get("DAGTEL_CONFIG").map(PathBuf::from));
    let must = named.is_some();
    let Some(path) = named.or_else(|| usual(environment)) else { return (None, Said::default()) };
    let text = match std::fs::metadata(&path) {
        Ok(meta) if meta.len() > MOST => Err(std::io::Error::other("it is larger than 1 MiB")),
        Ok(_) => std::fs::read_to_string(&path),
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            let mut reading = Reading { path: &path, text: &text, problems };
            let said = reading.file();
            (Some(path), said)
        }
        Err(error) if error.kind() == ErrorKind::NotFound && !must => (None, Said::default()),
        Err(error) => {
            problems.push(format!("the configuration file {} cannot be read: {error}", path.display()));
            (None, Said::default())
        }
    }
}

fn usual(environment: &Environment) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(environment.get("HOME")?).join(".config"));
    let config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    Some(config.join("dagtel/config.toml"))
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<String>,
}

/// A section, with its keys.
struct Section<'a> {
    name: &'a str,
    table: &'a DeTable<'a>,
}

impl Reading<'_> {
    fn wrong(&mut self, at: Range<usize>, what: &str) {
        let problem = self.place(at, what);
        self.problems.push(problem);
    }

    /// Something, behind the place that it is about.
    fn place(&self, at: Range<usize>, what: &str) -> String {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        format!("{}:{line}:{column}: {what}", self.path.display())
    }

    fn file(&mut self) -> Said {
        let mut said = Said::default();
        let text = self.text;
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                self.wrong(
                    error.span().unwrap_or_default(),
                    &format!("no TOML: {}", error.message().replace('\n', ", ")),
                );
                return said;
            }
        };
        for (name, value) in &table {
            let keys = SECTIONS.iter().find(|(section, _)| *section == name.get_ref());
            let Some((section, keys)) = keys else {
                let nearest = nearest(name.get_ref(), SECTIONS.iter().map(|(section, _)| *section));
                self.wrong(name.span(), &format!("there is no section [{}]{nearest}", name.get_ref()));
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                self.wrong(value.span(), &format!("[{section}] must be a section"));
                continue;
            };
            let more = backends::of_section(section).iter().map(|(key, _)| *key);
            let keys = keys.iter().copied().flatten().copied().chain(more);
            let unknown = |key: &str| *section != "metrics_tags" && keys.clone().all(|known| known != key);
            for key in table.keys().filter(|key| unknown(key.get_ref())) {
                let nearest = nearest(key.get_ref(), keys.clone());
                self.wrong(
                    key.span(),
                    &format!("there is no key \"{}\" in [{section}]{nearest}", key.get_ref()),
                );
            }
            self.section(&Section { name: section, table }, &mut said);
        }
        said
    }

    fn section(&mut self, section: &Section<'_>, said: &mut Said) {
        match section.name {
            "metrics" => {
                said.metrics = self.signal(section);
                said.prefix = self.text_of(section, "otel_prefix");
                said.service_name = self.text_of(section, "otel_service");
                let interval = self.whole(section, "otel_interval_milliseconds", 1..=86_400_000);
                said.metric_interval = interval.map(Duration::from_millis);
                said.of_metrics = self.values(section, &backends::METRICS);
            }
            "traces" => {
                said.traces = self.signal(section);
                said.task_log_event = self.yes_or_no(section, "otel_task_log_event").map(|(on, _)| on);
                said.of_traces = self.values(section, &backends::TRACES);
                said.loop_spans = self.share(section, "loop_spans");
            }
            "logs" => {
                said.logs = self.signal(section);
                said.lifecycle = self.yes_or_no(section, "lifecycle").map(|(on, _)| on);
            }
            "metrics_tags" => {
                for key in section.table.keys() {
                    let value = self.text_of(section, key.get_ref());
                    said.tags.extend(value.map(|value| (key.get_ref().to_string(), value)));
                }
            }
            "http_server" => {
                said.http_on = self.yes_or_no(section, "on").map(|(on, _)| on);
                said.http_host = self.parsed(section, "host");
                said.http_port =
                    self.whole(section, "port", 0..=65_535).and_then(|port| u16::try_from(port).ok());
            }
            "redaction" => said.redaction = self.redaction(section),
            "spool" => said.spool = self.text_of(section, "dir").map(PathBuf::from),
            _ => {
                let mut seconds = |key| self.whole(section, key, 0..=31_536_000).map(Duration::from_secs);
                (said.adoption, said.shutdown_deadline) = (seconds("adoption"), seconds("shutdown_deadline"));
                (said.grace, said.patience) = (seconds("grace"), seconds("patience"));
                said.forward.endpoints = self.parsed(section, "forward").map(|endpoint| vec![endpoint]);
                said.receive = self.parsed(section, "receive");
            }
        }
    }

    fn signal(&mut self, section: &Section<'_>) -> SaidOfSignal {
        let place = format!("[{}] otel_on is false in {}", section.name, self.path.display());
        let on = self.yes_or_no(section, "otel_on").map(|(on, _)| (on, place));
        let mut endpoints = self.endpoints(section);
        let (host, port) = (self.text_of(section, "otel_host"), self.whole(section, "otel_port", 1..=65_535));
        let ssl = self.yes_or_no(section, "otel_ssl_active").is_some_and(|(on, _)| on);
        let keys = ["otel_host", "otel_port", "otel_ssl_active"];
        if let Some((_, value)) = keys.into_iter().find_map(|key| section.find(key)) {
            if endpoints.is_some() {
                self.wrong(
                    value.span(),
                    "otel_endpoint says where already; leave out otel_host, otel_port and otel_ssl_active",
                );
            }
            let scheme = if ssl { "https" } else { "http" };
            let url =
                format!("{scheme}://{}:{}", host.as_deref().unwrap_or("127.0.0.1"), port.unwrap_or(4317));
            match url.parse() {
                Ok(endpoint) => endpoints = Some(vec![endpoint]),
                Err(error) => self.wrong(value.span(), &format!("{error}")),
            }
        }
        let protocol = self.parsed(section, "otel_protocol");
        let certificates = Certificates {
            ca: self.file_of(section, "otel_ca_file"),
            cert: self.file_of(section, "otel_cert_file"),
            key: self.file_of(section, "otel_key_file"),
        };
        SaidOfSignal { on, endpoints, protocol, delivery: None, certificates }
    }

    fn values(&mut self, section: &Section<'_>, keys: &[(&'static str, Kind)]) -> Values {
        let mut values = Values::new();
        for (key, kind) in keys {
            let Some((_, value)) = section.find(key) else { continue };
            let text = match (value.get_ref(), kind) {
                (DeValue::Boolean(on), Kind::YesOrNo) => on.to_string(),
                (DeValue::Integer(number), Kind::Port) => number.as_str().to_owned(),
                (DeValue::String(text), kind) if kind.is_text() => text.to_string(),
                (_, kind) => {
                    let quotes = match kind {
                        Kind::YesOrNo => ", without quotes",
                        kind if kind.is_text() => ", in quotes",
                        _ => "",
                    };
                    self.wrong(value.span(), &format!("{key} must be {}{quotes}", kind.wanted()));
                    continue;
                }
            };
            match backends::check(*kind, &text) {
                Ok(()) => drop(values.insert(key, text)),
                Err(error) => self.wrong(value.span(), &format!("{key} {error}")),
            }
        }
        values
    }

    fn file_of(&mut self, section: &Section<'_>, key: &str) -> Option<Named> {
        let path = self.text_of(section, key)?.into();
        let (_, value) = section.find(key)?;
        Some(Named { path, by: self.place(value.span(), key) })
    }

    fn redaction(&mut self, section: &Section<'_>) -> Rules {
        let (names, patterns) = (self.texts(section, "names"), self.texts(section, "patterns"));
        Rules::with_own(&names, &patterns).unwrap_or_else(|error| {
            let place = section.find("patterns").map(|(_, value)| value.span());
            self.wrong(place.unwrap_or_default(), &error.to_string());
            Rules::default()
        })
    }

    fn texts(&mut self, section: &Section<'_>, key: &str) -> Vec<String> {
        let Some((_, value)) = section.find(key) else { return Vec::new() };
        let list = match value.get_ref() {
            DeValue::Array(list) => {
                list.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        list.unwrap_or_else(|| {
            self.wrong(value.span(), &format!("{key} must be a list of texts"));
            Vec::new()
        })
    }

    fn endpoints(&mut self, section: &Section<'_>) -> Option<Vec<dagtel_ship::Endpoint>> {
        let (_, value) = section.find("otel_endpoint")?;
        let single = [value.clone()];
        let list: &[Spanned<DeValue<'_>>] = match value.get_ref() {
            DeValue::Array(list) => list,
            _ => &single,
        };
        let mut endpoints = Vec::new();
        for item in list {
            match item.get_ref() {
                DeValue::String(text) => match text.parse() {
                    Ok(endpoint) => endpoints.push(endpoint),
                    Err(error) => self.wrong(item.span(), &format!("{error}")),
                },
                _ => self.wrong(item.span(), "otel_endpoint must be a text or a list of texts"),
            }
        }
        Some(endpoints)
    }

    fn yes_or_no(&mut self, section: &Section<'_>, key: &str) -> Option<(bool, Range<usize>)> {
        let (_, value) = section.find(key)?;
        match value.get_ref() {
            DeValue::Boolean(on) => Some((*on, value.span())),
            _ => {
                self.wrong(value.span(), &format!("{key} must be true or false, without quotes"));
                None
            }
        }
    }

    fn text_of(&mut self, section: &Section<'_>, key: &str) -> Option<String> {
        let (_, value) = section.find(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong(value.span(), &format!("{key} must be a text in quotes"));
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, section: &Section<'_>, key: &str) -> Option<T> {
        let text = self.text_of(section, key)?;
        let (_, value) = section.find(key)?;
        text.parse().map_err(|error: T::Err| self.wrong(value.span(), &format!("{key}: {error}"))).ok()
    }

    fn share(&mut self, section: &Section<'_>, key: &str) -> Option<f64> {
        let (_, value) = section.find(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|share| (0.0..=1.0).contains(share));
        if number.is_none() {
            self.wrong(value.span(), &format!("{key} must be a number from 0 to 1, without quotes"));
        }
        number
    }

    fn whole(
        &mut self,
        section: &Section<'_>,
        key: &str,
        within: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let (_, value) = section.find(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| within.contains(number));
        if number.is_none() {
            let (least, most) = within.into_inner();
            self.wrong(value.span(), &format!("{key} must be a whole number from {least} to {most}"));
        }
        number
    }
}

impl<'a> Section<'a> {
    fn find(&self, key: &str) -> Option<(&'a str, &'a Spanned<DeValue<'a>>)> {
        self.table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(name, value)| (&**name.get_ref(), value))
    }
}

/// What was probably meant.
fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known
        .clone()
        .max_by(|a, b| strsim::jaro_winkler(written, a).total_cmp(&strsim::jaro_winkler(written, b)));
    match near.filter(|near| strsim::jaro_winkler(written, near) > 0.7) {
        Some(near) => format!("; did you mean \"{near}\"?"),
        None => format!("; there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}
