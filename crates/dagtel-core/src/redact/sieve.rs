//! A quick look at a text, after which nearly all texts are done with: whether one of many literals may be in it.
//!
//! For each literal stand three bytes of it that follow each other. They are put into [`BUCKETS`] buckets, each with a set
//! of bytes for each of the three places; a text passes if three bytes in a row are in the three sets of one bucket. One
//! table has the sets, a bit for each bucket and place, so that a byte of a text costs one look-up and no branch.

/// As many as a row of the table has room for, three times.
const BUCKETS: usize = 21;
/// Bits of a row from one place to the next.
const PLACE: u32 = BUCKETS as u32;
/// Bytes of a text after which it is asked whether it has passed already.
const BLOCK: usize = 64;

/// What to look for.
#[derive(Clone, Copy)]
pub(super) enum Literal {
    /// At least three bytes, in capital or small letters.
    AnyCase(&'static str),
    /// At least two bytes as they are written, not behind a letter or a digit.
    Word(&'static str),
    /// One byte, behind two others.
    Byte(u8),
}

/// Tells texts that have none of its literals.
#[derive(Debug)]
pub(super) struct Sieve([u64; 256]);

impl Sieve {
    pub(super) fn of(literals: impl IntoIterator<Item = Literal>) -> Self {
        let mut buckets: [Bucket; BUCKETS] = std::array::from_fn(|_| Bucket::default());
        for literal in literals {
            let places = literal.places();
            let choices = places.windows(3).flat_map(|three| (0..BUCKETS).map(move |bucket| (three, bucket)));
            let rarest = choices.min_by_key(|(three, bucket)| buckets[*bucket].more_often_with(three));
            if let Some((three, bucket)) = rarest {
                buckets[bucket].add(three);
            }
        }
        Self(table(&buckets))
    }

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

fn table(buckets: &[Bucket]) -> [u64; 256] {
    let mut table = [0; 256];
    for (number, bucket) in buckets.iter().enumerate() {
        for (place, set) in bucket.sets.iter().enumerate() {
            let rows = table.iter_mut().zip(set).filter(|(_, there)| **there);
            rows.for_each(|(row, _)| *row |= 1 << (place * BUCKETS + number));
        }
    }
    table
}

impl Literal {
    /// What may stand in each place of it.
    fn places(self) -> Vec<Vec<u8>> {
        match self {
            Self::AnyCase(text) => {
                let mut places: Vec<_> = text
                    .bytes()
                    .map(|byte| vec![byte.to_ascii_lowercase(), byte.to_ascii_uppercase()])
                    .collect();
                places.iter_mut().for_each(Vec::dedup);
                places
            }
            Self::Word(text) => {
                let before = (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric()).collect();
                let places = std::iter::once(before).chain(text.bytes().map(|byte| vec![byte]));
                // A short one ends many a word (`task-` has `sk-`): its beginning says more.
                if text.len() <= 3 { places.take(3).collect() } else { places.collect() }
            }
            Self::Byte(byte) => vec![(0..=u8::MAX).collect(), (0..=u8::MAX).collect(), vec![byte]],
        }
    }
}

/// What may stand in the three places, and how often each set of bytes is met.
struct Bucket {
    sets: [[bool; 256]; 3],
    often: [u64; 3],
}

impl Default for Bucket {
    fn default() -> Self {
        Self { sets: [[false; 256]; 3], often: [0; 3] }
    }
}

impl Bucket {
    /// How much more often texts would pass for this bucket if these three were in it.
    fn more_often_with(&self, three: &[Vec<u8>]) -> u64 {
        let places = self.sets.iter().zip(self.often).zip(three);
        let with = places.map(|((set, often), bytes)| {
            often
                + bytes
                    .iter()
                    .filter(|byte| !set[usize::from(**byte)])
                    .map(|byte| often_met(*byte))
                    .sum::<u64>()
        });
        with.product::<u64>() - self.often.iter().product::<u64>()
    }

    fn add(&mut self, three: &[Vec<u8>]) {
        for ((set, often), bytes) in self.sets.iter_mut().zip(&mut self.often).zip(three) {
            for byte in bytes {
                if !std::mem::replace(&mut set[usize::from(*byte)], true) {
                    *often += often_met(*byte);
                }
            }
        }
    }
}

/// About how often a byte is met in names, ids, addresses and English, in no unit.
fn often_met(byte: u8) -> u64 {
    match byte {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 12,
        b'_' | b' ' | b'c' | b'd' | b'l' | b'm' | b'p' | b'u' => 6,
        b'-' | b'.' | b'/' | b':' | b'0'..=b'9' | b'b' | b'f' | b'g' | b'h' | b'k' | b'v' | b'w' | b'y' => 3,
        _ => 1,
    }
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
