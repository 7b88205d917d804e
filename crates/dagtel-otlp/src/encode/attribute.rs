//! `common.v1.KeyValue` and `AnyValue`.

use dagtel_core::value::{Attribute, Value};

use crate::Most;
use crate::wire::Writer;

/// A repeated `KeyValue` field.
pub(super) fn attributes(out: &mut Writer, field: u32, attributes: &[Attribute]) {
    attributes.iter().for_each(|attribute| key_value(out, field, attribute, usize::MAX));
}

/// The same of what has limits, then the static tags. Returns how many there was no room for.
pub(super) fn limited(
    out: &mut Writer,
    field: u32,
    attributes: &[Attribute],
    tags: &[Attribute],
    most: Most,
) -> u32 {
    let taken = |tag: &str| attributes.iter().any(|(key, _)| key == tag);
    let mut all = attributes.iter().chain(each_once(tags, taken));
    let told = all.by_ref().take(most.attributes);
    told.for_each(|attribute| key_value(out, field, attribute, most.characters));
    u32::try_from(all.count()).unwrap_or(u32::MAX)
}

fn key_value(out: &mut Writer, field: u32, (key, value): &Attribute, characters: usize) {
    out.message(field, |out| {
        out.bytes(1, key.as_bytes());
        out.message(2, |out| any_value(out, value, characters));
    });
}

/// The first so many characters.
fn cut(text: &str, most: usize) -> &[u8] {
    // A text has at least as many bytes as characters.
    let end = if text.len() > most { text.char_indices().nth(most) } else { None };
    &text.as_bytes()[..end.map_or(text.len(), |(end, _)| end)]
}

/// The static tags of a metric's point.
pub(super) fn static_tags(out: &mut Writer, field: u32, tags: &[Attribute], taken: impl Fn(&str) -> bool) {
    each_once(tags, taken).for_each(|tag| key_value(out, field, tag, usize::MAX));
}

/// The static tags, each key once and none that is `taken`: a key must not stand twice in one list.
fn each_once(tags: &[Attribute], taken: impl Fn(&str) -> bool) -> impl Iterator<Item = &Attribute> {
    let is_first = |place: usize, key: &str| tags[..place].iter().all(|(told, _)| told != key);
    let first = tags.iter().enumerate().filter(move |(place, (key, _))| is_first(*place, key) && !taken(key));
    first.map(|(_, tag)| tag)
}

/// One `KeyValue` with a text.
pub(super) fn text(out: &mut Writer, field: u32, key: &str, value: &str) {
    out.message(field, |out| {
        out.bytes(1, key.as_bytes());
        out.message(2, |out| out.bytes_always(1, value.as_bytes()));
    });
}

fn any_value(out: &mut Writer, value: &Value, most: usize) {
    match value {
        Value::Str(text) => out.bytes_always(1, cut(text, most)),
        Value::Bool(value) => out.int_always(2, u64::from(*value)),
        Value::Int(value) => out.int_always(3, value.cast_unsigned()),
        Value::Float(value) if value.is_finite() => out.fixed64_always(4, value.to_bits()),
        // JSON has no such number, and backends that answer in JSON fail on it.
        Value::Float(value) => out.bytes_always(1, value.to_string().as_bytes()),
        Value::List(texts) => out.message(5, |out| {
            for text in texts {
                out.message(1, |out| out.bytes_always(1, cut(text, most)));
            }
        }),
        _ => {}
    }
}
