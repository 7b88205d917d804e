//! The header of a segment file.

use super::array;
use crate::id::{Class, StreamId, WriterId};

/// Bytes of a file header.
pub(crate) const FILE_HEADER: usize = 48;
const MAGIC: [u8; 8] = *b"SPOOLSEG";
const VERSION: u16 = 1;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) stream: StreamId,
    pub(crate) segment: u64,
    /// The number of the first record in it, so that a reader knows what is gone before it.
    pub(crate) first_seq: u64,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
}

/// Why a file header is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not these bytes, or damaged ones, or another segment's.
    Damaged,
    /// Whole, but of a version that is not ours.
    Version(u16),
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10] = self.stream.class.code();
        bytes[12..20].copy_from_slice(&self.stream.writer.0.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.segment.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.created.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of what its name says is this segment.
    pub(crate) fn decode(bytes: &[u8], stream: StreamId, segment: u64) -> Result<Self, HeaderError> {
        let whole = bytes.len() >= FILE_HEADER && bytes[0..8] == MAGIC;
        if !whole || u32::from_le_bytes(array(bytes, 44)) != crc32fast::hash(&bytes[..44]) {
            return Err(HeaderError::Damaged);
        }
        let version = u16::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let writer = WriterId(u64::from_le_bytes(array(bytes, 12)));
        let class = Class::from_code(bytes[10]).ok_or(HeaderError::Damaged)?;
        let header = Self {
            stream: StreamId::new(writer, class),
            segment: u64::from_le_bytes(array(bytes, 20)),
            first_seq: u64::from_le_bytes(array(bytes, 28)),
            created: u64::from_le_bytes(array(bytes, 36)),
        };
        let expected = header.stream == stream && header.segment == segment;
        expected.then_some(header).ok_or(HeaderError::Damaged)
    }
}

/// What the CRC of each record header in this segment begins with. It comes from the names of file and directory, so
/// that a damaged file header costs no record, and a copy of a record elsewhere is not taken for one.
pub(crate) fn seed(stream: StreamId, segment: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&stream.writer.0.to_le_bytes());
    hasher.update(&segment.to_le_bytes());
    hasher.update(&[stream.class.code()]);
    hasher.finalize()
}
