//! Text that is no metadata: a typed error for each way, whatever Python's own exception was.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dagtel_usage::json::{Dict, JsonError, Value};
use dagtel_usage::limits::{METADATA_DEPTH, METADATA_JSON_BYTES, METADATA_TEXT_BYTES, METADATA_VALUES};
use dagtel_usage::metadata::{MetadataError, compress, decompress};

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn packed(data: &[u8]) -> String {
    STANDARD.encode(deflated(data))
}

/// An object with one key, nested until there are that many levels.
fn nested(levels: usize) -> Dict {
    let deeper = (2..levels).fold(Value::Dict(Box::default()), |inner, _| Value::List(vec![inner]));
    Dict::from_iter([("k".to_owned(), deeper)])
}

#[test]
fn each_way_to_be_bad_is_an_error_of_its_own() {
    let whole = deflated(b"{}");
    let mut bad_sum = whole.clone();
    *bad_sum.last_mut().unwrap() ^= 1;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(b"{}").unwrap();
    let gzip = gzip.finish().unwrap();
    for (case, text, error) in [
        ("one character too many", "eNqrrgUAAXUA+Q".to_owned() + "A", MetadataError::Base64Padding),
        ("one character of a group", "eNqrr".to_owned(), MetadataError::Base64Length),
        ("no padding", "eNqrrgUAAXUA+Q".to_owned(), MetadataError::Base64Padding),
        ("not ASCII", "eNqrrgUAAXUA+Q==é".to_owned(), MetadataError::NotAscii { at: 16 }),
        ("empty", String::new(), MetadataError::Truncated),
        ("nothing of the alphabet", "!?-_ \n".to_owned(), MetadataError::Truncated),
        ("gzip", STANDARD.encode(&gzip), MetadataError::NotZlib),
        ("raw deflate", STANDARD.encode(&whole[2..whole.len() - 4]), MetadataError::NotZlib),
        ("plain JSON", STANDARD.encode("{}"), MetadataError::NotZlib),
        ("cut off", STANDARD.encode(&whole[..whole.len() - 1]), MetadataError::Truncated),
        ("wrong checksum", STANDARD.encode(&bad_sum), MetadataError::NotZlib),
        ("not UTF-8", packed(b"{\"a\": \"\xff\"}"), MetadataError::NotUtf8 { at: 7 }),
        ("not JSON", packed(b"{]"), MetadataError::Json(JsonError::Unexpected { at: 1 })),
        ("no text at all", packed(b""), MetadataError::Json(JsonError::Unfinished)),
        ("a list", packed(b"[1]"), MetadataError::NotAnObject),
        ("a number", packed(b"1"), MetadataError::NotAnObject),
        ("a compressed one inside", packed(&whole), MetadataError::NotUtf8 { at: 3 }),
    ] {
        assert_eq!(decompress(&text), Err(error), "{case}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn what_python_lets_pass_passes_here() {
    let trailing = [deflated(b"{\"a\": 1}"), b"what follows".to_vec()].concat();
    let low = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(b"{\"a\": 1}").unwrap();
        encoder.finish().unwrap()
    };
    let broken_into_lines = packed(b"{\"a\": 1}").chars().flat_map(|letter| [letter, '\n', '!']).collect();
    for text in
        [STANDARD.encode(trailing), STANDARD.encode(low), broken_into_lines, packed(b"{\"a\": 0, \"a\": 1}")]
    {
        assert_eq!(decompress(&text), Ok(Dict::from_iter([("a".to_owned(), 1_i64.into())])), "{text}");
    }
}

#[test]
fn the_limits_hold_both_ways() {
    assert_eq!(decompress(&"A".repeat(METADATA_TEXT_BYTES)), Err(MetadataError::NotZlib));
    let len = METADATA_TEXT_BYTES + 1;
    assert_eq!(decompress(&"A".repeat(len)), Err(MetadataError::TextTooLong { len }));

    let of_length =
        |len: usize| Dict::from_iter([("k".to_owned(), "x".repeat(len - "{\"k\": \"\"}".len()).into())]);
    let largest = of_length(METADATA_JSON_BYTES);
    assert_eq!(decompress(&compress(&largest).unwrap()).unwrap(), largest);
    assert_eq!(compress(&of_length(METADATA_JSON_BYTES + 1)), Err(MetadataError::JsonTooLong));
    assert_eq!(decompress(&packed(&vec![b' '; METADATA_JSON_BYTES + 1])), Err(MetadataError::JsonTooLong));

    assert!(decompress(&compress(&nested(METADATA_DEPTH)).unwrap()).is_ok());
    assert_eq!(compress(&nested(METADATA_DEPTH + 1)), Err(JsonError::TooDeep.into()));

    let many = |count: usize| Dict::from_iter([("k".to_owned(), Value::List(vec![Value::Null; count - 2]))]);
    assert!(decompress(&compress(&many(METADATA_VALUES)).unwrap()).is_ok());
    assert_eq!(compress(&many(METADATA_VALUES + 1)), Err(JsonError::TooManyValues.into()));
}
