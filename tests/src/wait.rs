//! Asking again until the answer is the wanted one: no test sleeps for a guessed time.

use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`; after `limit` the test fails with `what` was awaited and the last answer.
///
/// # Panics
/// When the limit is over.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) if started.elapsed() >= limit => {
                panic!("Waited {} s for {what} in vain. The last answer was: {last}", limit.as_secs_f64())
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
