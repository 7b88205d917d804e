//! Odd input: counted beside what it changed, never an error.

use serde::{Deserialize, Serialize};

/// What was odd about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Anomaly {
    /// The very same fact was known.
    Duplicate,
    /// Another fact of the same strength about the same thing was known.
    Contradiction,
    /// The run is closed; its spans are out.
    Late,
    /// A run was left of which only tries are known, so that it has no root span here.
    Orphan,
    /// An upstream of which no try is known, so that no link could be made.
    UnresolvedLink,
    /// A run, a try or details beyond a limit ([`crate::limits`]).
    OverLimit,
    /// A text, a list or an attribute was cut to its limit.
    Cut,
    /// A secret was masked ([`crate::redact`]).
    Redacted,
}

impl Anomaly {
    /// Every anomaly.
    pub const ALL: &[Self] = &[
        Self::Duplicate,
        Self::Contradiction,
        Self::Late,
        Self::Orphan,
        Self::UnresolvedLink,
        Self::OverLimit,
        Self::Cut,
        Self::Redacted,
    ];

    /// The word for it, a value of the tag `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Contradiction => "contradiction",
            Self::Late => "late",
            Self::Orphan => "orphan",
            Self::UnresolvedLink => "unresolved_link",
            Self::OverLimit => "over_limit",
            Self::Cut => "cut",
            Self::Redacted => "redacted",
        }
    }
}

/// How many anomalies there were of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies([u64; Anomaly::ALL.len()]);

impl Anomalies {
    /// Counts `n` more.
    pub fn add(&mut self, anomaly: Anomaly, n: u64) {
        self.0[anomaly as usize] += n;
    }

    /// How many there were.
    pub fn count(&self, anomaly: Anomaly) -> u64 {
        self.0[anomaly as usize]
    }

    /// Every kind that there was, with how many.
    pub fn seen(&self) -> impl Iterator<Item = (Anomaly, u64)> + '_ {
        Anomaly::ALL.iter().map(|anomaly| (*anomaly, self.count(*anomaly))).filter(|(_, n)| *n > 0)
    }
}
