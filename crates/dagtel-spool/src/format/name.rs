//! The names of segment files: `000000000001.detail.open`.

use std::ffi::OsStr;

use crate::id::Class;

/// Where a segment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Being made: nobody but its writer looks at it.
    New,
    /// Its writer appends to it and holds its lock; without the lock, its writer is dead.
    Open,
    /// Never written again.
    Sealed,
}

impl State {
    fn extension(self) -> &'static str {
        match self {
            Self::New => "tmp",
            Self::Open => "open",
            Self::Sealed => "seg",
        }
    }
}

/// The name of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) class: Class,
    pub(crate) number: u64,
    pub(crate) state: State,
}

impl SegmentName {
    pub(crate) fn file_name(&self) -> String {
        format!("{:012}.{}.{}", self.number, self.class, self.state.extension())
    }

    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let mut parts = name.split('.');
        let (number, class, extension) = (parts.next()?, parts.next()?, parts.next()?);
        let state = [State::New, State::Open, State::Sealed]
            .into_iter()
            .find(|state| state.extension() == extension)?;
        let parsed = Self { class: Class::from_name(class)?, number: number.parse().ok()?, state };
        // Only the one spelling that we write: `+1` and `01` are numbers too.
        (parsed.number > 0 && parsed.file_name() == name).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_segments() {
        let name = SegmentName { class: Class::Detail, number: 7, state: State::Open };
        assert_eq!(name.file_name(), "000000000007.detail.open");
        assert_eq!(SegmentName::parse(OsStr::new("000000000007.detail.open")), Some(name));
        for other in ["7.detail.open", "000000000000.detail.seg", "000000000007.detail.seg.x", "reserve", ""]
        {
            assert_eq!(SegmentName::parse(OsStr::new(other)), None, "{other}");
        }
    }
}
