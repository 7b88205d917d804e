//! How facts about one thing are merged: commutative, associative, and without effect the second time. That is what
//! makes the fold independent of the order in which events are read.

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::anomaly::Anomaly;
use crate::event::Truth;
use crate::limits;
use crate::time::Timestamp;
use crate::value::{Attribute, Value};

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Something is known that was not.
    News,
    /// This very fact was known.
    Known,
    /// A stronger fact about the same thing was known.
    Weaker,
    /// Another fact of the same strength about the same thing is known; the earlier one counts.
    Contradicts,
}

impl Merged {
    /// What two merges of one event's parts come to.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Contradicts, _) | (_, Self::Contradicts) => Self::Contradicts,
            (Self::News, _) | (_, Self::News) => Self::News,
            (Self::Weaker, _) | (_, Self::Weaker) => Self::Weaker,
            (Self::Known, Self::Known) => Self::Known,
        }
    }

    pub(crate) fn anomaly(self) -> Option<Anomaly> {
        match self {
            Self::Known => Some(Anomaly::Duplicate),
            Self::Contradicts => Some(Anomaly::Contradiction),
            Self::News | Self::Weaker => None,
        }
    }
}

/// When something new was last said of a run or a try, by the watermarks at which the fold was looked at: the fold has
/// no clock, and the times in facts are those of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum News {
    /// Since the last look.
    NotSeen,
    /// Seen first at this watermark.
    At(Timestamp),
}

impl News {
    /// Takes a look at a watermark. Returns whether there is news.
    pub(crate) fn look(&mut self, watermark: Timestamp) -> bool {
        let news = *self == Self::NotSeen;
        if news {
            *self = Self::At(watermark);
        }
        news
    }

    /// Whether it was seen, and the watermark is past it by so much.
    pub(crate) fn is_past(self, watermark: Timestamp, wait: Duration) -> bool {
        matches!(self, Self::At(at) if watermark >= at.saturating_add(wait))
    }
}

/// A time and how strongly it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) truth: Truth,
    pub(crate) at: Timestamp,
}

/// Keeps the stronger of two; of equal ones the earlier.
pub(crate) fn tell(known: &mut Option<Told>, told: Told) -> Merged {
    tell_by(known, told, |a, b| b.truth.cmp(&a.truth).then(a.at.cmp(&b.at)), |told| told.truth)
}

/// Keeps the one that `order` puts first, and says what that means.
pub(crate) fn tell_by<T>(
    known: &mut Option<T>,
    told: T,
    order: impl Fn(&T, &T) -> Ordering,
    truth: impl Fn(&T) -> Truth,
) -> Merged {
    let Some(old) = known else {
        *known = Some(told);
        return Merged::News;
    };
    let ordering = order(&told, old);
    let merged = match (ordering, truth(&told).cmp(&truth(old))) {
        (Ordering::Equal, _) => Merged::Known,
        (_, Ordering::Equal) => Merged::Contradicts,
        (_, Ordering::Greater) => Merged::News,
        (_, Ordering::Less) => Merged::Weaker,
    };
    if ordering.is_lt() {
        *known = Some(told);
    }
    merged
}

/// Room for exactly one in a list that has none yet: most lists of a run or a try stay that short, and `Vec` begins with
/// four.
pub(super) fn room_for_one<T>(list: &mut Vec<T>) {
    if list.capacity() == 0 {
        list.reserve_exact(1);
    }
}

/// What one event added besides its change. Later facts of the same strength override earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) truth: Truth,
    pub(crate) at: Timestamp,
    pub(crate) upstream: Option<Vec<SmolStr>>,
    pub(crate) attributes: Vec<Attribute>,
}

impl Layer {
    // The strongest first, of equally strong ones the latest; the contents only settle ties.
    fn order(&self, other: &Self) -> Ordering {
        (other.truth, other.at)
            .cmp(&(self.truth, self.at))
            .then_with(|| self.attributes.cmp(&other.attributes))
            .then_with(|| self.upstream.cmp(&other.upstream))
    }
}

/// All that events added, the strongest and latest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layers(Vec<Layer>);

impl Layers {
    pub(crate) fn add(&mut self, layer: Layer) -> Merged {
        if layer.upstream.is_none() && layer.attributes.is_empty() {
            return Merged::Known;
        }
        match self.0.binary_search_by(|known| known.order(&layer)) {
            Ok(_) => Merged::Known,
            // A full list is the sign of an engine gone wild; its first layers say enough.
            Err(_) if self.0.len() >= limits::DETAILS_PER_TRY => Merged::Weaker,
            Err(place) => {
                room_for_one(&mut self.0);
                self.0.insert(place, layer);
                Merged::News
            }
        }
    }

    pub(crate) fn upstream(&self) -> Option<&[SmolStr]> {
        self.0.iter().find_map(|layer| layer.upstream.as_deref())
    }

    /// The attribute with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find_map(|layer| {
            layer.attributes.iter().find_map(|(name, value)| (name == key).then_some(value))
        })
    }

    /// The text of the attribute with this key.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Every attribute once.
    pub(crate) fn resolve(self) -> Vec<Attribute> {
        let mut layers = self.0.into_iter();
        let mut resolved = layers.next().map(|layer| layer.attributes).unwrap_or_default();
        let mut seen = Seen::default();
        dedup(&mut resolved, &mut seen);
        for layer in layers {
            let stronger = resolved.len();
            for (place, attribute) in layer.attributes.into_iter().enumerate() {
                // Hooks of one engine mostly repeat their attributes in one order: look there first.
                let same_place = place < stronger && resolved[place].0 == attribute.0;
                if !same_place && seen.first(&attribute.0, &resolved) {
                    resolved.push(attribute);
                }
            }
        }
        resolved
    }
}

fn dedup(attributes: &mut Vec<Attribute>, seen: &mut Seen) {
    let mut place = 0;
    while let Some((key, _)) = attributes.get(place) {
        if seen.first(key, &attributes[..place]) {
            place += 1;
        } else {
            attributes.remove(place);
        }
    }
}

/// Which keys may have been seen: a bit for each, so that most keys need not be compared with all before them.
#[derive(Default)]
struct Seen(u64);

impl Seen {
    /// Whether this key comes for the first time, `before` being what came until now.
    fn first(&mut self, key: &str, before: &[Attribute]) -> bool {
        let bit = Self::bit(key);
        let may_be_known = self.0 & bit != 0;
        self.0 |= bit;
        !may_be_known || !before.iter().any(|(known, _)| known == key)
    }

    /// By length and ends, mixed by the golden ratio: keys that begin alike mostly differ in these.
    fn bit(key: &str) -> u64 {
        let (first, last) = (key.as_bytes().first(), key.as_bytes().last());
        let ends = u64::from(first.copied().unwrap_or(0)) << 8 | u64::from(last.copied().unwrap_or(0)) << 16;
        1 << ((key.len() as u64 ^ ends).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(truth: Truth, millis: u64) -> Told {
        Told { truth, at: Timestamp::from_millis(millis) }
    }

    #[test]
    fn the_stronger_counts_and_of_equals_the_earlier() {
        let mut known = None;
        assert_eq!(tell(&mut known, told(Truth::Reported, 5)), Merged::News);
        assert_eq!(tell(&mut known, told(Truth::Roster, 9)), Merged::News);
        assert_eq!(tell(&mut known, told(Truth::Roster, 8)), Merged::Contradicts);
        assert_eq!(tell(&mut known, told(Truth::Roster, 8)), Merged::Known);
        assert_eq!(tell(&mut known, told(Truth::Reported, 5)), Merged::Weaker);
        assert_eq!(tell(&mut known, told(Truth::Inferred, 1)), Merged::Weaker);
        assert_eq!(known, Some(told(Truth::Roster, 8)));
    }

    #[test]
    fn later_details_override_earlier_ones() {
        let layer = |millis, value: &'static str| Layer {
            truth: Truth::Reported,
            at: Timestamp::from_millis(millis),
            upstream: None,
            attributes: vec![("k".into(), value.into()), (format!("only{millis}").into(), 1i64.into())],
        };
        let mut layers = Layers::default();
        assert_eq!(layers.add(layer(1, "early")), Merged::News);
        assert_eq!(layers.add(layer(2, "late")), Merged::News);
        assert_eq!(layers.add(layer(1, "early")), Merged::Known);
        assert_eq!(layers.text("k"), Some("late"));
        let keys: Vec<_> = layers.resolve().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["k", "only2", "only1"]);
    }
}
