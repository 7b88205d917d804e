//! The rules of this source tree that no compiler checks, one function each. A broken rule is reported as
//! `file:line: what is wrong; how to mend it`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const LONGEST_FILE: usize = 500;

#[test]
fn source_files_are_short() {
    for file in rust_files(&["crates/*/src", "xtask", "tests/src", "tests/tests"]) {
        let lines = before_tests(&file.text).lines().count();
        file.reject_if(lines > LONGEST_FILE, lines, || {
            format!("{lines} lines of code are more than {LONGEST_FILE}; split the file by idea")
        });
    }
}

#[test]
fn every_member_uses_the_workspace_lints() {
    for file in manifests() {
        let inherits = file.text.lines().skip_while(|line| line.trim() != "[lints]").nth(1);
        file.reject_if(inherits.map(str::trim) != Some("workspace = true"), 1, || {
            "the workspace's lints are not switched on; add `[lints]` with `workspace = true`".into()
        });
    }
}

#[test]
fn the_core_does_no_io_and_reads_no_clock() {
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "std::io",
        "SystemTime::now",
        "Instant::now",
    ];
    forbid("crates/dagtel-core/src", &banned, "dagtel-core is pure; take the value as an argument");
}

#[test]
fn the_encoder_opens_no_file_and_no_socket() {
    let banned = ["std::fs", "std::net", "tokio"];
    forbid(
        "crates/dagtel-otlp/src",
        &banned,
        "dagtel-otlp turns values into bytes; do this in another crate",
    );
}

#[test]
fn nothing_built_is_in_the_source_tree() {
    const DIRECTORIES: [&str; 4] = ["target", "node_modules", "__pycache__", "otelcol-data"];
    /// ELF, Mach-O, static library, Windows.
    const BEGINNINGS: [&[u8]; 4] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"!<arch>\n", b"MZ\x90"];
    for path in source_paths() {
        let generated =
            path.components().any(|part| DIRECTORIES.iter().any(|name| part.as_os_str() == *name));
        let content = fs::read(root().join(&path)).unwrap_or_default();
        let binary = BEGINNINGS.iter().any(|beginning| content.starts_with(beginning));
        assert!(
            !generated && !binary,
            "{}:1: a build made this file; remove it and add it to .gitignore",
            path.display()
        );
    }
}

/// No code of the directory (its test modules apart) names one of the paths.
fn forbid(directory: &str, banned: &[&str], mend: &str) {
    for file in rust_files(&[directory]) {
        for (number, line) in spelled_out(before_tests(&file.text)).lines().enumerate() {
            for name in banned {
                file.reject_if(names(line, name), number + 1, || {
                    format!("`{name}` must not be used; {mend}")
                });
            }
        }
    }
}

/// Whether the code of the line, its comment apart, has this path as whole words.
fn names(line: &str, path: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let part_of_a_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(path).any(|(at, _)| {
        !code[..at].ends_with(part_of_a_word) && !code[at + path.len()..].starts_with(part_of_a_word)
    })
}

/// Puts `std::` before each name of a `use std::{…}` group, so that one search finds both spellings.
fn spelled_out(code: &str) -> String {
    let mut parts = code.split("use std::{");
    let mut spelled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (group, rest) = part.split_once(';').unwrap_or((part, ""));
        let mut previous = '{';
        spelled.push_str("use {");
        for letter in group.chars() {
            let begins = matches!(previous, '{' | ',') || previous.is_whitespace();
            if begins && letter.is_alphabetic() {
                spelled.push_str("std::");
            }
            spelled.push(letter);
            previous = letter;
        }
        spelled.push(';');
        spelled.push_str(rest);
    }
    spelled
}

/// The file up to its test module.
fn before_tests(text: &str) -> &str {
    ["#[cfg(test)]\nmod ", "#[cfg(test)]\n#["]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min()
        .map_or(text, |at| &text[..at])
}

struct SourceFile {
    path: PathBuf,
    text: String,
}

impl SourceFile {
    fn reject_if(&self, broken: bool, line: usize, message: impl FnOnce() -> String) {
        assert!(!broken, "{}:{line}: {}", self.path.display(), message());
    }
}

/// The Rust files below the directories; `*` as a whole component stands for any name.
fn rust_files(directories: &[&str]) -> Vec<SourceFile> {
    let inside = |path: &Path| directories.iter().any(|directory| lies_in(path, directory));
    read(|path| path.extension().is_some_and(|extension| extension == "rs") && inside(path))
}

fn manifests() -> Vec<SourceFile> {
    let members = ["crates/*", "tests", "xtask"];
    let files = read(|path| {
        let directory = path.parent().unwrap_or(path);
        path.ends_with("Cargo.toml")
            && members.iter().any(|member| {
                lies_in(path, member)
                    && directory.components().count() == Path::new(member).components().count()
            })
    });
    assert!(files.len() > 2, "the manifests of the workspace were not found");
    files
}

fn lies_in(path: &Path, directory: &str) -> bool {
    let mut parts = path.components();
    Path::new(directory)
        .components()
        .all(|wanted| parts.next().is_some_and(|part| wanted.as_os_str() == "*" || wanted == part))
}

fn read(wanted: impl Fn(&Path) -> bool) -> Vec<SourceFile> {
    let paths = source_paths().into_iter().filter(|path| wanted(path));
    // A file that was removed but not yet taken out of git's index is no longer part of the source.
    paths
        .filter_map(|path| Some(SourceFile { text: fs::read_to_string(root().join(&path)).ok()?, path }))
        .collect()
}

/// Every file of the source tree that git tracks or would track.
fn source_paths() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(
        listed.status.success(),
        "{} is no git checkout, so its files cannot be listed",
        root().display()
    );
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    names.split_terminator('\0').map(PathBuf::from).collect()
}

fn root() -> PathBuf {
    // As cargo says at run time: two checkouts that share a build directory share this test too.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it for tests");
    Path::new(&xtask).parent().expect("xtask lies one directory below the root").to_owned()
}

#[test]
fn the_search_sees_groups_and_skips_comments() {
    let broken = |code: &str| spelled_out(code).lines().any(|line| names(line, "std::fs"));
    assert!(broken("use std::fs;"));
    assert!(broken("use std::fs::File;"));
    assert!(broken("use std::{\n    collections::{BTreeMap, VecDeque},\n    fs::{self, File},\n};"));
    assert!(broken("use std::{fs, fmt};"));
    assert!(!broken("use std::{fmt, ops::{Range, fsomething}};"));
    assert!(!broken("/// unlike std::fs, this does no I/O"));
    assert!(!broken("use std::fsomething;"));
}
