//! `dagtel metadata`: what Cosmos writes is read, what is written is what Cosmos reads, and bad input is named.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::io::Write as _;
use std::process::Stdio;

use support::{Ended, command, dagtel, recording};

/// The second vector of the original: unicode, control characters, a slash.
const JSON: &str = concat!(
    r#"{"dag": "\u65e5\u672c\u8a9e", "emoji": "\ud83d\ude80", "accent": "\u00e9", "#,
    r#""ctl": "\n\t\"\\\u0000/", "html": "</script>"}"#
);
const COMPRESSED: &str = concat!(
    "eNolyUkKgDAMQNGrSNaCQVGriCfJpqTBASc0rsS7a9vNX/z3gLMDtAnQXZVS/q1zptvYRiBNQNZ9niI7U7i/YtCDZZZNoyBK4x/rEsZG",
    "SkDkATHzMuoaqMsuPqdDe3g/PwQijQ=="
);

fn piped(way: &str, input: &[u8]) -> Ended {
    let mut command = command();
    command.args(["metadata", way]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that has seen enough closes its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn what_cosmos_wrote_is_read_from_standard_input_and_from_a_file() {
    let line = format!("{COMPRESSED}\n");
    let ended = piped("decompress", line.as_bytes());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(ended.out, format!("{JSON}\n"));
    let file = recording(&line);
    assert_eq!(dagtel(["metadata", "decompress", file.path().to_str().unwrap()]).out, ended.out);
    assert_eq!(dagtel(["metadata", "decompress", "-"]).code, Some(2), "there is nothing to read");
}

#[test]
fn what_is_compressed_comes_back_with_its_order_and_its_numbers() {
    for json in [JSON, "{}", r#"{"z": 1, "a": [1.0, NaN, null, {"x": 123456789012345678901}]}"#] {
        let packed = piped("compress", format!("{json}\n").as_bytes());
        assert_eq!((packed.code, packed.err.as_str()), (Some(0), ""));
        assert!(packed.out.starts_with("eN") && packed.out.lines().count() == 1, "{}", packed.out);
        assert_eq!(piped("decompress", packed.out.as_bytes()).out, format!("{json}\n"));
    }
}

#[test]
fn bad_input_is_named_and_ends_with_two() {
    let long = "A".repeat(70 * 1024);
    let cases: [(&str, &[u8], &str); 9] = [
        ("decompress", b"invalid_base64_data!", "one character too long"),
        ("decompress", b"", "cut off"),
        ("decompress", b"eNqrrgUAAXUA+Q", "padding"),
        ("decompress", b"eNqLjgUAARUAuQ==", "no object"),
        ("decompress", "é".as_bytes(), "not ASCII"),
        ("decompress", long.as_bytes(), "65536"),
        ("compress", b"{\"a\":", "no JSON"),
        ("compress", b"[1]", "no object"),
        ("compress", b"\xff{}", "no UTF-8 text at byte 0"),
    ];
    for (way, input, why) in cases {
        let ended = piped(way, input);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{way} {why}: {}", ended.err);
        assert!(ended.err.starts_with("error: standard input: ") && ended.err.contains(why), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1);
    }
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let ended = dagtel(["metadata", "compress", "/not/there.json"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(ended.err.contains("/not/there.json cannot be read"), "{}", ended.err);
}
