//! Start and end of a task into the journal on disk, beside a span into the SDK's memory.
//!
//! At level `process` each of the two events is in the kernel's hands when its call returns: two `write(2)`. At the
//! batched level a thread encodes and writes them together, 5 ms later. Nobody drains meanwhile, so only the append
//! counts. `two bare writes` is what the kernel alone takes for records of that size: no journal that survives a killed
//! process can be faster without mapping its file into memory.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use dagtel::{DagRun, Dagtel, Durability};

use crate::ratio::{Table, Target};
use crate::sample;
use crate::sides::{Sdk, Side as _};

const TASKS: usize = 1000;
/// Bytes of the two records of a task of the sample.
const STARTED: usize = 440;
const FINISHED: usize = 120;

struct OnDisk {
    dagtel: Dagtel,
    runs: Cell<usize>,
    _spool: tempfile::TempDir,
}

impl OnDisk {
    fn start(durability: Durability) -> Self {
        let spool = tempfile::tempdir().expect("a temporary directory");
        let builder = Dagtel::builder("bench").spool(spool.path()).durability(durability);
        let dagtel = builder.reporter().expect("a temporary directory can be a spool");
        Self { dagtel, runs: Cell::new(0), _spool: spool }
    }

    /// Nanoseconds of a task, the description included.
    fn burst(&self) -> f64 {
        self.runs.set(self.runs.get() + 1);
        let run = self.dagtel.start(DagRun::new("bench", self.runs.get().to_string()));
        let start = Instant::now();
        (0..TASKS).for_each(|n| run.start(sample::task(n)).success());
        let spent = start.elapsed();
        run.success();
        nanos(spent)
    }
}

/// Nanoseconds of two `write(2)` that append as many bytes as a task's two records have.
fn two_writes(dir: &Path) -> f64 {
    let path = dir.join("records");
    let mut file = File::create(&path).expect("a temporary directory");
    let (started, finished) = (vec![7; STARTED], vec![7; FINISHED]);
    let start = Instant::now();
    for _ in 0..TASKS {
        file.write_all(&started).expect("room on the disk");
        file.write_all(&finished).expect("room on the disk");
    }
    let spent = start.elapsed();
    fs::remove_file(&path).expect("the file is there");
    nanos(spent)
}

fn sdk(side: &Sdk) -> f64 {
    let run = side.begin();
    let start = Instant::now();
    (0..TASKS).for_each(|n| side.task(&run, n));
    let spent = start.elapsed();
    side.settle(run, TASKS);
    nanos(spent)
}

fn nanos(spent: Duration) -> f64 {
    spent.as_nanos() as f64 / TASKS as f64
}

pub(crate) fn table(table: &mut Table) {
    let theirs = Sdk::start();
    let lost = || match theirs.lost() {
        0 => "nothing dropped".to_owned(),
        lost => format!("DROPPED by the peer: {lost}"),
    };
    let process = OnDisk::start(Durability::Process);
    table.compare("journal: process", Target::Times(2.5), || process.burst(), || sdk(&theirs), lost);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (bare, note) = (|| two_writes(dir.path()), || "what the kernel alone takes".to_owned());
    table.compare("journal: two bare writes", Target::None, bare, || sdk(&theirs), note);
    let batched = OnDisk::start(Durability::Batched);
    table.compare("journal: batched", Target::Times(1.0), || batched.burst(), || sdk(&theirs), lost);
}
