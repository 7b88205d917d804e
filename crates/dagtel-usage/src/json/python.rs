//! What Python's `str` makes of a value: what the original puts into URLs.

use std::fmt::Write as _;

use super::{Value, float};

/// The text itself, for everything else what Python would print.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        other => {
            let mut out = String::new();
            repr(other, &mut out);
            out
        }
    }
}

fn repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::BigInt(number) => out.push_str(number.as_str()),
        Value::Float(number) => out.push_str(&float::repr(*number)),
        Value::Str(text) => quoted(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                repr(item, out);
            }
            out.push(']');
        }
        Value::Dict(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                quoted(key, out);
                out.push_str(": ");
                repr(value, out);
            }
            out.push('}');
        }
    }
}

/// Between single quotes, or double ones when that spares an escape.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if printable(letter) => out.push(letter),
            letter => escaped(letter, out),
        }
    }
    out.push(quote);
}

fn escaped(letter: char, out: &mut String) {
    let code = u32::from(letter);
    let written = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    // Writing to a string does not fail.
    let _ = written;
}

/// Python and Rust both call a character printable by its Unicode category, and by the same ones; Rust has no function
/// that says so, but leaves such a character alone in the middle of a text that it escapes.
fn printable(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    let mut inside = String::from("_");
    inside.push(letter);
    inside.escape_debug().nth(1) == Some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Dict;

    #[test]
    fn as_python_prints_them() {
        let list = Value::List(vec![
            Value::Null,
            true.into(),
            1_i64.into(),
            Value::from(u64::MAX),
            7.0.into(),
            f64::NAN.into(),
            "it's".into(),
            "\"both\"'".into(),
            "é日🚀".into(),
            "e\u{301}\u{a0}\u{7f}\u{200b}\u{e000}\u{10ffff}\0\n".into(),
            Dict::from_iter([("k".to_owned(), Value::List(vec![]))]).into(),
        ]);
        let shown = concat!(
            r#"[None, True, 1, 18446744073709551615, 7.0, nan, "it's", '"both"\'', 'é日🚀', "#,
            "'e\u{301}",
            r"\xa0\x7f\u200b\ue000\U0010ffff\x00\n', {'k': []}]"
        );
        assert_eq!(text_of(&list), shown);
        assert_eq!(text_of(&"as it is\n".into()), "as it is\n");
    }
}
