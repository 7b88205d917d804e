//! A terminal in which a reader pastes block after block: one shell, in a directory of its own with what a checkout has, and
//! in a network of its own, so that a guide may use the usual ports whatever else runs on this machine.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dagtel_system_tests::{parts, wait};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::markdown::root;

/// After this long a shell that was asked to end is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Makes a network of one's own with nothing but loopback, and a set of processes that ends with its first.
const ALONE: [&str; 8] =
    ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

#[derive(Debug)]
pub(crate) struct Terminal {
    shell: Child,
    directory: TempDir,
    blocks: usize,
    /// Held where networks cannot be had: then one guide at a time has the usual ports.
    _turn: Option<File>,
}

fn networks() -> bool {
    static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        let mut try_out = Command::new(ALONE[0]);
        try_out.args(&ALONE[1..]).args(["sh", "-c", "ip link set lo up"]);
        try_out.stdout(Stdio::null()).stderr(Stdio::null());
        try_out.status().is_ok_and(|status| status.success())
    });
    *ALLOWED
}

/// Copies what a checkout has.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if [".git", "target", "corpus", "otelcol-data"].iter().any(|other| name == *other) {
            continue;
        }
        if kind.is_dir() {
            fs::create_dir_all(to.join(&name))?;
            copy(&entry.path(), &to.join(&name))?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Where the toolchain is, which looks for itself in the home directory otherwise.
fn home(variable: &str, usual: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(usual))
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let directory =
            tempfile::Builder::new().prefix("dagtel-guide-").tempdir().expect("a directory can be made");
        let (work, bin) = (directory.path().join("work"), directory.path().join("bin"));
        fs::create_dir_all(&work).and_then(|()| fs::create_dir_all(&bin)).expect("directories can be made");
        copy(&root(), &work).expect("the checkout can be copied");
        symlink(parts::built("dagtel"), bin.join("dagtel")).expect("a link can be made");
        if parts::requested() {
            for (name, program) in parts::programs() {
                symlink(program, bin.join(name)).expect("a link can be made");
            }
        }
        let turn = (!networks()).then(|| {
            let file = File::create(std::env::temp_dir().join("dagtel-guides.lock")).expect("it can be made");
            file.lock().expect("locks can be had");
            file
        });
        let mut command = if networks() {
            let mut command = Command::new(ALONE[0]);
            command.args(&ALONE[1..]).args(["sh", "-c", "ip link set lo up && exec bash"]);
            command
        } else {
            Command::new("bash")
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let log = File::create(directory.path().join("log")).expect("it can be made");
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("HOME", &work)
            .env("RUSTUP_HOME", home("RUSTUP_HOME", ".rustup"))
            .env("CARGO_HOME", home("CARGO_HOME", ".cargo"))
            // What this was built of is there already, and there is no network.
            .env("CARGO_NET_OFFLINE", "true")
            .envs([
                ("LANG", "C.UTF-8"),
                ("TERM", "dumb"),
                ("COLUMNS", "120"),
                ("USER", "reader"),
                ("NO_COLOR", "1"),
            ])
            .current_dir(&work)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file has two handles"))
            .stderr(log)
            .process_group(0);
        let mut shell = command.spawn().expect("a shell can be started");
        // As in a terminal, jobs can be named.
        shell.stdin.as_mut().expect("it is piped").write_all(b"set -m\n").expect("the shell reads");
        Self { shell, directory, blocks: 0, _turn: turn }
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    /// Puts a program on the PATH.
    pub(crate) fn add_program(&self, name: &str, program: &Path) {
        symlink(program, self.directory.path().join("bin").join(name)).expect("a link can be made");
    }

    /// Puts a shell script on the PATH.
    pub(crate) fn add_script(&self, name: &str, text: &str) {
        let file = self.directory.path().join("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
        fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Everything that was printed so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Runs a block to its end, and gives where in the log it began.
    ///
    /// # Panics
    /// When a command in it fails, or the last one does not although it should.
    pub(crate) fn run(&mut self, place: &str, text: &str, fails: bool, limit: Duration) -> usize {
        self.blocks += 1;
        let (before, done) = (self.log().len(), format!("@@ block {} ended with ", self.blocks));
        let file = self.directory.path().join(format!("block-{}", self.blocks));
        fs::write(&file, text).expect("it can be written");
        let set = if fails { "+e" } else { "-e" };
        let line = format!("set {set}; . {} </dev/null; printf '%s%s\\n' '{done}' \"$?\"\n", file.display());
        let stdin = self.shell.stdin.as_mut().expect("it is piped");
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()).expect("the shell reads");
        let status = wait::until(&format!("the end of the block at {place}"), limit, || {
            let ended = !matches!(self.shell.try_wait(), Ok(None));
            let log = self.log();
            let status = log.split_once(&done).and_then(|(_, rest)| rest.split_once('\n'));
            match status {
                Some((status, _)) => Ok(status.to_owned()),
                None if ended => Ok("an end of the shell".to_owned()),
                None => Err(log[before..].to_owned()),
            }
        });
        let good = if fails { status != "0" } else { status == "0" };
        assert!(good, "{place}: it ended with {status}:\n{text}\n{}", &self.log()[before..]);
        before
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What a guide left running in the background ends with its terminal.
        if let Some(mut stdin) = self.shell.stdin.take() {
            let _ = stdin.write_all(b"kill $(jobs -p) 2>/dev/null\nexit\n");
        }
        let asked = Instant::now();
        while matches!(self.shell.try_wait(), Ok(None)) && asked.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
        let _ = self.shell.wait();
        if std::thread::panicking() {
            println!("everything that was printed:\n{}", self.log());
            let entries = fs::read_dir(self.work()).into_iter().flatten().flatten().map(|entry| entry.path());
            for file in entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
                println!("{}:\n{}", file.display(), fs::read_to_string(&file).unwrap_or_default());
            }
        }
    }
}
