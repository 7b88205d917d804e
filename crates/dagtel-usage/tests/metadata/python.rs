//! Python's own `json`, `zlib`, `base64` and `urllib` on the other side: they read what is written here, and the
//! other way round. One process for all values.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dagtel_usage::json::{BigInt, Dict, Value};
use dagtel_usage::metadata::{MetadataError, compress, decompress, from_json, to_json};
use dagtel_usage::{Gateway, UsageEvent, url};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Reads lines of `compressed`, hexadecimal JSON, and prints for each: whether the two are one, the JSON again,
/// Python's own compressed text, and the query string of a URL.
const READS_AND_WRITES: &str = r"
import base64, json, sys, urllib.parse, zlib
for line in open(sys.argv[1]):
    ours, text = line.split()
    value = json.loads(bytes.fromhex(text).decode())
    read = zlib.decompress(base64.b64decode(ours)).decode()
    written = json.dumps(value)
    theirs = base64.b64encode(zlib.compress(written.encode(), 9)).decode()
    query = urllib.parse.urlencode(value)
    print(read == written, written.encode().hex(), theirs, query.encode().hex() or '-', sep='\t')
";

/// Reads lines of hexadecimal text and prints what the original's decompressor makes of each.
const DECOMPRESSES: &str = r"
import base64, binascii, json, sys, zlib
for line in open(sys.argv[1]):
    text = bytes.fromhex(line.strip()).decode()
    try:
        value = json.loads(zlib.decompress(base64.b64decode(text.encode('ascii'))).decode('utf-8'))
        print('value' if isinstance(value, dict) else 'other', json.dumps(value).encode().hex())
    except (UnicodeEncodeError, binascii.Error, zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        print(type(error).__name__)
";

fn python(script: &str, lines: &[String]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("lines");
    fs::write(&file, lines.join("\n")).expect("the directory is writable");
    let said = run(script, &file);
    assert_eq!(said.len(), lines.len(), "an answer for each line");
    said
}

fn run(script: &str, file: &Path) -> Vec<String> {
    let output =
        Command::new("python3").args(["-c", script]).arg(file).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints ASCII").lines().map(str::to_owned).collect()
}

fn hex(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.bytes().map(|byte| format!("{byte:02x}")).collect() }
}

/// Letters whose category Python and Rust know alike: ASCII, a few scripts, and what either escapes.
fn text() -> impl Strategy<Value = String> {
    "[ -~]{0,8}|[\0-\u{ff}]{0,6}|[aé日本語🚀\u{301}\u{2028}\u{200b}\u{feff}\u{e000}\u{10ffff}'\"\\\\/\n]{0,8}"
}

fn number() -> impl Strategy<Value = Value> {
    let big = "-?[1-9][0-9]{19,60}".prop_map(|digits| {
        let Ok(Value::BigInt(number)) = read(&digits) else { panic!("{digits} is beyond 64 bits") };
        Value::BigInt(number)
    });
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::Float),
        (-20_i32..25, -1000_i32..1000).prop_map(|(power, n)| Value::Float(f64::from(n) * 10_f64.powi(power))),
        big,
    ]
}

/// A value as it is read from JSON.
fn read(json: &str) -> Result<Value, MetadataError> {
    from_json(&format!("{{\"k\": {json}}}")).map(|dict| dict["k"].clone())
}

fn values() -> impl Strategy<Value = Dict> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        text().prop_map(Value::Str),
        any::<String>().prop_map(|text| Value::Str(text.chars().take(20).collect())),
    ];
    // A text inside a list is shown by Python's idea of what is printable, so that only letters go there which are old.
    let inner = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number(),
        text().prop_map(Value::Str)
    ];
    let nested = inner.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|entries| Value::from(Dict::from_iter(entries))),
        ]
    });
    prop::collection::vec(
        (any::<String>().prop_map(|key| key.chars().take(12).collect()), prop_oneof![leaf, nested]),
        0..6,
    )
    .prop_map(Dict::from_iter)
}

fn samples<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).expect("the strategy refuses nothing").current())
        .collect()
}

#[test]
fn python_and_this_read_each_other() {
    let gateway: Gateway = "https://g.example/?{query_string}".parse().unwrap();
    let samples = samples(values(), 10_000);
    let written: Vec<(String, String)> =
        samples.iter().map(|value| (compress(value).unwrap(), to_json(value).unwrap())).collect();
    let lines: Vec<String> = written.iter().map(|(text, json)| format!("{text} {}", hex(json))).collect();
    let mut same_bytes = 0;
    for ((value, (ours, json)), said) in samples.iter().zip(&written).zip(python(READS_AND_WRITES, &lines)) {
        let said: Vec<&str> = said.split('\t').collect();
        let [read, theirs_json, theirs, query] = said[..] else { panic!("{said:?} has four columns") };
        assert_eq!((read, theirs_json), ("True", &*hex(json)), "{json}");
        assert_eq!(to_json(&decompress(ours).unwrap()).unwrap(), *json);
        assert_eq!(to_json(&decompress(theirs).unwrap()).unwrap(), *json);
        let with_type = |value: &Dict| {
            let mut value = value.clone();
            value.insert("event_type".to_owned(), "x".into());
            UsageEvent::from_metrics(value)
        };
        let url = url(&gateway, &with_type(value)).unwrap();
        assert_eq!(hex(url.split_once('?').unwrap().1), query, "{json}");
        same_bytes += u32::from(ours == theirs);
    }
    println!("10,000 values both ways, {same_bytes} of them compressed to the same bytes");
    if cfg!(feature = "zlib") {
        assert_eq!(same_bytes, 10_000);
    }
}

/// Base64 of sound and of damaged data, in which characters are changed, lost, doubled and put in.
fn garbage() -> impl Strategy<Value = String> {
    let json = prop_oneof![
        values().prop_map(|value| to_json(&value).expect("it is small").into_bytes()),
        r#"[\[\]{}:,"\\ 0-9a-eE+.u-]{0,12}"#.prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
        Just(b"[1, 2]".to_vec()),
    ];
    let packed = json.prop_map(|json| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &json).expect("memory takes everything");
        STANDARD.encode(encoder.finish().expect("memory takes everything"))
    });
    let change = (any::<prop::sample::Index>(), "[A-Za-z0-9+/=!_\n -]|é", 0_u8..4);
    (packed, prop::collection::vec(change, 0..3)).prop_map(|(text, changes)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, letter, kind) in changes {
            let at = at.index(letters.len().max(1)).min(letters.len());
            let end = (at + 1).min(letters.len());
            let new: Vec<char> = letter.chars().collect();
            match kind {
                0 => letters.truncate(at),
                1 => drop(letters.splice(at..end, new)),
                2 => drop(letters.splice(at..at, new)),
                _ => drop(letters.drain(at..end)),
            }
        }
        letters.into_iter().collect()
    })
}

#[test]
fn python_refuses_what_is_refused_here() {
    let samples = samples(garbage(), 5_000);
    let lines: Vec<String> = samples.iter().map(|text| hex(text).replace('-', "")).collect();
    let mut kinds = std::collections::BTreeMap::new();
    for (text, said) in samples.iter().zip(python(DECOMPRESSES, &lines)) {
        let here = match decompress(text) {
            Ok(value) => format!("value {}", hex(&to_json(&value).unwrap())),
            Err(MetadataError::NotAnObject) => "other".to_owned(),
            Err(MetadataError::NotAscii { .. }) => "UnicodeEncodeError".to_owned(),
            Err(MetadataError::Base64Length | MetadataError::Base64Padding) => "Error".to_owned(),
            Err(MetadataError::NotZlib | MetadataError::Truncated) => "error".to_owned(),
            Err(MetadataError::NotUtf8 { .. }) => "UnicodeDecodeError".to_owned(),
            Err(MetadataError::Json(_)) => "JSONDecodeError".to_owned(),
            Err(other) => panic!("{other} for {} bytes", text.len()),
        };
        let there = if here == "other" { said.split(' ').next().unwrap_or_default() } else { &said };
        assert_eq!(here, there, "{text:?}");
        *kinds.entry(here.split(' ').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    println!("{kinds:?}");
    assert_eq!(kinds.len(), 7, "the samples reach every outcome: {kinds:?}");
}

#[test]
fn big_integers_are_kept_digit_by_digit() {
    let Value::BigInt(number) = read("18446744073709551616").unwrap() else { panic!("it is beyond 64 bits") };
    assert_eq!(BigInt::as_str(&number), "18446744073709551616");
}
