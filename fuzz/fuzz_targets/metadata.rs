//! The compressed metadata of a DAG: whatever can be read is within the limits, and is written and read as the same again.

#![no_main]

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dagtel_usage::json::Dict;
use dagtel_usage::limits::{METADATA_JSON_BYTES, METADATA_TEXT_BYTES};
use dagtel_usage::metadata::{MetadataError, compress, decompress, from_json, to_json};
use flate2::{Compression, write::ZlibEncoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((mode, data)) = data.split_first() else { return };
    // Bytes inside of zlib and base64 that are right, inside of base64 alone, or as they are.
    let text = match mode % 3 {
        0 => STANDARD.encode(deflated(data)),
        1 => STANDARD.encode(data),
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    if let Ok(metadata) = decompress(&text) {
        again(&metadata);
    }
    let read = std::str::from_utf8(data).ok().map(from_json);
    if let Some(Ok(metadata)) = read {
        again(&metadata);
        if *mode == 0 && text.len() <= METADATA_TEXT_BYTES {
            assert_eq!(decompress(&text).map(|read| to_json(&read)), Ok(to_json(&metadata)));
        }
    }
});

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Texts are compared, because NaN is not equal to itself.
fn again(metadata: &Dict) {
    // Escapes may make it longer than it came.
    let Ok(json) = to_json(metadata) else { return };
    assert!(json.len() <= METADATA_JSON_BYTES);
    assert_eq!(from_json(&json).and_then(|read| to_json(&read)).as_ref(), Ok(&json));
    match compress(metadata) {
        Ok(text) => assert_eq!(decompress(&text).and_then(|read| to_json(&read)), Ok(json)),
        Err(error) => assert!(matches!(error, MetadataError::TextTooLong { .. }), "{error:?}"),
    }
}
