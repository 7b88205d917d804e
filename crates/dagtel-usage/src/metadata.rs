//! The compressed metadata of a DAG: JSON text, zlib at its highest level, base64.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dagtel_otlp::capped::{ZlibError, unzlib};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::json::{self, Dict, Excess, JsonError, Value};
use crate::limits::{METADATA_JSON_BYTES, METADATA_TEXT_BYTES};

/// Why metadata could not be read, or would not be readable. No variant shows any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The compressed text is too long.
    #[error("the compressed text has {len} bytes and at most {METADATA_TEXT_BYTES} are accepted")]
    TextTooLong {
        /// Its bytes.
        len: usize,
    },
    /// The text has a character outside ASCII.
    #[error("the text has a character that is not ASCII at byte {at}, so it is no base64")]
    NotAscii {
        /// The byte, from 0.
        at: usize,
    },
    /// The number of base64 characters is one that no data has.
    #[error("the base64 text is one character too long or several too short")]
    Base64Length,
    /// The last group of base64 characters is not filled up with `=`.
    #[error("the base64 text lacks padding; its end was cut off")]
    Base64Padding,
    /// The data is not zlib, or damaged.
    #[error("the data is no zlib stream, or a damaged one")]
    NotZlib,
    /// The zlib stream is not complete.
    #[error("the zlib stream is cut off")]
    Truncated,
    /// The JSON text is too long, whatever it was compressed to.
    #[error("the JSON text is longer than the {METADATA_JSON_BYTES} bytes that are accepted")]
    JsonTooLong,
    /// The text inside is not UTF-8.
    #[error("the text inside is no UTF-8 at byte {at}")]
    NotUtf8 {
        /// The byte, from 0.
        at: usize,
    },
    /// The text inside is no JSON, or JSON beyond the limits.
    #[error("the text inside is no JSON that is accepted: {0}")]
    Json(#[from] JsonError),
    /// The JSON inside is something else than an object.
    #[error("the JSON inside is no object")]
    NotAnObject,
}

/// The JSON text of `metadata`, byte for byte what the original compresses.
///
/// # Errors
///
/// When it is beyond the limits within which [`decompress`] reads.
pub fn to_json(metadata: &Dict) -> Result<String, MetadataError> {
    let json = json::write(metadata).map_err(|excess| match excess {
        Excess::Depth => JsonError::TooDeep,
        Excess::Values => JsonError::TooManyValues,
    })?;
    if json.len() > METADATA_JSON_BYTES { Err(MetadataError::JsonTooLong) } else { Ok(json) }
}

/// Reads metadata, or the metrics of an event, from the JSON text of an object.
///
/// # Errors
///
/// When it is too long, no JSON, or something else than an object.
pub fn from_json(json: &str) -> Result<Dict, MetadataError> {
    if json.len() > METADATA_JSON_BYTES {
        return Err(MetadataError::JsonTooLong);
    }
    match json::parse(json)? {
        Value::Dict(metadata) => Ok(*metadata),
        _ => Err(MetadataError::NotAnObject),
    }
}

/// Compresses `metadata` to a text that [`decompress`] and the original read. It is the original's own byte for byte
/// with the feature `zlib`; without it the compressor is another one, and only short texts come out the same.
///
/// # Errors
///
/// When it is beyond the limits within which [`decompress`] reads.
pub fn compress(metadata: &Dict) -> Result<String, MetadataError> {
    let json = to_json(metadata)?;
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(json.len() / 4 + 64), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(json.as_bytes());
    let text = STANDARD.encode(encoder.finish().unwrap_or_default());
    if text.len() > METADATA_TEXT_BYTES {
        return Err(MetadataError::TextTooLong { len: text.len() });
    }
    Ok(text)
}

/// Reads what [`compress`] or the original wrote. As in the original, characters outside the base64 alphabet are
/// skipped and bytes behind the zlib stream ignored; unlike there, the size is limited and something else than an
/// object refused.
///
/// # Errors
///
/// One for each way in which a text can be bad.
///
/// ```
/// use dagtel_usage::metadata::{MetadataError, compress, decompress};
///
/// assert!(decompress("eNqrrgUAAXUA+Q==")?.is_empty());
/// assert_eq!(decompress("invalid_base64_data!"), Err(MetadataError::Base64Length));
/// # Ok::<(), MetadataError>(())
/// ```
pub fn decompress(text: &str) -> Result<Dict, MetadataError> {
    if text.len() > METADATA_TEXT_BYTES {
        return Err(MetadataError::TextTooLong { len: text.len() });
    }
    let json = unzlib(&from_base64(text)?, METADATA_JSON_BYTES).map_err(|error| match error {
        ZlibError::OutputTooLarge { .. } => MetadataError::JsonTooLong,
        ZlibError::Truncated => MetadataError::Truncated,
        _ => MetadataError::NotZlib,
    })?;
    let json =
        std::str::from_utf8(&json).map_err(|error| MetadataError::NotUtf8 { at: error.valid_up_to() })?;
    from_json(json)
}

/// What [`decompress`] gives, or nothing: a DAG without metadata, or with bad metadata, which is a warning.
pub fn decompress_or_empty(text: Option<&str>) -> Dict {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Dict::new() };
    decompress(text).unwrap_or_else(|error| {
        tracing::warn!("Failed to decompress telemetry metadata: {error}");
        Dict::new()
    })
}

/// Base64 by the lenient rules of Python's `binascii`: what is not of the alphabet is skipped, and the first padding
/// that fills up a group ends the data.
fn from_base64(text: &str) -> Result<Vec<u8>, MetadataError> {
    if let Some(at) = text.bytes().position(|byte| !byte.is_ascii()) {
        return Err(MetadataError::NotAscii { at });
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    // The bits of the group so far, how many characters they are from, and how much padding has come since the last
    // one.
    let (mut group, mut length, mut padding) = (0_u32, 0, 0);
    for byte in text.bytes() {
        if byte == b'=' {
            padding += 1;
            if length >= 2 && length + padding >= 4 {
                return Ok(out);
            }
            continue;
        }
        let Some(bits) = sextet(byte) else { continue };
        (group, length, padding) = (group << 6 | bits, length + 1, 0);
        // The second character of a group completes its first byte, the third and the fourth one more each.
        if length > 1 {
            let [.., complete] = (group >> (8 - 2 * length)).to_be_bytes();
            out.push(complete);
        }
        length %= 4;
    }
    match length {
        0 => Ok(out),
        1 => Err(MetadataError::Base64Length),
        _ => Err(MetadataError::Base64Padding),
    }
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}
