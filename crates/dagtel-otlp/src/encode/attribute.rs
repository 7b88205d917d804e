//! `common.v1.KeyValue` and `AnyValue`.

use dagtel_core::value::{Attribute, Value};

use crate::wire::Writer;

/// A repeated `KeyValue` field.
pub(super) fn attributes(out: &mut Writer, field: u32, attributes: &[Attribute]) {
    attributes_within(out, field, attributes, None);
}

/// The same with texts of at most so many characters.
pub(super) fn attributes_within(out: &mut Writer, field: u32, attributes: &[Attribute], most: Option<usize>) {
    for (key, value) in attributes {
        out.message(field, |out| {
            out.bytes(1, key.as_bytes());
            out.message(2, |out| any_value(out, value, most));
        });
    }
}

/// The first so many characters.
fn cut(text: &str, most: Option<usize>) -> &[u8] {
    let end = most.and_then(|most| text.char_indices().nth(most)).map_or(text.len(), |(end, _)| end);
    &text.as_bytes()[..end]
}

/// The static tags, each key once and none that is `taken`: a key must not stand twice in one list.
pub(super) fn static_tags(out: &mut Writer, field: u32, tags: &[Attribute], taken: impl Fn(&str) -> bool) {
    for (place, tag) in tags.iter().enumerate() {
        let told = tags[..place].iter().any(|(key, _)| *key == tag.0);
        if !told && !taken(&tag.0) {
            attributes(out, field, std::slice::from_ref(tag));
        }
    }
}

/// One `KeyValue` with a text.
pub(super) fn text(out: &mut Writer, field: u32, key: &str, value: &str) {
    out.message(field, |out| {
        out.bytes(1, key.as_bytes());
        out.message(2, |out| out.bytes_always(1, value.as_bytes()));
    });
}

fn any_value(out: &mut Writer, value: &Value, most: Option<usize>) {
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
