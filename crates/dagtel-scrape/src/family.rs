//! Families as they are put on a page.

use std::borrow::Cow;

use dagtel_core::catalog::agent::{Definition, Kind};

/// The labels of a sample, name and value. Names that a page may not have are mended when they are written.
pub type Labels<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// A metric family with its samples.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Family<'a> {
    /// Its name, with `_total` when it is a counter.
    pub name: Cow<'a, str>,
    /// Its kind.
    pub kind: Kind,
    /// What it says.
    pub help: Cow<'a, str>,
    /// Its samples. Without one only its name, kind and help are shown.
    pub samples: Vec<Sample<'a>>,
}

/// The value of a family for one set of labels.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample<'a> {
    /// The labels.
    pub labels: Labels<'a>,
    /// The value.
    pub value: Value<'a>,
}

/// A value, of the family's kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a histogram.
    Histogram {
        /// Upper bounds, rising, without the infinite one.
        bounds: &'a [f64],
        /// How many observations fell into each bucket (not into those below too), the infinite one last.
        counts: Cow<'a, [u64]>,
        /// The sum of all.
        sum: f64,
    },
    /// Of a summary without quantiles.
    Summary {
        /// How many observations there were.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl<'a> Family<'a> {
    /// A family without samples.
    pub fn new(name: impl Into<Cow<'a, str>>, kind: Kind, help: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), kind, help: help.into(), samples: Vec::new() }
    }

    /// The family of a definition, without samples.
    pub fn of(definition: &'static Definition) -> Self {
        Self::new(definition.name, definition.kind, definition.help)
    }

    /// With one more sample.
    #[must_use]
    pub fn with(mut self, labels: Labels<'a>, value: Value<'a>) -> Self {
        self.push(labels, value);
        self
    }

    /// Adds a sample.
    pub fn push(&mut self, labels: Labels<'a>, value: Value<'a>) {
        self.samples.push(Sample { labels, value });
    }

    /// With one number without labels.
    #[must_use]
    pub fn number(self, value: f64) -> Self {
        self.with(Vec::new(), Value::Number(value))
    }
}
