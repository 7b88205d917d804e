//! Small texts that unfold to much: refused with bounded memory. Each is read by a process of its own, because memory
//! that was used before and kept would hide what is used.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dagtel_usage::json::JsonError;
use dagtel_usage::limits::{METADATA_JSON_BYTES, METADATA_TEXT_BYTES};
use dagtel_usage::metadata::{MetadataError, decompress};

/// Names the file with the bomb that another process reads.
const BOMB: &str = "DAGTEL_USAGE_BOMB";
/// What stands before that process's figures.
const GROWN: &str = "grown by ";
const MIB: usize = 1024 * 1024;

/// That piece again and again, compressed, without ever being in memory as a whole.
fn bomb(piece: &[u8], times: usize) -> String {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..times {
        encoder.write_all(piece).expect("memory takes everything");
    }
    STANDARD.encode(encoder.finish().expect("memory takes everything"))
}

/// Bytes of memory at most since the last reset.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line of it");
    let kib: usize = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    kib * 1024
}

/// The other process: reads the bomb in the file that the variable names. Without the variable there is nothing to do.
#[test]
fn reads_one_bomb() {
    let Some(file) = std::env::var_os(BOMB) else { return };
    let text = fs::read_to_string(file).unwrap();
    fs::write("/proc/self/clear_refs", "5").expect("a process may reset its own peak");
    let (before, begin) = (peak(), Instant::now());
    assert!(decompress(&text).is_err());
    let took = begin.elapsed();
    println!("\n{GROWN}{} bytes in {took:?}", peak() - before);
}

#[test]
fn a_bomb_costs_no_more_than_its_limit() {
    let zeros = vec![0; 64 * 1024];
    let widest = "[{\"\":0},".repeat(8 * 1024);
    let keys: String = (0..METADATA_JSON_BYTES / 10).map(|n| format!("\"{n:05}\":0,")).collect();
    let cases = [
        ("64 MiB of zeros", bomb(&zeros, 1024), None),
        ("48 MiB of zeros", bomb(&zeros, 48 * MIB / zeros.len() - 4), Some(MetadataError::JsonTooLong)),
        ("1 MiB of brackets", bomb(&vec![b'['; MIB], 1), Some(JsonError::TooDeep.into())),
        (
            "objects without end",
            bomb(format!("[{}", &widest.replace('[', "")).as_bytes(), 10),
            Some(JsonError::TooManyValues.into()),
        ),
        (
            "empty lists without end",
            bomb(format!("[{}", "[],".repeat(300_000)).as_bytes(), 1),
            Some(JsonError::TooManyValues.into()),
        ),
        ("keys without end", bomb(format!("{{{keys}").as_bytes(), 1), None),
        (
            "one digit after another",
            bomb("7".repeat(MIB).as_bytes(), 1),
            Some(JsonError::IntegerTooLong.into()),
        ),
        (
            "a text without end",
            bomb(format!("\"{}", "\\u0000".repeat(170_000)).as_bytes(), 1),
            Some(JsonError::Unfinished.into()),
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bomb");
    for (case, text, error) in cases {
        let expected = error.unwrap_or(if text.len() > METADATA_TEXT_BYTES {
            MetadataError::TextTooLong { len: text.len() }
        } else {
            JsonError::TooManyValues.into()
        });
        assert_eq!(decompress(&text), Err(expected), "{case}");
        fs::write(&file, &text).unwrap();
        let reader = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "reads_one_bomb", "--nocapture"])
            .env(BOMB, &file)
            .output()
            .unwrap();
        let said = String::from_utf8(reader.stdout).unwrap();
        let grown = said.lines().find_map(|line| line.strip_prefix(GROWN)).expect("the reader says it");
        let (grown, took) = grown.split_once(" bytes in ").expect("bytes and time");
        let grown: usize = grown.parse().unwrap();
        println!("{case}: {} characters, {took}, {} KiB more", text.len(), grown / 1024);
        assert!(grown <= METADATA_JSON_BYTES + 8 * MIB, "{case}: {grown} bytes");
    }
}
