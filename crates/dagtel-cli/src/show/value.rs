//! Attribute values: finding them, and writing them as text.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};

/// Bytes kept of one text; a line shows less.
const MAX_TEXT: usize = 512;

/// Levels of nested values that are written out.
const MAX_DEPTH: usize = 4;

/// The value under `key`, if there is one.
pub(crate) fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

/// The text under `key`; a value of another type is written out.
pub(crate) fn find_text(attributes: &[KeyValue], key: &str) -> Option<String> {
    find(attributes, key).map(to_text)
}

/// The whole number under `key`; some senders write numbers as text.
pub(crate) fn find_int(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match find(attributes, key)? {
        Value::IntValue(number) => Some(*number),
        Value::StringValue(text) => text.parse().ok(),
        _ => None,
    }
}

/// Any value as bounded text.
pub(crate) fn to_text(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, MAX_DEPTH, &mut out);
    out.truncate(boundary(&out));
    out
}

/// A copy of at most [`MAX_TEXT`] bytes.
pub(crate) fn bounded(text: &str) -> String {
    text[..boundary(text)].to_owned()
}

/// Where a text of at most [`MAX_TEXT`] bytes may end without splitting a character.
fn boundary(text: &str) -> usize {
    (0..=MAX_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn write_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::StringValue(text) => out.push_str(&bounded(text)),
        Value::BoolValue(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::IntValue(number) => out.push_str(&number.to_string()),
        Value::DoubleValue(number) => out.push_str(&number.to_string()),
        Value::BytesValue(bytes) => out.push_str(&format!("<{} bytes>", bytes.len())),
        Value::StringValueStrindex(_) => out.push_str("<profile string>"),
        Value::ArrayValue(array) => {
            let items = array.values.iter().map(|item| (None, item));
            write_list('[', items, ']', depth, out);
        }
        Value::KvlistValue(list) => {
            let items = list.values.iter().filter_map(|pair| Some((Some(&*pair.key), pair.value.as_ref()?)));
            write_list('{', items, '}', depth, out);
        }
    }
}

fn write_list<'a>(
    open: char,
    items: impl Iterator<Item = (Option<&'a str>, &'a AnyValue)>,
    close: char,
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    for (index, (key, item)) in items.enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if depth == 0 || out.len() > MAX_TEXT {
            out.push_str("..");
            break;
        }
        if let Some(key) = key {
            out.push_str(&bounded(key));
            out.push('=');
        }
        if let Some(value) = &item.value {
            write_value(value, depth - 1, out);
        }
    }
    out.push(close);
}
