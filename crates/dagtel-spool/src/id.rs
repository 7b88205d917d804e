//! What is what in a spool: classes, writers, streams, and places in a stream.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How much a record is worth when there is not room for all.
#[expect(clippy::exhaustive_enums, reason = "the format knows two; a third one would be another format")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Kept while there is any detail to remove.
    Lifecycle,
    /// Removed first.
    Detail,
}

impl Class {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Lifecycle, Self::Detail];

    /// The name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Detail => "detail",
        }
    }

    /// The number in file headers and records.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Lifecycle => 0,
            Self::Detail => 1,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A writer: 16 hex digits, drawn at its first append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WriterId(pub(crate) u64);

impl WriterId {
    /// The id that is this number.
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The id as a number.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text that is no writer or stream of a spool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a stream; write 16 hex digits, for a stream also `.lifecycle` or `.detail`")]
pub struct IdError(String);

impl FromStr for WriterId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| IdError(text.to_owned()))
    }
}

impl TryFrom<String> for WriterId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<WriterId> for String {
    fn from(id: WriterId) -> Self {
        id.to_string()
    }
}

/// The records of one class by one writer. Order is kept within a stream, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub struct StreamId {
    /// Who writes it.
    pub writer: WriterId,
    /// Of which class its records are.
    pub class: Class,
}

impl StreamId {
    /// The records of this class by this writer.
    pub fn new(writer: WriterId, class: Class) -> Self {
        Self { writer, class }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.writer, self.class)
    }
}

impl FromStr for StreamId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let unknown = || IdError(text.to_owned());
        let (writer, class) = text.split_once('.').ok_or_else(unknown)?;
        let class = Class::from_name(class).ok_or_else(unknown)?;
        Ok(Self { writer: writer.parse().map_err(|_| unknown())?, class })
    }
}

impl TryFrom<String> for StreamId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.to_string()
    }
}

/// A place in a stream: the record there has the number `seq`, or a higher one if records are gone.
/// The default is the very beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "users keep positions in formats of their own")]
pub struct Position {
    /// The segment, counted from 1.
    pub segment: u64,
    /// The byte in the segment's file.
    pub offset: u64,
    /// The record, counted from 1 over all segments of the stream.
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let stream = StreamId::new(WriterId(0xab), Class::Detail);
        assert_eq!(stream.to_string(), "00000000000000ab.detail");
        assert_eq!(stream.to_string().parse(), Ok(stream));
        for bad in ["", "ab.detail", "00000000000000AB.detail", "00000000000000ab.other", "+0000000000000ab"]
        {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }
}
