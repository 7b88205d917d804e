//! Airflow's legacy names, which have ids in them instead of beside them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::OnceLock;

use crate::catalog::registry;
use crate::limits;

/// Tags whose values Airflow normalizes before they become names.
const NORMALIZED: [&str; 5] = ["pool_name", "bundle_name", "dag_file", "file_name", "file_path"];

/// A legacy name, and the tags that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacyName<'a> {
    /// The name, without prefix.
    pub name: String,
    /// The tags that are not in the name.
    pub tags: Vec<(&'a str, &'a str)>,
}

/// The legacy name of a series, by the name of its metric without prefix. `None` where Airflow has none, or a tag that would
/// be in the name is not there.
pub fn legacy_of<'a>(metric: &str, tags: &[(&'a str, &'a str)]) -> Option<LegacyName<'a>> {
    legacy_name(pattern_of(metric)?, tags)
}

/// Whether Airflow has legacy names for the series of a metric, by its name without prefix.
pub fn has_legacy_names(metric: &str) -> bool {
    pattern_of(metric).is_some()
}

fn pattern_of(metric: &str) -> Option<&'static str> {
    static PATTERNS: OnceLock<HashMap<&str, &str>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let entries = registry::entries();
        entries.filter_map(|entry| Some((entry.definition.name, entry.airflow?.legacy?))).collect()
    });
    patterns.get(metric).copied()
}

/// Puts the values of tags into the [pattern](registry::Airflow::legacy) of a legacy name, each `.` of a value as `__`, and
/// those that Airflow normalizes [normalized]. `None` when a tag of the pattern is not there: such a point has no legacy name.
pub fn legacy_name<'a>(pattern: &str, tags: &[(&'a str, &'a str)]) -> Option<LegacyName<'a>> {
    let mut name = String::with_capacity(64);
    let mut left = tags.to_vec();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (tag, after) = after.split_once('}')?;
        let (_, value) = tags.iter().find(|(key, _)| *key == tag)?;
        left.retain(|(key, _)| *key != tag);
        name.push_str(before);
        let value = if NORMALIZED.contains(&tag) { normalized(value) } else { Cow::Borrowed(*value) };
        name.push_str(&value.replace('.', "__"));
        rest = after;
    }
    name.push_str(rest);
    Some(LegacyName { name, tags: left })
}

/// A value as Airflow puts it into names: whatever is not an ASCII letter, a digit, `_`, `.` or `-` is `_`. Airflow does
/// it to pools, DAG files and bundles, not to DAGs and tasks.
pub fn normalized(value: &str) -> Cow<'_, str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if value.chars().all(allowed) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect())
}

/// Which series one backend is told under legacy names: the first [`limits::LEGACY_SERIES`], and of two that would be one
/// the first, because it would be overwritten.
#[derive(Clone, Debug, Default)]
pub struct LegacySeries {
    /// What each is by its other name. Hashes, because names are long.
    told: HashMap<u64, u64>,
    untold: HashSet<u64>,
}

impl LegacySeries {
    /// Whether a series is told under this name and with these tags; `metric` and `all` are its name and tags otherwise.
    pub fn admits(&mut self, name: &str, tags: &[(&str, &str)], metric: &str, all: &[(&str, &str)]) -> bool {
        let (legacy, series) = (hash(name, tags), hash(metric, all));
        let full = self.told.len() >= limits::LEGACY_SERIES;
        let admitted = match self.told.get(&legacy) {
            Some(known) => *known == series,
            None if full => false,
            None => self.told.insert(legacy, series).is_none(),
        };
        if !admitted {
            self.leave_out(series);
        }
        admitted
    }

    /// Notes that a series has no legacy name that may be sent.
    pub fn refuse(&mut self, metric: &str, all: &[(&str, &str)]) {
        self.leave_out(hash(metric, all));
    }

    fn leave_out(&mut self, series: u64) {
        if self.untold.len() < limits::LEGACY_SERIES {
            self.untold.insert(series);
        }
    }

    /// Series that were not admitted or refused, counted up to [`limits::LEGACY_SERIES`].
    pub fn untold(&self) -> usize {
        self.untold.len()
    }
}

fn hash(name: &str, tags: &[(&str, &str)]) -> u64 {
    let mut tags = tags.to_vec();
    tags.sort_unstable();
    let mut hasher = DefaultHasher::new();
    (name, tags).hash(&mut hasher);
    hasher.finish()
}
