//! Processes that do what a script says, for tests to look at.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use std::{
    hint::black_box,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dagtel_proc::{Cgroup, Usage};

pub const MB: u64 = 1 << 20;
/// The test that plays a script; each test program has one.
const PLAYER: &str = "player";
const SCRIPT: &str = "DAGTEL_PROC_SCRIPT";
/// A wait that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that plays a script, with all that it starts. All of it ends when this is dropped.
///
/// Steps are separated by `;`: `alloc 30` takes 30 MB and touches them, `free` gives all of it back, `spawn(…)` starts
/// a child with a script of its own, `leave(…)` one that it forgets, `await` waits for the children, `exec(…)` goes on
/// as another program, `say x` tells the test, `line` waits for the test (in a child: until its parent ends), `ms 50`
/// sleeps, `burn 50` takes 50 ms of processor time.
#[derive(Debug)]
pub struct Player {
    child: Option<Child>,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A group takes this whole process in while it starts a child, so nothing else may be started then.
static STARTING: Mutex<()> = Mutex::new(());

impl Player {
    pub fn start(script: &str) -> Self {
        Self::run(&mut playing(script), None)
    }

    pub fn run(command: &mut Command, group: Option<&Cgroup>) -> Self {
        let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match group {
            None => command.spawn().expect("started"),
            Some(group) => {
                let (child, inside) = group.spawn(command).expect("started");
                inside.expect("started in the group");
                child
            }
        };
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child: Some(child), input, output }
    }

    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("not waited for").id()
    }

    /// Waits until somebody in the play says it, and returns the whole line.
    pub fn until(&mut self, word: &str) -> String {
        let mut line = String::new();
        while !line.trim_end().ends_with(word) {
            line.clear();
            assert!(
                self.output.read_line(&mut line).expect("readable") > 0,
                "it ended without saying {word}"
            );
        }
        line
    }

    /// Ends a `line`.
    pub fn go(&mut self) {
        self.input.as_mut().expect("a pipe").write_all(b"\n").expect("written");
    }

    /// The process, to be waited for. What it started ends when the play is dropped.
    pub fn take(&mut self) -> Child {
        self.child.take().expect("not waited for")
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command that plays a script.
pub fn playing(script: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of the tests"));
    command.args([PLAYER, "--exact", "--nocapture"]).env(SCRIPT, script);
    command
}

/// The body of the test that plays; without a script there is nothing to do.
pub fn play() {
    if let Ok(script) = std::env::var(SCRIPT) {
        Stage::default().play(&script);
        std::process::exit(0);
    }
}

#[derive(Debug, Default)]
struct Stage {
    memory: Vec<Vec<u8>>,
    children: Vec<Child>,
    inputs: Vec<Option<ChildStdin>>,
}

impl Stage {
    fn play(&mut self, script: &str) {
        for step in steps(script) {
            let (word, rest) = step.split_once([' ', '(']).unwrap_or((step, ""));
            let inner = rest.strip_suffix(')').unwrap_or(rest);
            let number = || rest.parse::<u64>().expect("a number");
            match word {
                "alloc" => self.memory.push(black_box(vec![1; (number() * MB) as usize])),
                "free" => self.memory.clear(),
                "spawn" => self.spawn(inner),
                "leave" => drop(playing(inner).spawn().expect("started")),
                "await" => self.wait(),
                "exec" => panic!("{}", playing(inner).exec()),
                "say" => writeln!(std::io::stdout(), "{rest}").expect("heard"),
                "line" => drop(std::io::stdin().read(&mut [0]).expect("readable")),
                "ms" => thread::sleep(Duration::from_millis(number())),
                "burn" => burn(number()),
                _ => panic!("no step: {step}"),
            }
        }
    }

    fn spawn(&mut self, script: &str) {
        let mut child = playing(script).stdin(Stdio::piped()).spawn().expect("started");
        self.inputs.push(child.stdin.take());
        self.children.push(child);
    }

    fn wait(&mut self) {
        for mut child in self.children.drain(..) {
            child.wait().expect("waited for");
        }
    }
}

fn steps(script: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let split = move |letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        depth == 0 && letter == ';'
    };
    script.split(split).map(str::trim).filter(|step| !step.is_empty())
}

/// Works until the kernel has counted so many milliseconds for this process.
fn burn(milliseconds: u64) {
    let mut seed = 1_u64;
    while own_ticks() * 10 < milliseconds {
        for _ in 0..100_000 {
            seed = black_box(seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

fn own_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("readable");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// Asks until it is so.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A group of this test's own, or why there is none.
pub fn group(name: &str, limit: Option<u64>) -> Option<Cgroup> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let made = Cgroup::create(&format!("dagtel-{name}-{}-{number}", std::process::id()), limit);
    made.inspect_err(|error| println!("skipped: no cgroup of its own: {error}")).ok()
}

/// One line for each method: what is true, what was reported, the error, and which one is taken for the truest.
pub fn report(what: &str, truth: u64, usage: &Usage) {
    for (method, bytes) in usage.peaks.iter() {
        let mb = |bytes: u64| bytes as f64 / MB as f64;
        let error = (mb(bytes) / mb(truth) - 1.0) * 100.0;
        let best = usage.peaks.best().is_some_and(|best| best.0 == method);
        println!(
            "{what:<36} {method:<12} truth {:>6.1} MB, reported {:>8.1} MB, error {error:>+8.1} %{}",
            mb(truth),
            mb(bytes),
            if best { "  best" } else { "" }
        );
    }
}
