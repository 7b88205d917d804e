//! Points in time, as events carry them: nanoseconds since the Unix epoch, in UTC.
//!
//! Nothing here reads a clock: a [`Timestamp`] comes in with an event or as an argument.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch (1970-01-01T00:00:00Z), as OTLP's `fixed64` times are.
///
/// In JSON and other forms for people it is written as RFC 3339 with nine digits, and read from RFC 3339 text or from a
/// number of seconds; in binary forms it is the number of nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself, which no real event has: the smallest timestamp.
    pub const MIN: Self = Self(0);
    /// The largest timestamp, somewhere in the year 2262: "as late as can be". It stays within a signed 64-bit
    /// count of nanoseconds, because the backends that store times so would wrap a larger one.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// From nanoseconds since the epoch; larger values than [`Timestamp::MAX`] become it.
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// From whole milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the epoch with a fraction, as Python's `time.time()` gives them. `None` for a value that is
    /// no time (not finite, negative, or after 2262). A double has about 0.2 µs of resolution today.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let duration = Duration::try_from_secs_f64(seconds).ok()?;
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        (nanos <= Self::MAX.0).then_some(Self(nanos))
    }

    /// From RFC 3339 text, such as `2026-11-20T21:03:47.101976+00:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(timestamp.as_nanosecond()).ok().map(Self::from_nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this one, zero when `earlier` is the later of the two.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same in seconds, as metrics and span attributes carry durations.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        // Dividing the integer keeps 0.1 + 0.2 style residue out of recorded durations.
        self.0.saturating_sub(earlier.0) as f64 / NANOS as f64
    }

    /// This time less a duration, never before [`Timestamp::MIN`].
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// This time plus a duration, never past [`Timestamp::MAX`].
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self::from_nanos(self.0.saturating_add(nanos))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_nanos(since.as_secs().saturating_mul(NANOS).saturating_add(since.subsec_nanos().into()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(timestamp) => write!(f, "{timestamp:.9}"),
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time: RFC 3339 text or seconds since the epoch")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
                Timestamp::from_seconds(seconds)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
                seconds
                    .checked_mul(NANOS)
                    .filter(|nanos| *nanos <= Timestamp::MAX.0)
                    .map(Timestamp)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Read)
        } else {
            u64::deserialize(deserializer).map(Self::from_nanos)
        }
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "RFC 3339 text, or seconds since the Unix epoch",
            "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "number", "minimum": 0 }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_airflow_and_python_write() {
        let text = Timestamp::parse("2026-11-20T21:03:47.101976+00:00").unwrap();
        assert_eq!(text.as_nanos(), 1_795_208_627_101_976_000);
        assert_eq!(text.to_string(), "2026-11-20T21:03:47.101976000Z");
        let number: Timestamp = serde_json::from_str("1795208627.5").unwrap();
        assert_eq!(number.as_nanos(), 1_795_208_627_500_000_000);
        assert_eq!(serde_json::from_str::<Timestamp>("1795208627").unwrap().as_nanos() % NANOS, 0);
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["\"yesterday\"", "-1", "1e300", "\"\"", "true", "99999999999999"] {
            assert!(serde_json::from_str::<Timestamp>(text).is_err(), "{text}");
        }
        assert_eq!(Timestamp::from_seconds(f64::NAN), None);
    }

    #[test]
    fn json_round_trips_to_the_nanosecond() {
        let time = Timestamp::from_nanos(1_795_208_627_101_976_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }
}
