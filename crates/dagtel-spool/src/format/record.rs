//! A record: a header of 32 bytes and the payload.

use super::array;
use crate::{id::Class, limits};

/// Bytes of a record header.
pub(crate) const RECORD_HEADER: usize = 32;
/// The first bytes of each record; a reader that lost its way looks for them.
pub(crate) const MAGIC: [u8; 4] = [0xD5, b'R', b'E', b'C'];

/// Where a record is: part of what its header's CRC covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) seed: u32,
    pub(crate) offset: u64,
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) len: u32,
    pub(crate) kind: u8,
    pub(crate) class: Class,
    pub(crate) items: u32,
    pub(crate) seq: u64,
    pub(crate) payload_crc: u32,
}

impl RecordHeader {
    /// The header at the beginning of `bytes`, if it is whole and belongs there.
    pub(crate) fn decode(bytes: &[u8], place: Place) -> Option<Self> {
        if bytes.len() < RECORD_HEADER || bytes[..4] != MAGIC {
            return None;
        }
        if u32::from_le_bytes(array(bytes, 4)) != header_crc(bytes, place) {
            return None;
        }
        let header = Self {
            len: u32::from_le_bytes(array(bytes, 8)),
            kind: bytes[12],
            class: Class::from_code(bytes[13])?,
            items: u32::from_le_bytes(array(bytes, 16)),
            seq: u64::from_le_bytes(array(bytes, 20)),
            payload_crc: u32::from_le_bytes(array(bytes, 28)),
        };
        (header.len as usize <= limits::PAYLOAD_BYTES).then_some(header)
    }

    /// Bytes of the record.
    pub(crate) fn size(&self) -> usize {
        RECORD_HEADER + self.len as usize
    }
}

/// Appends a record to `buffer`. The caller has checked the payload's length.
pub(crate) fn encode(
    buffer: &mut Vec<u8>,
    place: Place,
    class: Class,
    seq: u64,
    (kind, items, payload): (u8, u32, &[u8]),
) {
    let mut header = [0; RECORD_HEADER];
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    header[0..4].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&len.to_le_bytes());
    header[12] = kind;
    header[13] = class.code();
    header[16..20].copy_from_slice(&items.to_le_bytes());
    header[20..28].copy_from_slice(&seq.to_le_bytes());
    header[28..32].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let crc = header_crc(&header, place);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(payload);
}

/// The number of the first of these records, which we wrote ourselves.
pub(crate) fn first_seq(records: &[u8]) -> Option<u64> {
    (records.len() >= RECORD_HEADER).then(|| u64::from_le_bytes(array(records, 20)))
}

/// The numbers of the records that are whole in these bytes, which we wrote ourselves, and where each ends.
fn ends(records: &[u8]) -> impl Iterator<Item = (u64, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let header = records.get(at..at + RECORD_HEADER)?;
        at += RECORD_HEADER + u32::from_le_bytes(array(header, 8)) as usize;
        (at <= records.len()).then(|| (u64::from_le_bytes(array(header, 20)), at))
    })
}

/// The numbers of the records that are whole in these bytes.
pub(crate) fn seqs(records: &[u8]) -> impl Iterator<Item = u64> {
    ends(records).map(|(seq, _)| seq)
}

/// The number of the last record that is whole in these bytes.
pub(crate) fn last_whole_seq(records: &[u8]) -> Option<u64> {
    seqs(records).last()
}

/// Where the records from this number on begin.
pub(crate) fn offset_of(records: &[u8], from: u64) -> usize {
    ends(records).take_while(|&(seq, _)| seq < from).last().map_or(0, |(_, end)| end)
}

/// Makes these records, which we wrote ourselves, belong to another place.
pub(crate) fn relocate(records: &mut [u8], to: Place) {
    let mut at = 0;
    while at + RECORD_HEADER <= records.len() {
        let place = Place { seed: to.seed, offset: to.offset + at as u64 };
        let crc = header_crc(&records[at..at + RECORD_HEADER], place);
        records[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at += RECORD_HEADER + u32::from_le_bytes(array(records, at + 8)) as usize;
    }
}

fn header_crc(header: &[u8], place: Place) -> u32 {
    let mut covered = [0; 8 + RECORD_HEADER - 8];
    covered[..8].copy_from_slice(&place.offset.to_le_bytes());
    covered[8..].copy_from_slice(&header[8..RECORD_HEADER]);
    let mut hasher = crc32fast::Hasher::new_with_initial(place.seed);
    hasher.update(&covered);
    hasher.finalize()
}
