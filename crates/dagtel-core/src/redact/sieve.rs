//! A quick look at a text, after which nearly all texts are done with: whether one of many literals may be in it.
//!
//! For each literal stand three bytes of it that follow each other. They are put into [`BUCKETS`] buckets, each with a set
//! of bytes for each of the three places; a text passes if three bytes in a row are in the three sets of one bucket. One
//! table has the sets, a bit for each bucket and place, so that a byte of a text costs one look-up and no branch.

use super::token::Prefix;

/// As many as a row of the table has room for, three times.
const BUCKETS: usize = 21;
/// Bits of a row from one place to the next.
const PLACE: u32 = BUCKETS as u32;
/// Bytes of a text after which it is asked whether it has passed already.
const BLOCK: usize = 64;

/// Tells texts that have none of its literals.
#[derive(Debug)]
pub(super) struct Sieve([u64; 256]);

impl Sieve {
    /// Whether one of the literals may be in a text. Never `false` when one is.
    pub(super) fn passes(&self, text: &str) -> bool {
        let table = &self.0;
        // Before the first byte there is no letter.
        let (mut first, mut second) = (0, table[0]);
        for block in text.as_bytes().chunks(BLOCK) {
            let mut passed = 0;
            for byte in block {
                let third = table[usize::from(*byte)];
                passed |= first & (second >> PLACE) & (third >> (2 * PLACE));
                (first, second) = (second, third);
            }
            if passed != 0 {
                return true;
            }
        }
        false
    }
}

/// Makes a [`Sieve`], while the program is compiled: built as it starts, it would take half a millisecond of every task's
/// process.
pub(super) struct Builder([[Bytes; 3]; BUCKETS]);

impl Builder {
    pub(super) const fn new() -> Self {
        Self([[Bytes::NONE; 3]; BUCKETS])
    }

    /// A byte, behind two others.
    pub(super) const fn byte(mut self, byte: u8) -> Self {
        self.add(Literal::Byte(byte));
        self
    }

    /// Beginnings of at least two bytes as they are written, not behind a letter or a digit.
    pub(super) const fn prefixes(mut self, prefixes: &[Prefix]) -> Self {
        let mut next = 0;
        while next < prefixes.len() {
            self.add(Literal::Word(prefixes[next].begins.as_bytes()));
            next += 1;
        }
        self
    }

    /// Texts of at least three bytes, in capital or small letters.
    pub(super) const fn any_case(mut self, texts: &[&str]) -> Self {
        let mut next = 0;
        while next < texts.len() {
            self.add(Literal::AnyCase(texts[next].as_bytes()));
            next += 1;
        }
        self
    }

    pub(super) const fn build(self) -> Sieve {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 * BUCKETS * 3 {
            let (byte, bucket, place) = (at / 3 / BUCKETS, at / 3 % BUCKETS, at % 3);
            if self.0[bucket][place].has(byte) {
                table[byte] |= 1 << (place * BUCKETS + bucket);
            }
            at += 1;
        }
        Sieve(table)
    }

    /// Puts those three bytes of a literal into that bucket with which the fewest texts more will pass.
    const fn add(&mut self, literal: Literal<'_>) {
        let (mut fewest, mut best, mut of) = (u64::MAX, self.0[0], 0);
        let mut start = 0;
        while start + 3 <= literal.len() {
            let three = [literal.bytes(start), literal.bytes(start + 1), literal.bytes(start + 2)];
            let mut bucket = 0;
            while bucket < BUCKETS {
                let before = &self.0[bucket];
                let with = [before[0].or(three[0]), before[1].or(three[1]), before[2].or(three[2])];
                let more = often_passed(&with) - often_passed(before);
                if more < fewest {
                    (fewest, best, of) = (more, with, bucket);
                }
                bucket += 1;
            }
            start += 1;
        }
        self.0[of] = best;
    }
}

const fn often_passed(bucket: &[Bytes; 3]) -> u64 {
    bucket[0].often_met() * bucket[1].often_met() * bucket[2].often_met()
}

/// What to look for.
#[derive(Clone, Copy)]
enum Literal<'a> {
    AnyCase(&'a [u8]),
    Word(&'a [u8]),
    Byte(u8),
}

impl Literal<'_> {
    const fn len(self) -> usize {
        match self {
            Self::AnyCase(text) => text.len(),
            // A short one ends many a word (`task-` has `sk-`): its beginning says more.
            Self::Word(text) if text.len() <= 3 => 3,
            Self::Word(text) => text.len() + 1,
            Self::Byte(_) => 3,
        }
    }

    /// What may stand at a place of it.
    const fn bytes(self, place: usize) -> Bytes {
        match self {
            Self::AnyCase(text) => {
                Bytes::of(text[place].to_ascii_lowercase()).or(Bytes::of(text[place].to_ascii_uppercase()))
            }
            Self::Word(_) if place == 0 => Bytes::NOT_ALPHANUMERIC,
            Self::Word(text) => Bytes::of(text[place - 1]),
            Self::Byte(_) if place < 2 => Bytes::ALL,
            Self::Byte(byte) => Bytes::of(byte),
        }
    }
}

/// A set of bytes, a bit for each: of ASCII, and of the rest.
#[derive(Clone, Copy)]
struct Bytes(u128, u128);

impl Bytes {
    const NONE: Self = Self(0, 0);
    const ALL: Self = Self(u128::MAX, u128::MAX);
    const NOT_ALPHANUMERIC: Self =
        Self(!ascii(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), u128::MAX);

    const fn of(byte: u8) -> Self {
        if byte < 128 { Self(1 << byte, 0) } else { Self(0, 1 << (byte - 128)) }
    }

    const fn or(self, others: Self) -> Self {
        Self(self.0 | others.0, self.1 | others.1)
    }

    const fn has(self, byte: usize) -> bool {
        let half = if byte < 128 { self.0 } else { self.1 };
        half >> (byte % 128) & 1 == 1
    }

    /// About how often one of them is met in names, ids, addresses and English, in no unit: 1, 3, 6 or 12 for each.
    const fn often_met(self) -> u64 {
        const MORE: [(u64, u128); 3] = [
            (2, ascii(b"-./:0123456789bfghkvwy_ cdlmpuaeinorst")),
            (3, ascii(b"_ cdlmpuaeinorst")),
            (6, ascii(b"aeinorst")),
        ];
        let mut often = (self.0.count_ones() + self.1.count_ones()) as u64;
        let mut next = 0;
        while next < MORE.len() {
            let (more, bytes) = MORE[next];
            often += more * (self.0 & bytes).count_ones() as u64;
            next += 1;
        }
        often
    }
}

const fn ascii(text: &[u8]) -> u128 {
    let mut bytes = 0;
    let mut next = 0;
    while next < text.len() {
        bytes |= 1 << text[next];
        next += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{HOOKS, MARKS, NAMES, Rules, SIEVE, built_in, masked, name, token};

    /// Everything by which a secret is known, and what is near it.
    fn piece() -> impl Strategy<Value = String> {
        let literals = NAMES.into_iter().chain(HOOKS).chain(MARKS);
        let literals = literals.chain(token::PREFIXES.iter().map(|prefix| prefix.begins)).collect::<Vec<_>>();
        let signs =
            ["=", ": ", " ", "\t", "://", "@", "'", "\"", "-", "_", ".", "/", "--", "é", "\n", "[", "=>"];
        prop_oneof![
            3 => prop::sample::select(literals.clone()).prop_map(str::to_owned),
            1 => prop::sample::select(literals).prop_map(str::to_uppercase),
            4 => prop::sample::select(signs.to_vec()).prop_map(str::to_owned),
            3 => "[a-z]{1,6}",
            2 => "[A-Za-z0-9]{1,40}",
            1 => "[A-F0-9]{16,50}",
            1 => any::<String>(),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(piece(), 0..9).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn no_text_with_a_secret_is_dismissed(text in text()) {
            let mut found = Vec::new();
            built_in(&text, &mut found);
            let wanted = if found.is_empty() { None } else { Some(masked(&text, found)) };
            prop_assert_eq!(Rules::default().redact(&text), wanted);
        }

        #[test]
        fn no_name_of_a_secret_is_dismissed(text in text()) {
            let small = text.to_ascii_lowercase();
            if small.ends_with("pass") || NAMES.iter().any(|part| small.contains(part)) {
                prop_assert_eq!(name::secrecy(&text), name::judge(&text));
            }
        }

        /// What the others build on, for each literal, wherever it stands.
        #[test]
        fn every_literal_passes(before in "(.*[^a-zA-Z0-9])?", after in ".*", capitals: bool) {
            for prefix in &token::PREFIXES {
                let text = [&before, prefix.begins, &after].concat();
                prop_assert!(SIEVE.passes(&text), "{}", text);
            }
            for literal in NAMES.into_iter().chain(HOOKS).chain(MARKS) {
                let literal = if capitals { literal.to_uppercase() } else { literal.to_owned() };
                let text = [&after, &*literal, &before].concat();
                prop_assert!(SIEVE.passes(&text), "{}", text);
            }
        }
    }

    /// Ordinary texts must be done with: what passes costs a hundred times as much.
    #[test]
    fn ordinary_texts_and_names_are_dismissed() {
        for text in [
            "PythonOperator",
            "default_pool",
            "worker-7f4d9c-x2x8p",
            "warehouse.public.stg_orders",
            "https://logs.example.com/dags/customer_orders_daily/tasks/17/1",
            "scheduled__2026-11-20T00:00:00+00:00",
            "loaded 20000 rows into the staging table in 3.2 s",
            "task-runner-17",
        ] {
            assert!(!SIEVE.passes(text), "{text}");
        }
        let dismissed = |key: &&smol_str::SmolStr| name::judge(key).is_none() && !name::may_be_secret(key);
        let names = crate::catalog::attribute::ALL;
        let most = names.iter().filter(dismissed).count();
        assert!(10 * most >= 9 * names.len(), "{most} of {}", names.len());
    }
}
