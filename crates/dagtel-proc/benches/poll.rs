//! What a look at a tree of processes costs, beside `psutil` doing the same, and what the end of a task costs.
//!
//! `psutil` runs in `python3`, or in the interpreter that `PSUTIL_PYTHON` names. The two take turns over the same
//! processes. Nothing is asserted; without `psutil` there is nothing to compare with, and nothing is measured.

#[path = "../../dagtel/benches/cost/ratio.rs"]
mod ratio;

use std::{
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dagtel_proc::{Options, Tracker, limits};
use ratio::{Table, Target};

/// Looks in a round.
const LOOKS: u32 = 20;
/// Ends of tasks that are measured.
const ENDS: u32 = 200;

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

/// The row of a tree. Its note has what the end of a tracked task takes, the longest of all rounds.
fn row(table: &mut Table, what: &str, peer: &RefCell<Psutil>, tree: &Crowd) {
    let root = tree.root();
    let longest = || {
        let ends = (0..ENDS).map(|_| our_end(root));
        format!("a task's end takes {:.0} us at most", ends.fold(0.0, f64::max) * 1e6)
    };
    let theirs = || peer.borrow_mut().poll(root) * 1e9;
    table.compare(
        &format!("poll: {what} / psutil"),
        Target::Times(0.125),
        || our_poll(root) * 1e9,
        theirs,
        longest,
    );
}

fn main() {
    let mut table = Table::from_args();
    let Some(peer) = Psutil::start() else {
        println!("psutil is absent: name an interpreter that has it in PSUTIL_PYTHON");
        return;
    };
    println!("psutil {}; a round is {LOOKS} looks", peer.version);
    let peer = RefCell::new(peer);
    for children in [0, 10, 50] {
        row(&mut table, &format!("{children} children"), &peer, &Crowd::tree(children));
    }
    let _strangers = Crowd::of(500);
    row(&mut table, "10 children, 500 unrelated around", &peer, &Crowd::tree(10));
    table.print();
}
