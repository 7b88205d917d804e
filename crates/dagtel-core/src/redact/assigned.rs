//! Secrets that a text gives a name: `password=…`, `"token": "…"`, `--api-key …`, `Authorization: …`, and the user of a
//! URL.

use std::ops::Range;

use super::name::{Secrecy, secrecy};

/// Bytes of a name, and of the part of a URL before its path, that are looked at.
const FAR: usize = 256;

/// The value of the name around `word`, if it is a secret. With it, where the name ends.
pub(super) fn value(text: &str, word: Range<usize>) -> (usize, Option<Range<usize>>) {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let bytes = text.as_bytes();
    let back = bytes[..word.start].iter().rev().take(FAR).take_while(|byte| is_name(byte)).count();
    let on = bytes[word.end..].iter().take(FAR).take_while(|byte| is_name(byte)).count();
    let name = word.start - back..word.end + on;
    let Some(secrecy) = secrecy(&text[name.clone()]) else { return (name.end, None) };
    // A lone signature is mostly one of code; in a query it opens what it signs.
    let query = bytes[..name.start].last().is_some_and(|byte| matches!(byte, b'?' | b'&' | b';'));
    if text[name.clone()].eq_ignore_ascii_case("sig") && !query {
        return (name.end, None);
    }
    let flag = text[name.clone()].starts_with('-');
    let Some(start) = after_sign(text, name.end, flag) else { return (name.end, None) };
    let value = match secrecy {
        Secrecy::Line => line(text, start, name.start),
        _ => single(text, start),
    };
    let told = &text[value.clone()];
    (name.end, is_told(told, secrecy).then_some(value))
}

/// Whether a value says something: not that there is none, and no number where numbers are no secret.
pub(super) fn is_told(value: &str, secrecy: Secrecy) -> bool {
    let nothing = ["", "none", "null", "nil", "true", "false", "undefined", super::MASK];
    let number = || value.len() <= 16 && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !nothing.iter().any(|word| value.eq_ignore_ascii_case(word))
        && !(secrecy == Secrecy::UnlessNumber && (number() || value.starts_with('/')))
}

/// Where the value begins behind a name: after `=`, `:` or `=>`, or right away after a flag or before a quote.
fn after_sign(text: &str, from: usize, flag: bool) -> Option<usize> {
    let rest = &text[from..];
    let unquoted = rest.trim_start_matches(['\\', '"', '\'', '`', ']']);
    let sign = unquoted.trim_start_matches([' ', '\t']);
    let value =
        sign.strip_prefix("=>").or_else(|| sign.strip_prefix(":=")).or_else(|| sign.strip_prefix(['=', ':']));
    let value = match value {
        Some(value) if value.starts_with("//") || value.starts_with(':') => return None,
        Some(value) => value.trim_start_matches([' ', '\t', '=']),
        None if unquoted.len() == sign.len() => return None,
        None if flag && !sign.starts_with('-') => sign,
        None if sign.starts_with('\'') => sign,
        None => return None,
    };
    Some(text.len() - value.len())
}

/// A value in quotes, or up to what ends a word.
fn single(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let inner = rest.trim_start_matches(['[', '(', '{', ' ']);
    let inner = match inner.as_bytes() {
        [b'b' | b'u' | b'r' | b'f', b'"' | b'\'', ..] => &inner[1..],
        _ => inner,
    };
    let escaped = inner.strip_prefix('\\').unwrap_or(inner);
    let begin = text.len() - escaped.len();
    if let Some(quote) = escaped.chars().next().filter(|letter| matches!(letter, '"' | '\'' | '`')) {
        let end = if escaped.len() < inner.len() {
            escaped[1..].find('\\')
        } else {
            unescaped(&escaped[1..], quote)
        };
        return begin + 1..end.map_or(text.len(), |end| begin + 1 + end);
    }
    let ends = |letter: char| {
        letter.is_whitespace() || matches!(letter, ',' | ';' | '&' | '"' | '\'' | '<' | '>' | '}' | ')' | ']')
    };
    let end = rest.find(ends).unwrap_or(rest.len());
    // `SecretStr('…')`
    if rest[..end].ends_with('(')
        && let Some(quote) = rest[end..].chars().next().filter(|letter| matches!(letter, '"' | '\''))
    {
        let inside = start + end + 1;
        return inside..unescaped(&text[inside..], quote).map_or(text.len(), |end| inside + end);
    }
    start..start + end
}

fn unescaped(text: &str, quote: char) -> Option<usize> {
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        if letter == quote && before != '\\' {
            return Some(at);
        }
        before = if before == '\\' { ' ' } else { letter };
    }
    None
}

/// A header's value: in quotes, or to the end of the line or of the quotes around the header.
fn line(text: &str, start: usize, name: usize) -> Range<usize> {
    let rest = &text[start..];
    let quoted = rest.strip_prefix(['b', 'u', '[', '\\']).unwrap_or(rest);
    if quoted.starts_with(['"', '\'']) {
        return single(text, start);
    }
    let around = text[..name].chars().next_back().filter(|letter| matches!(letter, '"' | '\''));
    let ends = |letter: char| matches!(letter, '\n' | '\r') || Some(letter) == around;
    start..start + rest.find(ends).unwrap_or(rest.len())
}

/// The user and the password of the URL whose `://` ends at `start`.
pub(super) fn user(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    // Most URLs have none.
    memchr::memchr(b'@', rest.as_bytes())?;
    let word = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>' | '`' | '\\');
    let whole = &rest[..rest.find(word).unwrap_or(rest.len())];
    let authority = &whole[..whole.find(['/', '?', '#']).unwrap_or(whole.len())];
    if let Some(at) = authority.rfind('@') {
        // Without a password it is a bucket or a container, except where a token may stand for a user.
        let web = text[..start].ends_with("http://") || text[..start].ends_with("https://");
        let told = at > 0 && (web || authority[..at].contains(':')) && &authority[..at] != super::MASK;
        return told.then(|| start..start + at);
    }
    // A password with a slash in it that should have been escaped.
    let (_, behind) = authority.split_once(':')?;
    let port = behind.bytes().all(|byte| byte.is_ascii_digit()) || authority.starts_with('[');
    let at = if port { None } else { whole.get(..whole.floor_char_boundary(FAR))?.rfind('@') };
    at.map(|at| start..start + at)
}
