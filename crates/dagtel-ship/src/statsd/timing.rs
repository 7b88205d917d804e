//! What was observed between two readings of a histogram, as values to tell.

/// Lines for the observations of one bucket; more are told by one line with a rate.
const LINES: u64 = 10;

/// A bucket, and how many observations came to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) count: u64,
}

/// A value, so many times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) value: f64,
    pub(super) count: u64,
}

/// Values that have the counts of the buckets, lie within them, and have this sum: each at the same share of the way
/// from the one end of its bucket to the other.
pub(super) fn values(buckets: &[Bucket], sum: f64) -> Vec<Values> {
    let total = |end: fn(&Bucket) -> f64| -> f64 { buckets.iter().map(|b| end(b) * b.count as f64).sum() };
    let (least, most) = (total(|bucket| bucket.least), total(|bucket| bucket.most));
    let share = if most > least { (sum - least) / (most - least) } else { 0.0 };
    let count: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    // Bounds that do not hold the sum say nothing; then the mean is left.
    if !(-1e-9..=1.0 + 1e-9).contains(&share) || (most <= least && (sum - least).abs() > 1e-9 * sum.abs()) {
        return vec![Values { value: sum / count as f64, count }];
    }
    let value = |bucket: &Bucket| bucket.least + share * (bucket.most - bucket.least);
    let told = buckets.iter().filter(|bucket| bucket.count > 0);
    told.map(|bucket| Values { value: value(bucket), count: bucket.count }).collect()
}

impl Values {
    /// The lines, each without its name: `value|kind` or `value|kind|@rate`.
    pub(super) fn lines(self, kind: &str) -> impl Iterator<Item = String> {
        let many = self.count > LINES;
        let rate = if many { format!("|@{}", rate(self.count)) } else { String::new() };
        let line = format!("{}|{kind}{rate}", self.value);
        std::iter::repeat_n(line, if many { 1 } else { self.count as usize })
    }
}

/// A sampling rate that stands for this many. Receivers divide by it, and some cut off what is behind the point.
fn rate(count: u64) -> f64 {
    let count = count as f64;
    let mut rate = 1.0 / count;
    while 1.0 / rate < count {
        rate = rate.next_down();
    }
    rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_counts_and_the_sum() {
        let bucket = |least, most, count| Bucket { least, most, count };
        let buckets = [bucket(0.0, 1.0, 3), bucket(1.0, 2.5, 0), bucket(2.5, 10.0, 12)];
        for sum in [30.0, 47.25, 90.0, 122.9, 123.0] {
            let told = values(&buckets, sum);
            assert_eq!(told.iter().map(|values| values.count).collect::<Vec<_>>(), [3, 12]);
            let got: f64 = told.iter().map(|values| values.value * values.count as f64).sum();
            assert!((got - sum).abs() < 1e-9, "{got} {sum}");
            assert!((0.0..=1.0).contains(&told[0].value) && (2.5..=10.0).contains(&told[1].value));
        }
        // A sum that cannot be within the bounds is told as the mean.
        assert_eq!(values(&buckets, 200.0), [Values { value: 200.0 / 15.0, count: 15 }]);
        assert_eq!(values(&[bucket(2.0, 2.0, 1)], 2.0), [Values { value: 2.0, count: 1 }]);
    }

    #[test]
    fn a_receiver_that_cuts_off_counts_as_many() {
        for count in (1..100_000).chain([1 << 40, (1 << 52) - 1]) {
            assert_eq!((1.0 / rate(count)) as u64, count);
            let read: f64 = format!("{}", rate(count)).parse().unwrap();
            assert_eq!((1.0 / read) as u64, count);
        }
    }

    #[test]
    fn few_are_lines_of_their_own() {
        let lines = |count| Values { value: 1.5, count }.lines("ms").collect::<Vec<_>>();
        assert_eq!(lines(2), ["1.5|ms", "1.5|ms"]);
        assert_eq!(lines(20), ["1.5|ms|@0.05"]);
    }
}
