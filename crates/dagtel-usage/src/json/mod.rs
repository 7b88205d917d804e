//! JSON as Python's `json` module reads and writes it by default, and the same values as Python's `str` shows them.
//!
//! Unlike JSON for machines it keeps integers of any size, tells `1` from `1.0`, has `NaN` and the infinities, keeps
//! the order of keys (the last of equal keys wins and stays where the first stood), and writes floats by Python's
//! `repr`.

mod float;
mod python;
mod read;
mod write;

pub use python::text_of;
pub use read::JsonError;
pub(crate) use read::parse;
pub(crate) use write::{Excess, write};

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "JSON has no more kinds")]
pub enum Value {
    /// `None`
    Null,
    /// `True`, `False`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that does not fit into 64 bits.
    BigInt(BigInt),
    /// A float, NaN and the infinities among them.
    Float(f64),
    /// A text.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// A dict.
    Dict(Box<Dict>),
}

/// Values by name, in the order in which the names first came.
pub type Dict = indexmap::IndexMap<String, Value>;

/// An integer beyond [`i64`], of at most [`INTEGER_DIGITS`](crate::limits::INTEGER_DIGITS) digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

impl BigInt {
    /// Its decimal digits, behind a minus if it is negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::BigInt(BigInt(value.to_string())), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value)
    }
}

impl From<Dict> for Value {
    fn from(value: Dict) -> Self {
        Self::Dict(Box::new(value))
    }
}

/// `None` for a value that is not there.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
