//! What a try used of its machine, as its events say by the attributes `memory_*` and `cpu_time_s`.
//!
//! These come again and again while a try runs, and only the last of them counts; so they are kept apart from the other
//! attributes, of which each is kept. What a try that was killed had used until then is so still known.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::told::Merged;
use crate::catalog::attribute::text as key;
use crate::event::Truth;
use crate::time::Timestamp;
use crate::value::{Attribute, Value};

/// What a try used.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resources {
    /// The most memory of all its processes together so far, in bytes.
    pub memory_peak: Option<u64>,
    /// How that was measured.
    pub memory_peak_method: SmolStr,
    /// The memory of all its processes together now, in bytes.
    pub memory_usage: Option<u64>,
    /// How that was measured.
    pub memory_usage_method: SmolStr,
    /// User and system time of all its processes together so far.
    pub cpu_time: Option<Duration>,
}

impl Resources {
    /// Takes what is about resources out of the attributes of an event.
    fn take(attributes: &mut Vec<Attribute>) -> Option<Self> {
        if !attributes.iter().any(|(name, _)| is_resource(name)) {
            return None;
        }
        let mut resources = Self::default();
        attributes.retain(|(name, value)| !resources.set(name, value));
        Some(resources)
    }

    /// Sets a field; `false` when the attribute is about something else, or not of the type that it must be.
    fn set(&mut self, name: &str, value: &Value) -> bool {
        let text = || value.as_str().map(SmolStr::new);
        match name {
            key::MEMORY_PEAK_BYTES => store(&mut self.memory_peak, bytes(value)),
            key::MEMORY_USAGE_BYTES => store(&mut self.memory_usage, bytes(value)),
            key::CPU_TIME => store(&mut self.cpu_time, seconds(value)),
            key::MEMORY_PEAK_METHOD => text().map(|method| self.memory_peak_method = method).is_some(),
            key::MEMORY_USAGE_METHOD => text().map(|method| self.memory_usage_method = method).is_some(),
            _ => false,
        }
    }
}

fn is_resource(name: &str) -> bool {
    name.starts_with("memory_") || name == key::CPU_TIME
}

fn store<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    let known = value.is_some();
    if known {
        *field = value;
    }
    known
}

fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::Int(value) => u64::try_from(*value).ok(),
        _ => None,
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    match value {
        Value::Float(value) => Duration::try_from_secs_f64(*value).ok(),
        Value::Int(value) => u64::try_from(*value).ok().map(Duration::from_secs),
        _ => None,
    }
}

/// Resources, and how strongly and since when they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measured {
    truth: Truth,
    at: Timestamp,
    pub(crate) resources: Resources,
}

impl Measured {
    fn order(&self, other: &Self) -> Ordering {
        (self.truth, self.at, &self.resources).cmp(&(other.truth, other.at, &other.resources))
    }
}

/// Takes what is about resources out of the attributes, and keeps it unless something later is known.
pub(crate) fn measure(
    known: &mut Option<Measured>,
    at: Timestamp,
    truth: Truth,
    attributes: &mut Vec<Attribute>,
) -> Merged {
    let Some(resources) = Resources::take(attributes) else { return Merged::Known };
    let told = Measured { truth, at, resources };
    match known.as_ref().map(|known| told.order(known)) {
        Some(Ordering::Equal) => Merged::Known,
        Some(Ordering::Less) => Merged::Weaker,
        Some(Ordering::Greater) | None => {
            *known = Some(told);
            Merged::News
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(millis: u64, bytes: i64, known: &mut Option<Measured>) -> Merged {
        let mut attributes = vec![
            ("rows".into(), 1i64.into()),
            ("memory_peak_bytes".into(), bytes.into()),
            ("memory_peak_method".into(), "vmhwm".into()),
            ("cpu_time_s".into(), 0.5.into()),
        ];
        let merged = measure(known, Timestamp::from_millis(millis), Truth::Reported, &mut attributes);
        assert_eq!(attributes, [("rows".into(), 1i64.into())]);
        merged
    }

    #[test]
    fn the_last_measure_counts_in_whatever_order_they_come() {
        let mut known = None;
        assert_eq!(told(2, 20, &mut known), Merged::News);
        assert_eq!(told(1, 90, &mut known), Merged::Weaker);
        assert_eq!(told(3, 30, &mut known), Merged::News);
        assert_eq!(told(3, 30, &mut known), Merged::Known);
        let resources = known.unwrap().resources;
        assert_eq!((resources.memory_peak, &*resources.memory_peak_method), (Some(30), "vmhwm"));
        assert_eq!((resources.memory_usage, resources.cpu_time), (None, Some(Duration::from_millis(500))));
    }

    #[test]
    fn what_is_not_of_its_type_stays_an_attribute() {
        let mut attributes: Vec<Attribute> = vec![
            ("memory_peak_bytes".into(), "lots".into()),
            ("cpu_time_s".into(), (-1.0).into()),
            ("memory_usage_bytes".into(), (-5i64).into()),
        ];
        let mut known = None;
        measure(&mut known, Timestamp::MIN, Truth::Reported, &mut attributes);
        assert_eq!((attributes.len(), known.unwrap().resources), (3, Resources::default()));
    }
}
