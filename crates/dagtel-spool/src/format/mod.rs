//! The bytes of a segment: pure functions, no files. The crate's documentation is their specification.

mod header;
mod name;
mod record;
mod scan;

pub(crate) use header::{FILE_HEADER, FileHeader, HeaderError, seed};
pub(crate) use name::{SegmentName, State};
pub(crate) use record::{
    Place, RECORD_HEADER, RecordHeader, encode, first_seq, last_whole_seq, offset_of, relocate, seqs,
};
pub(crate) use scan::{Step, step};

/// The bytes at an offset; the caller has checked the length.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(part) = bytes.get(at..at + N) {
        array.copy_from_slice(part);
    }
    array
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_polynomial_is_crc_32_iso_hdlc() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
    }
}
