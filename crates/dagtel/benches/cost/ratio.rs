//! Ratios between two ways of doing one thing.
//!
//! A machine that does other work at the same time gives no steady nanoseconds, but what disturbs one side disturbs
//! the other as well when the two take turns. So they alternate, many short rounds of each, and what is told is the
//! ratio of the medians, with the spread of the ratios of single rounds beside it. Nothing is asserted.
//!
//! Benchmarks of other crates take this file in by its path. What [`ROWS`] names gets the rows as well, a line each with
//! tabs between, for `cargo xtask bench`.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::fs::OpenOptions;
use std::io::Write as _;

/// The environment variable that names a file for the rows.
pub(crate) const ROWS: &str = "DAGTEL_BENCH_ROWS";

/// Rounds of each side.
pub(crate) const ROUNDS: usize = 41;

/// One line of the table.
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    dagtel: Vec<f64>,
    peer: Vec<f64>,
    target: Target,
    note: String,
}

/// What a row is held against.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At most this many times what the peer costs.
    Times(f64),
    /// At least this much, without a peer.
    AtLeast(f64),
    /// For comparison only.
    None,
}

/// The rows so far, and which of them are wanted.
pub(crate) struct Table {
    rows: Vec<Row>,
    filter: Option<String>,
    rounds: usize,
}

impl Table {
    /// Takes the filter from the command line, like criterion. Without `--bench` (that is, under `cargo test`) one
    /// round of everything has to do.
    pub(crate) fn from_args() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        let rounds = if has("--list") || has("--profile-time") {
            0
        } else if has("--bench") {
            ROUNDS
        } else {
            1
        };
        let words = args.iter().enumerate().filter(|(_, arg)| !arg.starts_with('-'));
        // What follows an option is the option's own.
        let mut names =
            words.filter(|(n, _)| *n == 0 || args[n - 1] == "--bench" || !args[n - 1].starts_with('-'));
        let filter = names.next().map(|(_, name)| name.clone());
        Self { rows: Vec::new(), filter, rounds }
    }

    /// Measures one row, unless it is not wanted. Each side does one round and says what it cost; `note` is asked at
    /// the end for what a reader must know, such as that something was dropped.
    pub(crate) fn compare(
        &mut self,
        what: &str,
        target: Target,
        mut dagtel: impl FnMut() -> f64,
        mut peer: impl FnMut() -> f64,
        note: impl FnOnce() -> String,
    ) {
        if !self.wants(what) {
            return;
        }
        // Neither side is measured cold.
        dagtel();
        peer();
        let mut costs = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // Whoever comes second finds the caches as the other left them, so they take turns in that, too.
            if round % 2 == 0 {
                costs.0.push(dagtel());
                costs.1.push(peer());
            } else {
                costs.1.push(peer());
                costs.0.push(dagtel());
            }
        }
        let (dagtel, peer) = costs;
        self.rows.push(Row { what: what.into(), unit: "ns", dagtel, peer, target, note: note() });
    }

    /// Adds a row that was measured otherwise, in nanoseconds of single rounds.
    pub(crate) fn measured(
        &mut self,
        what: &str,
        target: Target,
        dagtel: Vec<f64>,
        peer: Vec<f64>,
        note: String,
    ) {
        self.rows.push(Row { what: what.into(), unit: "ns", dagtel, peer, target, note });
    }

    /// Rounds of each side.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    /// Measures a rate that has no peer.
    pub(crate) fn rate(&mut self, what: &str, at_least: f64, mut per_second: impl FnMut() -> f64) {
        if !self.wants(what) {
            return;
        }
        per_second();
        let dagtel = (0..self.rounds).map(|_| per_second()).collect();
        let (what, target, note) = (what.into(), Target::AtLeast(at_least), String::new());
        self.rows.push(Row { what, unit: "/s", dagtel, peer: Vec::new(), target, note });
    }

    /// Whether the row is wanted.
    pub(crate) fn wants(&self, what: &str) -> bool {
        self.rounds > 0 && self.filter.as_ref().is_none_or(|filter| what.contains(filter.as_str()))
    }

    /// Prints what was measured.
    pub(crate) fn print(&self) {
        if self.rows.is_empty() {
            return;
        }
        println!(
            "\nMedians of {} alternating rounds; the spread is that of single rounds, 10 % to 90 %",
            self.rounds
        );
        println!(
            "{:<52} {:>12} {:>10} {:>7} {:>13} {:>12}  note",
            "what", "dagtel", "peer", "ratio", "spread", "target"
        );
        for row in &self.rows {
            println!("{}", row.line());
        }
        if let Some(file) = std::env::var_os(ROWS) {
            let rows: String = self.rows.iter().map(|row| row.fields().join("\t") + "\n").collect();
            let file = OpenOptions::new().create(true).append(true).open(file);
            file.and_then(|mut file| file.write_all(rows.as_bytes()))
                .expect("the file for the rows takes them");
        }
    }
}

impl Row {
    fn line(&self) -> String {
        let [what, ours, peer, ratio, spread, target, note] = self.fields();
        format!("{what:<52} {ours:>12} {peer:>10} {ratio:>7} {spread:>13} {target:>12}  {note}")
    }

    /// What it is, both sides, their ratio, its spread, the target, and what a reader must know.
    fn fields(&self) -> [String; 7] {
        let Self { what, unit, dagtel, peer, target, note } = self;
        let of_rounds: Vec<f64> = dagtel.iter().zip(peer).map(|(dagtel, peer)| dagtel / peer).collect();
        let ours = quantile(dagtel, 0.5);
        let theirs = quantile(peer, 0.5);
        let (peer, ratio, spread) = if peer.is_empty() {
            Default::default()
        } else {
            let spread = format!("{:.2}..{:.2}", quantile(&of_rounds, 0.1), quantile(&of_rounds, 0.9));
            (format!("{theirs:.1} {unit}"), format!("{:.2}", ours / theirs), spread)
        };
        let target = match target {
            Target::Times(times) => format!("<= {times}"),
            Target::AtLeast(least) => format!(">= {least:.0}"),
            Target::None => "-".to_owned(),
        };
        let ours = if ours < 1e5 { format!("{ours:.1} {unit}") } else { format!("{ours:.0} {unit}") };
        [what.clone(), ours, peer, ratio, spread, target, note.clone()]
    }
}

/// The value below which this part of the values lies; NaN for none.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().saturating_sub(1)) as f64 * part;
    sorted.get(place.round() as usize).copied().unwrap_or(f64::NAN)
}
