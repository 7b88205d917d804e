//! The texts of `/proc`. Whatever is malformed gives `None`.

use std::time::Duration;

/// What is used of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    /// Page faults of all kinds so far.
    pub(crate) faults: u64,
    /// Clock ticks of the process itself, user and system.
    pub(crate) own: u64,
    /// Clock ticks of its children that it has waited for, and of theirs.
    pub(crate) waited: u64,
    pub(crate) threads: u64,
    /// When it began, in clock ticks since the system did. With the id it tells processes apart.
    pub(crate) start: u64,
}

pub(crate) fn stat(text: &[u8]) -> Option<Stat> {
    // The name is between parentheses and may itself have some, or spaces.
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let fields = str::from_utf8(&text[name_end + 1..]).ok()?;
    // As proc(5) numbers them; what follows the name is the third.
    let mut fields = fields.split_ascii_whitespace();
    let mut at = 3;
    let mut number = |wanted: usize| {
        let field = fields.nth(wanted - at)?;
        at = wanted + 1;
        field.parse::<u64>().ok()
    };
    let parent = u32::try_from(number(4)?).ok()?;
    let faults = number(10)? + number(12)?;
    let own = number(14)? + number(15)?;
    let waited = number(16)? + number(17)?;
    Some(Stat { parent, faults, own, waited, threads: number(20)?, start: number(22)? })
}

/// Clock ticks as time.
pub(crate) fn ticks(count: u64, per_second: u64) -> Duration {
    Duration::from_nanos((u128::from(count) * 1_000_000_000 / u128::from(per_second.max(1))) as u64)
}

/// The resident set of `/proc/<pid>/statm`, in pages.
pub(crate) fn resident(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The bytes of a line such as `VmHWM:      5120 kB`.
pub(crate) fn kilobytes(text: &[u8], name: &str) -> Option<u64> {
    let line = text.split(|byte| *byte == b'\n').find(|line| line.starts_with(name.as_bytes()))?;
    let value = str::from_utf8(&line[name.len()..]).ok()?.strip_prefix(':')?;
    value.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The process ids in a list of children.
pub(crate) fn pids(text: &[u8]) -> impl Iterator<Item = u32> + '_ {
    text.split(u8::is_ascii_whitespace).filter_map(|word| str::from_utf8(word).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_process_calls_itself() {
        let rest = "S 11093 11111 11111 0 -1 4194560 2119 57997 3 72 5 1 33 15 20 0 7 0 1141989 5124096 954 \
                    18446744073709551615 1 1 0";
        let expected = Stat { parent: 11093, faults: 2122, own: 6, waited: 48, threads: 7, start: 1_141_989 };
        for name in ["bash", "a b", "x) S 1 (y", "\u{fffd}"] {
            assert_eq!(stat(format!("11111 ({name}) {rest}\n").as_bytes()), Some(expected), "{name}");
        }
        assert_eq!(stat(b"1 (\xff\xfe) S 2 3"), None);
        assert_eq!(stat(b""), None);
    }

    #[test]
    fn other_files_are_read() {
        assert_eq!(resident(b"1251 1015 778 193 0 270 0\n"), Some(1015));
        assert_eq!(resident(b"1251"), None);
        let status = b"Name:\tx\nVmHWM:\t    1740 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(kilobytes(status, "VmHWM"), Some(1740 * 1024));
        assert_eq!(kilobytes(status, "VmH"), None);
        assert_eq!(kilobytes(b"Pss:  18446744073709551615 kB\n", "Pss"), None);
        assert_eq!(pids(b"12 345 \n").collect::<Vec<_>>(), [12, 345]);
        assert_eq!(ticks(250, 100), Duration::from_millis(2500));
    }
}
