//! The only decompressors of the project, for gzip and zlib: they stop at a limit.
//!
//! A few kilobytes of gzip can unfold to gigabytes, so whoever decompresses what a stranger sent must say beforehand
//! how much memory it may cost. `clippy.toml` bans flate2's own decoders everywhere else; this file is the way around
//! the ban, and it never holds more than the caller's limit (plus one byte, which proves that the limit was passed).
//!
//! The whole input of [`gunzip`] must be gzip: one member or several in a row, each complete and with the right
//! checksum. Anything behind the last member is an error, because a request that carries more than it declares was
//! cut or glued wrongly. [`unzlib`] leaves alone what follows the one stream, as zlib's own readers do.

use std::io::{ErrorKind, Read};

#[allow(
    clippy::disallowed_types,
    reason = "the one place where the raw decoders are wrapped in a limit"
)]
use flate2::bufread::{GzDecoder, ZlibDecoder};

/// The two bytes every gzip member begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Why a gzip body was not decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CappedError {
    /// The compressed input alone is larger than allowed; nothing was decompressed.
    #[error("the gzip body has {len} bytes and at most {limit} are accepted; send smaller batches")]
    InputTooLarge {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The output passed its limit; decompression stopped there.
    #[error("the gzip body unfolds to more than the {limit} bytes accepted; send smaller batches")]
    OutputTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The input ends inside a gzip member.
    #[error("the gzip body ends in the middle of its data; it was cut on the way, send it again")]
    Truncated,
    /// A complete gzip member is followed by bytes that are not another one.
    #[error("the gzip body is followed by {len} bytes that are not gzip; send the compressed data alone")]
    TrailingGarbage {
        /// Bytes left over.
        len: usize,
    },
    /// The input is not gzip, or it is damaged.
    #[error(
        "the body is not valid gzip ({reason}); compress it with gzip or leave out the gzip content encoding"
    )]
    Invalid {
        /// What the decoder found.
        reason: String,
    },
}

/// Decompresses `input` to at most `max_out` bytes.
///
/// # Errors
///
/// [`CappedError`] when the output would be larger than `max_out`, or when the input is not complete, clean gzip.
///
/// # Examples
///
/// ```
/// use dagtel_otlp::capped::{CappedError, gunzip};
///
/// assert!(matches!(gunzip(b"plain text", 1024), Err(CappedError::Invalid { .. })));
/// ```
pub fn gunzip(input: &[u8], max_out: usize) -> Result<Vec<u8>, CappedError> {
    if !input.starts_with(&MAGIC) && !MAGIC.starts_with(input) {
        return Err(CappedError::Invalid { reason: "it does not begin like gzip".to_owned() });
    }
    let mut out = Vec::new();
    let mut rest = input;
    loop {
        rest = unfold_member(rest, &mut out, max_out)?;
        if rest.is_empty() {
            return Ok(out);
        }
        if !rest.starts_with(&MAGIC) {
            return Err(CappedError::TrailingGarbage { len: rest.len() });
        }
    }
}

/// Like [`gunzip`], and refuses an input of more than `max_in` bytes before looking at it.
///
/// # Errors
///
/// [`CappedError::InputTooLarge`], and everything [`gunzip`] returns.
pub fn gunzip_within(input: &[u8], max_in: usize, max_out: usize) -> Result<Vec<u8>, CappedError> {
    if input.len() > max_in {
        return Err(CappedError::InputTooLarge { len: input.len(), limit: max_in });
    }
    gunzip(input, max_out)
}

/// Why zlib data was not decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZlibError {
    /// The output passed its limit; decompression stopped there.
    #[error("the data unfolds to more than the {limit} bytes accepted")]
    OutputTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The input ends before its stream does.
    #[error("the data ends in the middle of the zlib stream; it was cut on the way")]
    Truncated,
    /// The input does not begin like zlib, is damaged, or its checksum is wrong.
    #[error("the data is no zlib stream, or a damaged one")]
    Invalid,
}

/// Decompresses the zlib stream that `input` begins with, to at most `max_out` bytes. What follows it is ignored.
///
/// # Errors
///
/// [`ZlibError`] when the output would be larger than `max_out`, or when the stream is not complete and undamaged.
#[allow(clippy::disallowed_types, reason = "the one place where the raw decoder is wrapped in a limit")]
pub fn unzlib(input: &[u8], max_out: usize) -> Result<Vec<u8>, ZlibError> {
    let mut out = Vec::new();
    let mut limited = ZlibDecoder::new(input).take((max_out as u64).saturating_add(1));
    limited.read_to_end(&mut out).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => ZlibError::Truncated,
        _ => ZlibError::Invalid,
    })?;
    if out.len() > max_out {
        return Err(ZlibError::OutputTooLarge { limit: max_out });
    }
    Ok(out)
}

/// Appends one member to `out` and returns what follows it.
#[allow(clippy::disallowed_types, reason = "the one place where the raw decoder is wrapped in a limit")]
fn unfold_member<'a>(input: &'a [u8], out: &mut Vec<u8>, max_out: usize) -> Result<&'a [u8], CappedError> {
    let room = max_out.saturating_sub(out.len()) as u64;
    let mut limited = GzDecoder::new(input).take(room.saturating_add(1));
    limited.read_to_end(out).map_err(|error| explain(&error))?;
    if out.len() > max_out {
        return Err(CappedError::OutputTooLarge { limit: max_out });
    }
    Ok(limited.into_inner().into_inner())
}

fn explain(error: &std::io::Error) -> CappedError {
    match error.kind() {
        ErrorKind::UnexpectedEof => CappedError::Truncated,
        _ => CappedError::Invalid { reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::{GzEncoder, ZlibEncoder};
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    const MIB: usize = 1 << 20;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// A gigabyte of zeros in about a megabyte. One compressed mebibyte, ended by a full flush, may stand any number
    /// of times in a row; the missing end does not matter, because nobody may get that far.
    fn bomb() -> Vec<u8> {
        let mut encoder = Compress::new(Compression::best(), false);
        let mut piece = Vec::with_capacity(MIB);
        encoder.compress_vec(&vec![0; MIB], &mut piece, FlushCompress::Full).unwrap();
        assert_eq!(encoder.total_in(), MIB as u64);
        let header = gzip(b"")[..10].to_vec();
        [header, piece.repeat(1024)].concat()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for data in [&b""[..], b"x", &[7; 100_000]] {
            assert_eq!(gunzip(&gzip(data), 100_000).unwrap(), data);
        }
    }

    #[test]
    fn the_output_may_fill_the_limit_and_not_pass_it() {
        let packed = gzip(&[1; 1000]);
        assert_eq!(gunzip(&packed, 1000).unwrap().len(), 1000);
        assert_eq!(gunzip(&packed, 999), Err(CappedError::OutputTooLarge { limit: 999 }));
        assert_eq!(gunzip(&packed, 0), Err(CappedError::OutputTooLarge { limit: 0 }));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = bomb();
        assert!(bomb.len() < 2 * MIB, "the bomb itself is small: {} bytes", bomb.len());
        let mut out = Vec::new();
        let end = unfold_member(&bomb, &mut out, 16 * MIB);
        assert_eq!(end, Err(CappedError::OutputTooLarge { limit: 16 * MIB }));
        assert!(out.len() <= 16 * MIB + 1 && out.capacity() <= 33 * MIB, "{} bytes held", out.capacity());
        assert_eq!(gunzip(&bomb, 16 * MIB), Err(CappedError::OutputTooLarge { limit: 16 * MIB }));
    }

    #[test]
    fn members_in_a_row_share_one_limit() {
        let twice = [gzip(&[1; 600]), gzip(&[2; 600])].concat();
        assert_eq!(gunzip(&twice, 1200).unwrap().len(), 1200);
        assert_eq!(gunzip(&twice, 1199), Err(CappedError::OutputTooLarge { limit: 1199 }));
    }

    #[test]
    fn a_cut_at_any_place_is_truncation() {
        let packed = gzip(b"some words that are worth compressing, some words");
        for cut in 0..packed.len() {
            assert_eq!(gunzip(&packed[..cut], 1000), Err(CappedError::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn bytes_behind_the_end_are_refused() {
        let glued = [gzip(b"data"), b"more".to_vec()].concat();
        assert_eq!(gunzip(&glued, 1000), Err(CappedError::TrailingGarbage { len: 4 }));
    }

    #[test]
    fn damage_is_invalid_and_never_a_panic() {
        let packed = gzip(b"some words that are worth compressing, some words");
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            // Some header bytes (time, system) carry no meaning; everything else must be noticed.
            if let Ok(out) = gunzip(&damaged, 1000) {
                assert_eq!(out, b"some words that are worth compressing, some words", "byte {at}");
            }
        }
        for plain in [&b"not gzip at all"[..], b"{}", b"\x1f "] {
            assert!(matches!(gunzip(plain, 10), Err(CappedError::Invalid { .. })));
        }
    }

    #[test]
    fn the_input_limit_goes_first() {
        let packed = gzip(&[1; 1000]);
        let limit = packed.len() - 1;
        let refused = CappedError::InputTooLarge { len: packed.len(), limit };
        assert_eq!(gunzip_within(&packed, limit, 1000), Err(refused));
        assert_eq!(gunzip_within(&packed, packed.len(), 1000).unwrap().len(), 1000);
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_zlib_stream_comes_back_up_to_the_limit_and_what_follows_it_is_ignored() {
        let packed = [zlib(&[1; 1000]), b"more".to_vec()].concat();
        assert_eq!(unzlib(&packed, 1000), Ok(vec![1; 1000]));
        assert_eq!(unzlib(&packed, 999), Err(ZlibError::OutputTooLarge { limit: 999 }));
        assert_eq!(unzlib(&zlib(&vec![0; 64 * MIB]), MIB), Err(ZlibError::OutputTooLarge { limit: MIB }));
    }

    #[test]
    fn a_zlib_stream_that_is_cut_or_damaged_is_refused() {
        let data = b"some words that are worth compressing, some words";
        let packed = zlib(data);
        for cut in 0..packed.len() {
            assert_eq!(unzlib(&packed[..cut], 1000), Err(ZlibError::Truncated), "cut at {cut}");
        }
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            assert!(unzlib(&damaged, 1000).is_err(), "byte {at}");
        }
        for other in [&b"not zlib at all"[..], b"{}", &gzip(data), &packed[2..]] {
            assert_eq!(unzlib(other, 1000), Err(ZlibError::Invalid));
        }
    }
}
