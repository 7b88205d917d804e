//! The blocks of a guide.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn directory() -> PathBuf {
    root().join("docs/guides")
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where it is, as `guide:line`.
    pub(crate) place: String,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Shell { needs: Needs, fails: bool },
    Output,
    Crontab,
    File(String),
    Rust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    RealParts,
    Kafka,
    OpenTelemetryPython,
    Time,
}

/// All blocks, in order.
///
/// # Panics
/// When one is of no known kind: it would not be run.
pub(crate) fn blocks(guide: &str) -> Vec<Block> {
    let path = directory().join(guide);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(guide, &text)
}

fn parse(guide: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let place = format!("{guide}:{number}");
        assert!(
            !line.starts_with("    ") && !line.starts_with("~~~"),
            "{place}: a block needs a fence of ```"
        );
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        assert!(line.starts_with("```"), "{place}: a fence begins its line");
        let kind = kind(info).unwrap_or_else(|| panic!("{place}: a block of {info:?} would not be run"));
        let body: Vec<_> = lines.by_ref().map(|(line, _)| line).take_while(|line| *line != "```").collect();
        blocks.push(Block { place, kind, text: body.join("\n") + "\n" });
    }
    blocks
}

fn kind(info: &str) -> Option<Kind> {
    let words: Vec<_> = info.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    if let Some(name) = words.iter().skip(1).find_map(|word| word.strip_prefix("file=")) {
        return Some(Kind::File(name.to_owned()));
    }
    match *words {
        ["sh", ref words @ ..] => shell(words),
        ["text"] => Some(Kind::Output),
        ["crontab"] => Some(Kind::Crontab),
        ["rust"] | ["rust", "no_run"] => Some(Kind::Rust),
        _ => None,
    }
}

fn shell(words: &[&str]) -> Option<Kind> {
    let (mut needs, mut fails) = (Needs::Nothing, false);
    for word in words {
        match *word {
            "fails" => fails = true,
            "real" => needs = Needs::RealParts,
            "kafka" => needs = Needs::Kafka,
            "opentelemetry-python" => needs = Needs::OpenTelemetryPython,
            "slow" => needs = Needs::Time,
            _ => return None,
        }
    }
    Some(Kind::Shell { needs, fails })
}

#[test]
fn blocks_are_found_and_told_apart() {
    let text = "a\n```sh\nb\nc\n```\n```toml file=x.toml\nd\n```\n```text\n```\n```rust,no_run\n```\n";
    let blocks = parse("g", text);
    let kinds: Vec<_> = blocks.iter().map(|block| &block.kind).collect();
    let shell = Kind::Shell { needs: Needs::Nothing, fails: false };
    assert_eq!(kinds, [&shell, &Kind::File("x.toml".to_owned()), &Kind::Output, &Kind::Rust]);
    assert_eq!((&*blocks[0].text, &*blocks[0].place), ("b\nc\n", "g:2"));
    for unknown in ["", "bash", "sh later", "rust,ignore", "python"] {
        assert_eq!(kind(unknown), None, "{unknown}");
    }
}
