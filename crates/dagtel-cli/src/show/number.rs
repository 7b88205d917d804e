//! Durations, sizes and plain numbers, written for people. Rounded down, so that no text claims more than was measured.

use super::style::Theme;

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000 * MICRO;
const SECOND: u64 = 1_000 * MILLI;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Columns that the longest duration takes in practice (`23h 59m`, `59.99 s`, `9.999 s`).
pub(crate) const DURATION_WIDTH: usize = 8;

/// Nanoseconds as `850 ns`, `12 ms`, `1.234 s`, `3m 05s`, `2h 07m`, `4d 03h`.
pub(crate) fn duration(theme: &Theme, nanos: u64) -> String {
    let seconds = nanos / SECOND;
    match nanos {
        0..MICRO => format!("{nanos} ns"),
        MICRO..MILLI => format!("{} {}", nanos / MICRO, if theme.unicode { "µs" } else { "us" }),
        MILLI..SECOND => format!("{} ms", nanos / MILLI),
        _ if seconds < 10 => format!("{seconds}.{:03} s", nanos % SECOND / MILLI),
        _ if seconds < MINUTE => format!("{seconds}.{:02} s", nanos % SECOND / (10 * MILLI)),
        _ if seconds < HOUR => format!("{}m {:02}s", seconds / MINUTE, seconds % MINUTE),
        _ if seconds < DAY => format!("{}h {:02}m", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => format!("{}d {:02}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// A measured value in its unit, as UCUM names units: `s`, `ms` and `By` get a readable form.
pub(crate) fn quantity(theme: &Theme, value: f64, unit: &str) -> String {
    let nanos_per_unit = match unit {
        "s" => 1e9,
        "ms" => 1e6,
        "us" => 1e3,
        "ns" => 1.0,
        "By" => return bytes(value),
        _ => return plain(value),
    };
    let nanos = value * nanos_per_unit;
    // Beyond u64 a duration is no duration; a negative one is shown as it is.
    if (0.0..1e19).contains(&nanos) {
        duration(theme, nanos as u64)
    } else {
        format!("{} {unit}", plain(value))
    }
}

/// A number with at most three decimals, without zeros at the end.
pub(crate) fn plain(value: f64) -> String {
    if !value.is_finite() || value.abs() >= 1e15 || (value != 0.0 && value.abs() < 0.001) {
        return format!("{value:.3e}").replace("inf", "infinite");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let number = if unit == 0 { plain(scaled) } else { plain((scaled * 10.0).trunc() / 10.0) };
    format!("{number} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEME: Theme = Theme { color: false, unicode: true, width: 80 };

    #[test]
    fn durations_change_their_unit_and_never_round_up() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1 µs"),
            (999_999, "999 µs"),
            (12_900_000, "12 ms"),
            (999_999_999, "999 ms"),
            (1_234_567_890, "1.234 s"),
            (9_999_999_999, "9.999 s"),
            (59_999_999_999, "59.99 s"),
            (60_000_000_000, "1m 00s"),
            (3_599_999_999_999, "59m 59s"),
            (7_620_000_000_000, "2h 07m"),
            (u64::MAX, "213503d 23h"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(&THEME, nanos), text);
        }
        assert_eq!(duration(&Theme { unicode: false, ..THEME }, 5_000), "5 us");
    }

    #[test]
    fn quantities_follow_their_unit() {
        let cases = [
            (1.5, "s", "1.500 s"),
            (250.0, "ms", "250 ms"),
            (-1.0, "s", "-1 s"),
            (512.0, "By", "512 B"),
            (1536.0, "By", "1.5 KiB"),
            (5.0 * 1024.0 * 1024.0 * 1024.0, "By", "5 GiB"),
            (3.0, "{task}", "3"),
            (0.1, "", "0.1"),
            (1e-9, "1", "1.000e-9"),
            (1e300, "By", "9.095e287 TiB"),
            (f64::NAN, "s", "NaN s"),
            (f64::INFINITY, "1", "infinite"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(quantity(&THEME, value, unit), text);
        }
    }
}
