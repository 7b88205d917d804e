//! Times that options and variables give in seconds.

use std::time::Duration;

/// A time of at most a year.
///
/// # Errors
/// When the text is none.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    const YEAR: f64 = 365.0 * 86_400.0;
    let seconds = text.parse().ok().filter(|seconds| (0.0..=YEAR).contains(seconds));
    let seconds = seconds.ok_or("write a number of seconds from 0 to a year, such as 2.5")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// How often something is done: a time that is not 0.
///
/// # Errors
/// When the text is none.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if interval.is_zero() {
        return Err("write a number of seconds above 0, such as 0.5".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_time_and_what_is_an_interval() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!((seconds("0"), interval("0.5")), (Ok(Duration::ZERO), Ok(Duration::from_millis(500))));
        for text in ["-1", "1e9", "NaN", "inf", "soon", ""] {
            assert!(seconds(text).is_err() && interval(text).is_err(), "{text}");
        }
        // A nanosecond's part rounds to 0.
        assert!(interval("0").is_err() && interval("1e-10").is_err());
    }
}
