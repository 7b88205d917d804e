//! What a look at a tree of processes costs, beside `psutil` doing the same, and what the end of a task costs.
//!
//! `psutil` runs in `python3`, or in the interpreter that `PSUTIL_PYTHON` names. The two take turns over the same
//! processes. Nothing is asserted; without `psutil` our side is printed alone.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dagtel_proc::{Options, Tracker, limits};

/// Rounds of each side.
const ROUNDS: usize = 41;
/// Looks in a round.
const LOOKS: u32 = 20;

/// What the Cosmos tracker does at each poll, for the process that it is told. Answers with seconds.
const PSUTIL: &str = "
import psutil, sys, time
print(psutil.__version__, flush=True)
for line in sys.stdin:
    pid, looks = map(int, line.split())
    me = psutil.Process(pid)
    began = time.perf_counter()
    for _ in range(looks):
        rss = 0
        for p in [me] + me.children(recursive=True):
            try:
                rss += p.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    print((time.perf_counter() - began) / looks, flush=True)
";

/// Processes that sleep until this is dropped.
struct Crowd(Vec<Child>);

impl Crowd {
    fn of(processes: usize) -> Self {
        Self((0..processes).map(|_| Command::new("sleep").arg("600").spawn().expect("sleep runs")).collect())
    }

    /// A process with so many children, as the tree of a task.
    fn tree(children: usize) -> Self {
        // What follows the loop keeps the shell from becoming the last command.
        let script = format!("for i in $(seq {children}); do sleep 600 & done; read line; exit 0");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).process_group(0);
        let shell = command.spawn().expect("sh runs");
        let id = shell.id();
        let crowd = Self(vec![shell]);
        // Until `seq` has ended and every child has begun.
        while listed(id) != children {
            thread::sleep(Duration::from_millis(1));
        }
        crowd
    }

    fn root(&self) -> u32 {
        self.0[0].id()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // A shell leads a group, which has all its children.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn listed(pid: u32) -> usize {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    list.map_or(0, |list| list.split_whitespace().count())
}

struct Psutil {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
}

impl Psutil {
    fn start() -> Option<Self> {
        let python = std::env::var("PSUTIL_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut command = Command::new(python);
        command.args(["-c", PSUTIL]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let input = child.stdin.take()?;
        let mut output = BufReader::new(child.stdout.take()?);
        let mut version = String::new();
        if output.read_line(&mut version).unwrap_or(0) == 0 {
            let _ = child.wait();
            return None;
        }
        Some(Self { child, input, output, version: version.trim().into() })
    }

    /// Seconds of one poll.
    fn poll(&mut self, pid: u32) -> f64 {
        writeln!(self.input, "{pid} {LOOKS}").expect("psutil listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("psutil answers");
        answer.trim().parse().expect("a number")
    }
}

impl Drop for Psutil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds of processor time that the tracker's thread takes for one look, waking up included.
fn our_poll(pid: u32) -> f64 {
    let tracker = Tracker::new();
    let task = tracker.track(pid, Options::default().with_interval(limits::SHORTEST_INTERVAL));
    let looks = |at_least: u64| {
        while task.snapshot().looks < at_least {
            thread::sleep(Duration::from_millis(1));
        }
        task.snapshot().looks
    };
    // The first look opens the files.
    let first = looks(3);
    let (thread, began) = our_thread();
    let last = looks(first + u64::from(LOOKS));
    let ended = processor_time(&thread);
    (ended - began) / (last - first) as f64
}

/// The directory of the tracker's thread, and its seconds so far.
fn our_thread() -> (String, f64) {
    let threads = std::fs::read_dir("/proc/self/task").expect("listed").flatten();
    let mut directories = threads.map(|thread| thread.path().display().to_string());
    let ours = |directory: &String| {
        std::fs::read_to_string(format!("{directory}/comm")).is_ok_and(|name| name.trim() == "dagtel-proc")
    };
    let thread = directories.find(ours).expect("the thread runs");
    let seconds = processor_time(&thread);
    (thread, seconds)
}

fn processor_time(thread: &str) -> f64 {
    let text = std::fs::read_to_string(format!("{thread}/schedstat")).expect("alive");
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).expect("a number") / 1e9
}

/// Seconds that the end of a tracked task takes.
fn our_end(pid: u32) -> f64 {
    let task = Tracker::new().track(pid, Options::default());
    // The look that opens the files is over in any task that lasts.
    while task.snapshot().looks < 2 {
        thread::yield_now();
    }
    let began = Instant::now();
    std::hint::black_box(task.stop());
    began.elapsed().as_secs_f64()
}

fn row(what: &str, rounds: usize, peer: &mut Option<Psutil>, tree: &Crowd) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let root = tree.root();
    for round in 0..rounds {
        // Whoever comes second finds the caches as the other left them.
        if round % 2 == 0 {
            ours.push(our_poll(root));
        }
        theirs.extend(peer.as_mut().map(|peer| peer.poll(root)));
        if round % 2 == 1 {
            ours.push(our_poll(root));
        }
    }
    let ends: Vec<f64> = (0..rounds * 5).map(|_| our_end(root)).collect();
    let longest = ends.iter().copied().fold(0.0, f64::max);
    let (ours, theirs, end) = (median(ours) * 1e6, median(theirs) * 1e6, median(ends) * 1e6);
    println!(
        "{what:<34} {ours:>10.1} us {theirs:>10.1} us {:>8.1} x {end:>10.1} us {:>10.1} us",
        theirs / ours,
        longest * 1e6
    );
}

fn main() {
    // Under `cargo test` one round has to do.
    let bench = std::env::args().any(|argument| argument == "--bench");
    let rounds = if bench { ROUNDS } else { 1 };
    let mut peer = Psutil::start();
    match &peer {
        Some(peer) => {
            println!("psutil {}; medians of {rounds} alternating rounds of {LOOKS} looks", peer.version)
        }
        None => println!("psutil is absent (name an interpreter that has it in PSUTIL_PYTHON): ours alone"),
    }
    println!(
        "{:<34} {:>13} {:>13} {:>10} {:>13} {:>13}",
        "tree of a root and", "ours", "psutil", "ratio", "end, median", "end, longest"
    );
    for children in [0, 10, 50] {
        row(&format!("{children} children"), rounds, &mut peer, &Crowd::tree(children));
    }
    let _strangers = Crowd::of(500);
    row("10 children, 500 unrelated around", rounds, &mut peer, &Crowd::tree(10));
}
