//! What a recording says, read without any code of dagtel's: the oracle that replays are held against.
//!
//! The scheduler's list at the end of the run goes before a try's own hooks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What names a try within its run: task id, map index, try number.
pub type TryId = (String, i64, i64);

/// One try as it was recorded.
#[derive(Debug, Clone, Default)]
pub struct Try {
    /// The state it ended in.
    pub state: String,
    /// When it started, in microseconds since 1970; the end for one that never ran.
    pub start_us: u64,
    /// When it ended, in microseconds since 1970.
    pub end_us: u64,
    /// The message of its error.
    pub error: Option<String>,
    /// Whether any hook of its own told of it.
    pub own: bool,
}

/// One recorded run.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Every try that anything is known of.
    pub tries: BTreeMap<TryId, Try>,
    /// Dependencies between tasks.
    pub edges: BTreeSet<(String, String)>,
}

impl Recorded {
    /// Reads a recording of one run.
    ///
    /// # Panics
    /// When it is not a recording.
    pub fn read(text: &str) -> Self {
        let mut recorded = Self::default();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of a recording is JSON");
            let hook = line["hook"].as_str().expect("a hook has a name");
            if hook.starts_with("on_task_instance") {
                recorded.own_hook(hook, &line);
            } else {
                recorded.run_hook(&line);
            }
        }
        recorded
    }

    fn own_hook(&mut self, hook: &str, line: &Value) {
        let ti = &line["ti"];
        let task = self.tries.entry(id(ti)).or_default();
        task.own = true;
        let told = micros(&line["at"]);
        if hook == "on_task_instance_running" {
            task.start_us = micros(&ti["start_date"]).or(told).expect("a hook has a time");
        } else {
            task.end_us = micros(&ti["end_date"]).or(told).expect("a hook has a time");
            task.state = text(&ti["state"]);
            task.error = line["error"]["message"].as_str().map(str::to_owned);
        }
    }

    fn run_hook(&mut self, line: &Value) {
        for edge in line["edges"].as_array().expect("a run has edges") {
            self.edges.insert((text(&edge[0]), text(&edge[1])));
        }
        for ti in line["tis"].as_array().into_iter().flatten() {
            let task = self.tries.entry(id(ti)).or_default();
            task.state = text(&ti["state"]);
            task.end_us = micros(&ti["end_date"]).expect("an ended task instance has an end");
            task.start_us = micros(&ti["start_date"]).filter(|_| task.own).unwrap_or(task.end_us);
        }
    }

    /// The last try of each instance of a task.
    pub fn last_tries(&self, task_id: &str) -> Vec<&TryId> {
        let mut last = BTreeMap::new();
        for id in self.tries.keys().filter(|id| id.0 == task_id) {
            last.insert(id.1, id);
        }
        last.into_values().collect()
    }

    /// Seconds that the tries of a task which ran took together.
    pub fn seconds(&self, task_id: &str) -> f64 {
        let ran = self.tries.iter().filter(|(id, task)| id.0 == task_id && task.own);
        ran.map(|(_, task)| (task.end_us - task.start_us) as f64 / 1e6).sum()
    }
}

fn id(ti: &Value) -> TryId {
    let number = |field: &str| ti[field].as_i64().expect("a task instance has numbers");
    (text(&ti["task_id"]), number("map_index"), number("try_number"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Microseconds since 1970, of seconds or of `2026-11-20T21:03:47.101976+00:00`.
fn micros(value: &Value) -> Option<u64> {
    if let Some(seconds) = value.as_f64() {
        return Some((seconds * 1e6) as u64);
    }
    let text = value.as_str()?;
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.trim_end_matches("+00:00").split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    // Days from civil, by Howard Hinnant's well-known arithmetic for the proleptic Gregorian calendar.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0;
    Some((seconds as u64) * 1_000_000 + (second * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn times_are_read_as_python_reads_them() {
        let micros = |text: &str| super::micros(&json!(text)).unwrap();
        assert_eq!(micros("2026-11-20T21:03:47.101976+00:00"), 1_795_208_627_101_976);
        assert_eq!(micros("2000-02-29T00:00:00+00:00"), 951_782_400_000_000);
    }
}
