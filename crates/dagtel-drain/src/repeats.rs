//! Lines that come twice. Other facts are merged, so a repetition of them changes nothing; of a line it would be another one.
//!
//! Whoever forwards lines numbers them (`log.record.uid`, `<sender>-<number>`), and whoever receives them remembers which
//! numbers have come. A request that was in flight when either was killed comes again with the same numbers.

use std::collections::BTreeMap;

use dagtel_core::catalog::attribute;
use dagtel_core::event::{Event, Fact};
use dagtel_core::value::{SmolStr, Value};
use dagtel_spool::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

/// Senders that are remembered; beyond it the one that was silent longest is forgotten.
const SENDERS: usize = 1024;
/// Ranges of numbers that are remembered of each. One sender's lines come in order, in part by way of other receivers, so
/// there are few; beyond it the lowest is forgotten.
const RANGES: usize = 1024;

/// The numbers of the lines that are sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbering {
    /// Drawn with each new state: numbers that begin anew are those of another sender.
    sender: u64,
    next: u64,
}

impl Numbering {
    pub(crate) fn new() -> Self {
        Self { sender: SystemClock::default().random(), next: 0 }
    }

    /// The id of the next line.
    pub(crate) fn next(&mut self) -> SmolStr {
        let number = self.next;
        self.next += 1;
        format!("{:016x}-{number}", self.sender).into()
    }
}

/// The numbers of the lines that have come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Received {
    senders: BTreeMap<u64, Numbers>,
    /// Lines so far, for knowing who was silent longest.
    turn: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Numbers {
    /// From and to, both inclusive, in order, without neighbours.
    ranges: Vec<(u64, u64)>,
    last_turn: u64,
}

impl Received {
    /// Whether an event is a line that has come before. Remembers it.
    pub(crate) fn knows(&mut self, event: &Event) -> bool {
        let Fact::Log { line, .. } = &event.fact else { return false };
        let uid = line.attributes.iter().find(|(key, _)| *key == attribute::LOG_RECORD_UID);
        let Some((_, Value::Str(uid))) = uid else { return false };
        let Some((sender, number)) = parse(uid) else { return false };
        if !self.senders.contains_key(&sender) && self.senders.len() >= SENDERS {
            let silent = self.senders.iter().min_by_key(|(_, numbers)| numbers.last_turn);
            let silent = silent.map(|(sender, _)| *sender);
            silent.map(|sender| self.senders.remove(&sender));
        }
        self.turn += 1;
        let numbers = self.senders.entry(sender).or_default();
        numbers.last_turn = self.turn;
        !numbers.add(number)
    }
}

fn parse(uid: &str) -> Option<(u64, u64)> {
    let (sender, number) = uid.split_once('-')?;
    Some((u64::from_str_radix(sender, 16).ok()?, number.parse().ok()?))
}

impl Numbers {
    /// Whether the number is new.
    fn add(&mut self, number: u64) -> bool {
        let ranges = &mut self.ranges;
        let after = ranges.partition_point(|(from, _)| *from <= number);
        let before = after.checked_sub(1);
        if before.is_some_and(|before| ranges[before].1 >= number) {
            return false;
        }
        let joins_before = before.filter(|before| number - 1 == ranges[*before].1);
        let joins_after = ranges.get(after).is_some_and(|(from, _)| *from - 1 == number);
        match joins_before {
            Some(before) if joins_after => ranges[before].1 = ranges.remove(after).1,
            Some(before) => ranges[before].1 = number,
            None if joins_after => ranges[after].0 = number,
            None => ranges.insert(after, (number, number)),
        }
        if ranges.len() > RANGES {
            ranges.remove(0);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_number_is_new_once_in_any_order() {
        let (mut numbers, mut there) = (Numbers::default(), BTreeSet::new());
        let mut seed = 7u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (seed >> 33) % 1000;
            assert_eq!(numbers.add(number), there.insert(number), "{number}");
            let gaps = numbers.ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0);
            assert!(gaps && numbers.ranges.iter().all(|(from, to)| from <= to), "{:?}", numbers.ranges);
        }
        assert_eq!(numbers.ranges, [(0, 999)]);
        assert!(numbers.add(u64::MAX) && !numbers.add(u64::MAX) && numbers.add(u64::MAX - 1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut numbers = Numbers::default();
        (0..3 * RANGES as u64).for_each(|number| assert!(numbers.add(2 * number)));
        assert_eq!(numbers.ranges.len(), RANGES);
        assert!(!numbers.add(6 * RANGES as u64 - 2));

        let mut numbering = Numbering::new();
        let (first, second) = (numbering.next(), numbering.next());
        assert_eq!(parse(&first), Some((numbering.sender, 0)));
        assert_eq!(parse(&second), Some((numbering.sender, 1)));
        assert_ne!(Numbering::new().sender, numbering.sender);
        assert_eq!(parse("of somebody else's"), None);
    }
}
