//! Whether what a guide shows is what was printed: figures, ids and bars differ from run to run.

use std::sync::LazyLock;

use regex_lite::Regex;

/// A line without what differs.
fn bare(line: &str) -> String {
    static HEX: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[0-9a-f]*[0-9][0-9a-f]{7,}\b"));
    static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9.]+ ?(ns|µs|ms|s|min|h)\b"));
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9]+([.,:][0-9]+)*"));
    let line = line.replace(['█', '▉', '▊', '▋', '▌', '▍', '▎', '▏'], " ");
    let line = HEX.replace_all(&line, "#");
    let line = TIME.replace_all(&line, "#");
    let line = NUMBER.replace_all(&line, "#");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is good")
}

/// The first line of `shown` that is not in `printed`. A line of `…` stands for any lines, and a `…` in a line for
/// anything.
pub(crate) fn missing(shown: &str, printed: &str) -> Option<String> {
    let printed: Vec<_> = printed.lines().map(bare).collect();
    let is_there = |line: &str| {
        let parts: Vec<_> = line.split('…').map(bare).collect();
        printed.iter().any(|printed| {
            let mut rest = printed.as_str();
            parts.iter().all(|part| match rest.find(part.as_str()) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
        })
    };
    shown.lines().filter(|line| !line.trim().is_empty()).find(|line| !is_there(line)).map(str::to_owned)
}

#[test]
fn figures_ids_and_bars_may_differ_and_words_may_not() {
    let printed = "├─ ✓ collect  455 ms  ████▉\ntrace 1b5ebedd11ec19e4e2157593f6653b24 · 2.224 s\n";
    for shown in
        ["├─ ✓ collect 1.2 s ███", "trace 00000000000000000000000000000001 · 9 ms", "…\ntrace … · 1 s"]
    {
        assert_eq!(missing(shown, printed), None, "{shown}");
    }
    assert_eq!(missing("├─ ✗ collect", printed).as_deref(), Some("├─ ✗ collect"));
}
