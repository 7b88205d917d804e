//! The values of a series' tags, in the order that the catalogue gives them.

use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::catalog::metric::MAX_TAGS;
use crate::limits;

/// The tag values that identify a series. An empty value is a tag that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TagSet([SmolStr; MAX_TAGS]);

impl TagSet {
    /// The values, beside the names of a metric's [`Definition`](crate::catalog::metric::Definition).
    pub fn values(&self) -> &[SmolStr] {
        &self.0
    }

    /// Takes out the values of which is said so.
    pub(super) fn clear(&mut self, cleared: impl IntoIterator<Item = bool>) {
        for (value, _) in self.0.iter_mut().zip(cleared).filter(|(_, cleared)| *cleared) {
            *value = SmolStr::default();
        }
    }
}

/// A [`TagSet`] that borrows, so that finding a known series allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagRefs<'a>([&'a str; MAX_TAGS]);

impl<'a> TagRefs<'a> {
    /// From the values in the catalogue's order, each within [`limits::TAG_BYTES`]; `None` for one that is not known.
    pub fn new(values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut tags = [""; MAX_TAGS];
        for (tag, value) in tags.iter_mut().zip(values) {
            *tag = limits::clip(value.unwrap_or_default(), limits::TAG_BYTES);
        }
        Self(tags)
    }
}

// Both hash alike, as `Equivalent` asks for.
impl Hash for TagSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|tag| tag.as_str().hash(state));
    }
}

impl Hash for TagRefs<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|tag| tag.hash(state));
    }
}

impl Equivalent<TagSet> for TagRefs<'_> {
    fn equivalent(&self, key: &TagSet) -> bool {
        self.0.iter().zip(&key.0).all(|(a, b)| *a == b.as_str())
    }
}

impl From<&TagRefs<'_>> for TagSet {
    fn from(tags: &TagRefs<'_>) -> Self {
        Self(tags.0.map(SmolStr::new))
    }
}
