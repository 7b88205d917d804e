//! Attribute keys and values, the part of OpenTelemetry's attribute model that events use.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
pub use smol_str::SmolStr;

/// One attribute: a key of the catalogue or the user's own, and its value.
pub type Attribute = (SmolStr, Value);

/// The value of an attribute.
///
/// Strings of up to 23 bytes and static ones cost no allocation ([`SmolStr`]). A list holds strings only, which is all
/// the telemetry contract needs (`execution_modes`, `upstream_task_ids`).
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double. Values that are not finite are left out where they would make invalid output.
    Float(f64),
    /// Text.
    Str(#[schemars(with = "String")] SmolStr),
    /// A list of texts.
    List(#[schemars(with = "Vec<String>")] Vec<SmolStr>),
}

impl Value {
    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Int(_) => 1,
            Self::Float(_) => 2,
            Self::Str(_) => 3,
            Self::List(_) => 4,
        }
    }
}

// A total order, so that two facts of one strength and one time are always settled the same way.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Str(a), Self::Str(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

macro_rules! from {
    ($($ty:ty => $variant:ident),* $(,)?) => {
        $(impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, &str => Str, String => Str, SmolStr => Str,
    Vec<SmolStr> => List,
}
