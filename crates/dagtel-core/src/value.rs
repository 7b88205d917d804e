//! Attribute keys and values, the part of OpenTelemetry's attribute model that events use.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use smol_str::SmolStr;

/// One attribute: a key of the catalogue or the user's own, and its value.
pub type Attribute = (SmolStr, Value);

/// A text that a program gives: a literal is kept as it is, without copying it, and a `String` with the buffer it has, so
/// that giving one costs the program's thread neither an allocation nor a release.
///
/// A text that is borrowed for a shorter time has to be copied by whoever gives it, so that the copy can be seen
/// (`name.to_owned()`, or [`SmolStr::new`], which allocates nothing for up to 23 bytes).
///
/// ```
/// use dagtel_core::value::{SmolStr, Text};
///
/// let literal: Text = "a literal of any length costs nothing".into();
/// assert!(!SmolStr::from(literal).is_heap_allocated());
/// ```
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Smol(SmolStr),
    Owned(Box<str>),
}

// As small as either of them: values are moved a lot.
const _: () = assert!(size_of::<Text>() == size_of::<SmolStr>());

impl Text {
    /// A literal.
    #[inline]
    pub const fn new_static(text: &'static str) -> Self {
        Self(Repr::Smol(SmolStr::new_static(text)))
    }

    /// The text itself.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Smol(text) => text,
            Repr::Owned(text) => text,
        }
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SmolStr::deserialize(deserializer).map(Self::from)
    }
}

impl From<&'static str> for Text {
    #[inline]
    fn from(text: &'static str) -> Self {
        Self::new_static(text)
    }
}

impl From<String> for Text {
    #[inline]
    fn from(text: String) -> Self {
        Self(Repr::Owned(text.into_boxed_str()))
    }
}

impl From<SmolStr> for Text {
    #[inline]
    fn from(text: SmolStr) -> Self {
        Self(Repr::Smol(text))
    }
}

impl From<Text> for SmolStr {
    #[inline]
    fn from(text: Text) -> Self {
        match text.0 {
            Repr::Smol(text) => text,
            Repr::Owned(text) => text.into(),
        }
    }
}

/// The value of an attribute.
///
/// Static strings cost no allocation, others keep the buffer they came in ([`Text`]). A list holds strings only, which is all
/// the telemetry contract needs (`execution_modes`, `upstream_task_ids`).
///
/// In JSON it is the plain value; binary forms, which do not say of what type a value is, carry that beside it.
#[derive(Clone, Debug, schemars::JsonSchema)]
#[schemars(untagged)]
#[non_exhaustive]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A double. Values that are not finite are left out where they would make invalid output.
    Float(f64),
    /// Text.
    Str(#[schemars(with = "String")] Text),
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

#[derive(Serialize, Deserialize)]
#[serde(remote = "Value", untagged)]
enum Plain {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    List(Vec<SmolStr>),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
enum Tagged {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    List(Vec<SmolStr>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Plain::serialize(self, serializer)
        } else {
            Tagged::serialize(self, serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Plain::deserialize(deserializer)
        } else {
            Tagged::deserialize(deserializer)
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
            #[inline]
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, String => Str, SmolStr => Str, Text => Str,
    Vec<SmolStr> => List,
}

/// A literal, which is not copied; see [`Text`].
impl From<&'static str> for Value {
    #[inline]
    fn from(text: &'static str) -> Self {
        Self::Str(Text::new_static(text))
    }
}
