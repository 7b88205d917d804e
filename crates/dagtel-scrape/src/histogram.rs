//! A histogram with buckets of its owner's choice.

use crate::{Labels, Sample, Value};

/// Observations in buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

impl Buckets {
    /// None yet. `bounds` are the upper bounds, rising, without the infinite one.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts an observation.
    pub fn observe(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }

    /// As the sample of a family.
    pub fn sample(&self, labels: Labels<'static>) -> Sample<'static> {
        let counts = self.counts.clone().into();
        Sample { labels, value: Value::Histogram { bounds: self.bounds, counts, sum: self.sum } }
    }
}
