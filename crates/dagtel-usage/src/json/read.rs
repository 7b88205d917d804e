//! JSON text to values, as Python's `json.loads` reads it.

use super::{BigInt, Dict, Value};
use crate::limits::{INTEGER_DIGITS, METADATA_DEPTH, METADATA_VALUES};

/// Why a text is no JSON, or more than is read. `at` is the byte, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text ends too early.
    #[error("it ends where more was to come")]
    Unfinished,
    /// Something else should stand here.
    #[error("what stands at byte {at} does not belong there")]
    Unexpected {
        /// The byte.
        at: usize,
    },
    /// A text has a control character that is not escaped.
    #[error("a text has a bare control character at byte {at}")]
    Control {
        /// The byte.
        at: usize,
    },
    /// An escape that JSON does not have.
    #[error("a text has an unknown escape at byte {at}")]
    Escape {
        /// The byte.
        at: usize,
    },
    /// The value is complete and something follows.
    #[error("something follows the value at byte {at}")]
    Trailing {
        /// The byte.
        at: usize,
    },
    /// Too many lists and objects inside each other.
    #[error("lists and objects are nested more than {METADATA_DEPTH} deep")]
    TooDeep,
    /// Too many values.
    #[error("it has more than {METADATA_VALUES} values")]
    TooManyValues,
    /// An integer with more digits than Python converts.
    #[error("an integer has more than {INTEGER_DIGITS} digits")]
    IntegerTooLong,
}

/// Reads one value. Half of a surrogate pair, which Python keeps and Rust's texts cannot hold, becomes U+FFFD.
pub(crate) fn parse(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0, values: 0, depth: 0 };
    reader.skip_blanks();
    let value = reader.value()?;
    reader.skip_blanks();
    if reader.at < text.len() { Err(JsonError::Trailing { at: reader.at }) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected(&self) -> JsonError {
        if self.at < self.text.len() { JsonError::Unexpected { at: self.at } } else { JsonError::Unfinished }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.peek() != Some(wanted) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        self.values += 1;
        if self.values > METADATA_VALUES {
            return Err(JsonError::TooManyValues);
        }
        match self.peek() {
            Some(b'"') => Ok(Value::Str(self.string()?)),
            Some(b'{') => self.nested(Self::dict),
            Some(b'[') => self.nested(Self::list),
            Some(b'0'..=b'9') => self.number(),
            _ => self.word().map_or_else(|| self.number(), Ok),
        }
    }

    fn word(&mut self) -> Option<Value> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        let (word, value) = words.into_iter().find(|(word, _)| self.rest().starts_with(word))?;
        self.at += word.len();
        Some(value)
    }

    fn nested(&mut self, inside: impl Fn(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        self.depth += 1;
        if self.depth > METADATA_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        self.skip_blanks();
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']')? {
                return Ok(Value::List(items));
            }
        }
    }

    fn dict(&mut self) -> Result<Value, JsonError> {
        let mut entries = Dict::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(entries.into());
        }
        loop {
            let key = self.string()?;
            self.skip_blanks();
            self.take(b':')?;
            self.skip_blanks();
            let value = self.value()?;
            entries.insert(key, value);
            if self.ends(b'}')? {
                return Ok(entries.into());
            }
        }
    }

    /// Reads what follows an item: the end, or a comma and the way to the next one.
    fn ends(&mut self, end: u8) -> Result<bool, JsonError> {
        self.skip_blanks();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(true);
        }
        self.take(b',')?;
        self.skip_blanks();
        Ok(false)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.take(b'"')?;
        let mut out = String::new();
        loop {
            // A byte that ends the plain part is never inside a letter of several bytes.
            let plain = self.rest().bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ');
            let plain = plain.ok_or(JsonError::Unfinished)?;
            out.push_str(&self.rest()[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(JsonError::Control { at: self.at }),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let wrong = JsonError::Escape { at: self.at };
        self.at += 1;
        let letter = self.peek().ok_or(JsonError::Unfinished)?;
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode().ok_or(wrong)?,
            _ => return Err(wrong),
        })
    }

    /// What stands behind `\u`, and the second half of a pair if this is the first.
    fn unicode(&mut self) -> Option<char> {
        let first = self.half(self.at)?;
        self.at += 4;
        let second = self.rest().starts_with("\\u").then(|| self.half(self.at + 2)).flatten();
        let decoded = char::decode_utf16([first].into_iter().chain(second)).next()?;
        let letter = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        if letter.len_utf16() == 2 {
            self.at += 6;
        }
        Some(letter)
    }

    fn half(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 4)?;
        // `from_str_radix` alone would take a sign.
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten()
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let from = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.at += digits(self.rest()),
            _ => {
                self.at = from;
                return Err(self.unexpected());
            }
        }
        let integer_to = self.at;
        if let Some(behind) = self.rest().strip_prefix('.')
            && digits(behind) > 0
        {
            self.at += 1 + digits(behind);
        }
        if let Some(behind) = self.rest().strip_prefix(['e', 'E']) {
            let signed = behind.strip_prefix(['+', '-']).unwrap_or(behind);
            let length = digits(signed);
            self.at += if length > 0 { 1 + behind.len() - signed.len() + length } else { 0 };
        }
        let number = &self.text[from..self.at];
        if self.at == integer_to {
            return integer(number);
        }
        number.parse().map(Value::Float).map_err(|_| JsonError::Unexpected { at: from })
    }
}

/// How many digits the text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn integer(text: &str) -> Result<Value, JsonError> {
    if let Ok(number) = text.parse() {
        return Ok(Value::Int(number));
    }
    if text.trim_start_matches('-').len() > INTEGER_DIGITS {
        return Err(JsonError::IntegerTooLong);
    }
    Ok(Value::BigInt(BigInt(text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Dict, write};

    /// The value written again.
    fn written(value: Value) -> String {
        let inside = write(&Dict::from_iter([(String::new(), value)])).expect("one value is few");
        inside["{\"\": ".len()..inside.len() - 1].to_owned()
    }

    #[test]
    fn what_python_reads_is_written_back_as_python_would() {
        for (read, again) in [
            ("{}", "{}"),
            (" [ 1 ,\t2\r\n] ", "[1, 2]"),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1E5", "100000.0"),
            ("1e400", "Infinity"),
            ("-1e-400", "-0.0"),
            ("[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775809", "-9223372036854775809"),
            (r#""\/\u00e9é\ud83d\ude80""#, r#""/\u00e9\u00e9\ud83d\ude80""#),
            (r#""\ud83d!""#, r#""\ufffd!""#),
            (r#""\ude80\ud83d\ud83d\ude80""#, r#""\ufffd\ufffd\ud83d\ude80""#),
            (r#""\ud83d\u0041""#, r#""\ufffdA""#),
        ] {
            assert_eq!(written(parse(read).unwrap()), again, "{read}");
        }
    }

    #[test]
    fn what_python_refuses_is_refused() {
        use JsonError::{Control, Escape, Trailing, Unexpected, Unfinished};
        for (text, error) in [
            ("", Unfinished),
            ("[", Unfinished),
            ("[1", Unfinished),
            ("[1,", Unfinished),
            ("\"a", Unfinished),
            ("{\"a\"", Unfinished),
            ("[1,]", Unexpected { at: 3 }),
            ("{\"a\":1,}", Unexpected { at: 7 }),
            ("{1: 2}", Unexpected { at: 1 }),
            ("nul", Unexpected { at: 0 }),
            ("-", Unexpected { at: 0 }),
            ("+1", Unexpected { at: 0 }),
            (".5", Unexpected { at: 0 }),
            ("-NaN", Unexpected { at: 0 }),
            ("\u{feff}{}", Unexpected { at: 0 }),
            ("01", Trailing { at: 1 }),
            ("1.", Trailing { at: 1 }),
            ("1e", Trailing { at: 1 }),
            ("{}{}", Trailing { at: 2 }),
            ("1\u{a0}", Trailing { at: 1 }),
            ("\"a\nb\"", Control { at: 2 }),
            (r#""\x""#, Escape { at: 1 }),
            (r#""\u12""#, Escape { at: 1 }),
            (r#""\u+123""#, Escape { at: 1 }),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_limits_hold_to_the_last_one_allowed() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(&nested(METADATA_DEPTH)).is_ok());
        assert_eq!(parse(&nested(METADATA_DEPTH + 1)), Err(JsonError::TooDeep));
        assert_eq!(parse(&"[".repeat(1 << 20)), Err(JsonError::TooDeep));

        let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
        assert!(parse(&list(METADATA_VALUES - 1)).is_ok());
        assert_eq!(parse(&list(METADATA_VALUES)), Err(JsonError::TooManyValues));

        let big = "7".repeat(INTEGER_DIGITS);
        assert_eq!(written(parse(&big).unwrap()), big);
        assert_eq!(parse(&format!("-{big}7")), Err(JsonError::IntegerTooLong));
    }
}
