//! R12: a process with an open writer forks, both go on appending, and the child outlives its parent.
//!
//! Three processes: this one starts the parent anew, the parent forks the child. Child and grandchild share the pipes of
//! the parent, so that the end of the output is the end of both.

#![allow(clippy::unwrap_used, reason = "a test without the harness has no test functions")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use dagtel_spool::{Class, Durability, Options, Reader, Spool, Writer};
use fork::Fork;
use support::{read_all, release_all};

/// Says to this program that it is the parent, and where its spool is.
const DIR: &str = "SPOOL_TEST_DIR";
/// The durability that the parent uses.
const LEVEL: &str = "SPOOL_TEST_LEVEL";

/// Records of each process.
const RECORDS: u32 = 10_000;
/// Several segments for each, so that renaming and sealing is part of it.
const SEGMENT: u64 = 100_000;

fn main() {
    if let Ok(dir) = std::env::var(DIR) {
        return parent(Path::new(&dir));
    }
    for level in ["process", "batched", "interval"] {
        supervise(level);
    }
}

fn open(dir: &Path, level: &str) -> Spool {
    let durability = match level {
        "process" => Durability::Process,
        "interval" => Durability::Interval,
        _ => Durability::Batched,
    };
    Spool::open(dir, Options::default().with_segment_bytes(SEGMENT).with_durability(durability)).unwrap()
}

/// What is in a record: who appended it, and its number, many times over.
fn payload(who: &str, n: u32) -> Vec<u8> {
    format!("{who} {n} ").repeat(1 + n as usize % 7).into_bytes()
}

fn append(writer: &Writer, who: &str, numbers: std::ops::Range<u32>) {
    for n in numbers {
        writer.append(1, Class::Lifecycle, 1, &payload(who, n)).unwrap();
    }
    writer.flush().unwrap();
}

fn parent(dir: &Path) {
    let writer = open(dir, &std::env::var(LEVEL).unwrap()).writer();
    // The file is open and its lock is held when the fork comes.
    append(&writer, "parent", 0..1);
    match fork::fork().unwrap() {
        Fork::Child => child(&writer),
        Fork::Parent(_) => {
            append(&writer, "parent", 1..RECORDS);
            // As one that is killed: nothing is sealed.
            std::process::exit(0);
        }
    }
}

fn child(writer: &Writer) {
    append(writer, "child", 0..RECORDS / 2);
    println!("half");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "go on\n");
    append(writer, "child", RECORDS / 2..RECORDS);
    std::process::exit(0);
}

fn living(reader: &mut Reader) -> usize {
    reader.streams().unwrap().iter().filter(|stream| stream.alive).count()
}

fn supervise(level: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("spool");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .env(DIR, &dir)
        .env(LEVEL, level)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to_child, from_child) = (parent.stdin.take().unwrap(), parent.stdout.take().unwrap());
    let mut lines = BufReader::new(from_child).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "half");
    assert!(parent.wait().unwrap().success());

    let spool = open(&dir, level);
    let mut reader = spool.reader();
    assert_eq!(living(&mut reader), 1, "the parent is seen dead, the child alive");
    to_child.write_all(b"go on\n").unwrap();
    assert!(lines.next().is_none(), "the output ends with the child");
    assert_eq!(living(&mut reader), 0);

    let found = read_all(&mut reader);
    let distinct: BTreeSet<&[u8]> = found.payloads().into_iter().collect();
    let expected: BTreeSet<Vec<u8>> =
        ["parent", "child"].iter().flat_map(|who| (0..RECORDS).map(|n| payload(who, n))).collect();
    assert!(distinct.iter().copied().eq(expected.iter().map(Vec::as_slice)), "each record, whole");
    assert_eq!((found.records.len(), found.ends.len(), found.finished), (20_000, 2, 2));
    assert_eq!((found.missing, found.damaged), (0, 0));
    release_all(&mut reader, &found);
    assert_eq!(reader.streams().unwrap(), []);
    println!("R12: {level}: a real fork, 20000 whole records in two writers, all read and released");
}
