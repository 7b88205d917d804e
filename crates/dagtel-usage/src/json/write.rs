//! Values to JSON text, as Python's `json.dumps` writes them by default.

use std::fmt::Write as _;

use super::{Dict, Value, float};
use crate::limits::{METADATA_DEPTH, METADATA_VALUES};

/// Values beyond what [`parse`](super::parse) would read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Depth,
    Values,
}

/// `{"a": 1, "b": [true, null]}`: ASCII alone, a blank behind every comma and colon.
pub(crate) fn write(entries: &Dict) -> Result<String, Excess> {
    // The object itself is a value as well.
    let mut writer = Writer { out: String::with_capacity(1024), values: 1, depth: 0 };
    writer.dict(entries)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    values: usize,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Excess> {
        self.values += 1;
        if self.values > METADATA_VALUES {
            return Err(Excess::Values);
        }
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            // Writing to a string does not fail.
            Value::Int(number) => drop(write!(self.out, "{number}")),
            Value::BigInt(number) => self.out.push_str(number.as_str()),
            Value::Float(number) if number.is_nan() => self.out.push_str("NaN"),
            Value::Float(number) if number.is_infinite() => {
                self.out.push_str(if *number > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Value::Float(number) => self.out.push_str(&float::repr(*number)),
            Value::Str(text) => self.text(text),
            Value::List(items) => self.all('[', items.iter(), ']', Self::value)?,
            Value::Dict(entries) => self.dict(entries)?,
        }
        Ok(())
    }

    fn dict(&mut self, entries: &Dict) -> Result<(), Excess> {
        self.all('{', entries.iter(), '}', |writer, (key, value)| {
            writer.text(key);
            writer.out.push_str(": ");
            writer.value(value)
        })
    }

    fn all<T>(
        &mut self,
        open: char,
        items: impl Iterator<Item = T>,
        close: char,
        each: impl Fn(&mut Self, T) -> Result<(), Excess>,
    ) -> Result<(), Excess> {
        self.depth += 1;
        if self.depth > METADATA_DEPTH {
            return Err(Excess::Depth);
        }
        self.out.push(open);
        for (index, item) in items.enumerate() {
            self.out.push_str(if index == 0 { "" } else { ", " });
            each(self, item)?;
        }
        self.out.push(close);
        self.depth -= 1;
        Ok(())
    }

    /// Everything beyond printable ASCII becomes `\uXXXX`, in halves of UTF-16.
    fn text(&mut self, text: &str) {
        self.out.push('"');
        let mut plain_from = 0;
        for (at, letter) in text.char_indices() {
            if matches!(letter, ' '..='~') && letter != '"' && letter != '\\' {
                continue;
            }
            self.out.push_str(&text[plain_from..at]);
            plain_from = at + letter.len_utf8();
            self.escape(letter);
        }
        self.out.push_str(&text[plain_from..]);
        self.out.push('"');
    }

    fn escape(&mut self, letter: char) {
        let short = match letter {
            '"' => '"',
            '\\' => '\\',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            _ => {
                for half in letter.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{half:04x}"));
                }
                return;
            }
        };
        self.out.extend(['\\', short]);
    }
}
