//! What `dagtel exec` costs a task that does nothing: `dagtel exec -- true` beside `true`, by turns, from start to end of
//! the process. Nobody drains meanwhile.

#[path = "../../dagtel/benches/cost/ratio.rs"]
mod ratio;

use std::{fs, process::Command, time::Instant};

use ratio::{Table, Target, quantile};

/// Processes of each side in a usual run.
const PROCESSES: usize = 200;
/// Milliseconds that a task may take longer.
const MORE: f64 = 3.0;

fn main() {
    let mut table = Table::from_args();
    let what = "exec: true in dagtel exec / true";
    if !table.wants(what) {
        return;
    }
    let processes = if table.rounds() > 1 { PROCESSES } else { 1 };
    let dir = tempfile::tempdir().expect("a temporary directory");
    // As an installation does. The cache has what the linker wrote in single pages, which takes 0.4 ms longer to map.
    let dagtel = dir.path().join("dagtel");
    fs::copy(env!("CARGO_BIN_EXE_dagtel"), &dagtel).expect("room for the command");
    let mut wrapped = Command::new(dagtel);
    wrapped.args(["exec", "--dag-id", "bench", "--task-id", "true", "--", "true"]);
    wrapped.env("DAGTEL_SPOOL_DIR", dir.path().join("spool"));
    let mut bare = Command::new("true");
    // Neither side is measured cold.
    nanoseconds(&mut wrapped);
    nanoseconds(&mut bare);
    let costs = (0..processes).map(|_| (nanoseconds(&mut wrapped), nanoseconds(&mut bare)));
    let (wrapped, bare): (Vec<f64>, Vec<f64>) = costs.unzip();
    let more = (quantile(&wrapped, 0.5) - quantile(&bare, 0.5)) / 1e6;
    let missed = if more > MORE { ", missed" } else { "" };
    let note = format!("{more:.1} ms more, the median of {processes} (target {MORE:.0} ms{missed})");
    table.measured(what, Target::None, wrapped, bare, note);
    table.print();
}

fn nanoseconds(command: &mut Command) -> f64 {
    let began = Instant::now();
    let status = command.status().expect("the command starts");
    assert!(status.success(), "{status}");
    began.elapsed().as_secs_f64() * 1e9
}
