//! Histograms and summaries, reduced to what one line can say.

use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, SummaryDataPoint,
};

/// Count, sum, extremes and an estimate of the middle.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Distribution {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) median: Option<f64>,
}

/// One bucket: its bounds, and how many values fell between them.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    low: f64,
    high: f64,
    count: u64,
}

impl Distribution {
    /// From fixed bucket bounds.
    pub(crate) fn explicit(point: &HistogramDataPoint) -> Self {
        let bounds = &point.explicit_bounds;
        let buckets = point.bucket_counts.iter().enumerate().map(|(index, &count)| {
            let low = index.checked_sub(1).and_then(|below| bounds.get(below)).copied();
            let high = bounds.get(index).copied();
            // The outer buckets are open; the extremes close them where they are known.
            let low = low.or(point.min).unwrap_or_else(|| high.unwrap_or(0.0).min(0.0));
            Bucket { low, high: high.or(point.max).unwrap_or(low), count }
        });
        Self { count: point.count, sum: point.sum, min: point.min, max: point.max, median: None }
            .with_median(buckets)
    }

    /// From buckets that grow by a constant factor.
    pub(crate) fn exponential(point: &ExponentialHistogramDataPoint) -> Self {
        let this = Self { count: point.count, sum: point.sum, min: point.min, max: point.max, median: None };
        let negative =
            point.negative.as_ref().is_some_and(|buckets| buckets.bucket_counts.iter().any(|n| *n > 0));
        if negative {
            // Durations and sizes are not negative; an estimate for the rest is not worth its code.
            return this;
        }
        let factor = (-f64::from(point.scale)).exp2();
        let bound = |index: i64| (index as f64 * factor).exp2();
        let zero = Bucket { low: 0.0, high: point.zero_threshold, count: point.zero_count };
        let positive = point.positive.iter().flat_map(|buckets| {
            let from = i64::from(buckets.offset);
            (from..).zip(&buckets.bucket_counts).map(|(index, &count)| (index, count))
        });
        let positive =
            positive.map(|(index, count)| Bucket { low: bound(index), high: bound(index + 1), count });
        this.with_median(std::iter::once(zero).chain(positive))
    }

    /// From quantiles that the sender computed.
    pub(crate) fn summary(point: &SummaryDataPoint) -> Self {
        let at = |quantile| {
            let found = point.quantile_values.iter().find(|value| value.quantile == quantile);
            found.map(|value| value.value)
        };
        Self { count: point.count, sum: Some(point.sum), min: at(0.0), max: at(1.0), median: at(0.5) }
    }

    /// Straight between the bounds of the bucket in which the middle value lies, and never outside the extremes.
    fn with_median(self, buckets: impl Iterator<Item = Bucket> + Clone) -> Self {
        // The buckets' own total: a sender's count need not agree with them.
        let total: f64 = buckets.clone().map(|bucket| bucket.count as f64).sum();
        let mut before = 0.0;
        let mut median = None;
        for bucket in buckets {
            let count = bucket.count as f64;
            if count > 0.0 && before + count >= total / 2.0 {
                let share = (total / 2.0 - before) / count;
                median = Some(bucket.low + (bucket.high - bucket.low) * share);
                break;
            }
            before += count;
        }
        let median = median
            .map(|value| value.max(self.min.unwrap_or(value)))
            .map(|value| value.min(self.max.unwrap_or(value)));
        Self { median, ..self }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

    use super::*;

    fn explicit(bounds: &[f64], counts: &[u64]) -> HistogramDataPoint {
        HistogramDataPoint {
            count: 4,
            bucket_counts: counts.to_vec(),
            explicit_bounds: bounds.to_vec(),
            ..Default::default()
        }
    }

    #[test]
    fn the_middle_lies_inside_its_bucket() {
        let point = explicit(&[1.0, 2.0, 4.0], &[0, 4, 0, 0]);
        assert_eq!(Distribution::explicit(&point).median, Some(1.5));
        let point = explicit(&[1.0, 2.0, 4.0], &[1, 1, 2, 0]);
        assert_eq!(Distribution::explicit(&point).median, Some(2.0));
    }

    #[test]
    fn open_buckets_are_closed_by_the_extremes() {
        let point = HistogramDataPoint { min: Some(10.0), max: Some(30.0), ..explicit(&[1.0], &[0, 2]) };
        assert_eq!(Distribution::explicit(&point).median, Some(15.5_f64.max(10.0)));
        let point = explicit(&[1.0], &[0, 2]);
        assert_eq!(Distribution::explicit(&point).median, Some(1.0));
    }

    #[test]
    fn exponential_buckets_double_at_scale_zero() {
        let positive = Some(Buckets { offset: 1, bucket_counts: vec![1, 1] });
        let point = ExponentialHistogramDataPoint { count: 2, positive, ..Default::default() };
        assert_eq!(Distribution::exponential(&point).median, Some(4.0));
    }

    #[test]
    fn nonsense_has_no_middle_and_no_panic() {
        assert_eq!(Distribution::explicit(&explicit(&[], &[])).median, None);
        assert_eq!(Distribution::explicit(&explicit(&[f64::NAN], &[0, 0, 0, 0])).median, None);
        let _ = Distribution::explicit(&explicit(&[], &[u64::MAX, u64::MAX, 1]));
        let positive = Some(Buckets { offset: i32::MAX, bucket_counts: vec![1, 1] });
        let point = ExponentialHistogramDataPoint { scale: i32::MIN, positive, ..Default::default() };
        let _ = Distribution::exponential(&point);
    }
}
