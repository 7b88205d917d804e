//! `dagtel exec` as its callers see it: the command must behave as if nothing were around it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// `dagtel exec … -- COMMAND`, with nothing of the test's own environment that it would read.
fn exec(spool: &Path, command: &[&str]) -> Command {
    exec_with(spool, &[], command)
}

fn exec_with(spool: &Path, options: &[&str], command: &[&str]) -> Command {
    let mut exec = dagtel(spool);
    exec.args(["exec", "--dag-id", "dag", "--task-id", "task"]).args(options).arg("--").args(command);
    exec
}

fn dagtel(spool: &Path) -> Command {
    let mut dagtel = Command::new(env!("CARGO_BIN_EXE_dagtel"));
    for name in ["DAG_ID", "RUN_ID", "NAMESPACE", "ATTEMPT"] {
        dagtel.env_remove(format!("DAGTEL_{name}"));
    }
    dagtel.env("DAGTEL_SPOOL_DIR", spool).env_remove("TRACEPARENT").env_remove("TRACESTATE");
    dagtel
}

fn output(mut command: Command) -> Output {
    command.output().expect("dagtel can be started")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("what these commands write is UTF-8")
}

/// A shell that sets traps, and then waits for signals.
fn trapping(spool: &Path, traps: &str) -> Child {
    ready(spool, &format!("{traps}; echo ready; while :; do sleep 0.02; done"))
}

/// Runs a script, and waits until it says that it is ready.
fn ready(spool: &Path, script: &str) -> Child {
    let mut command = exec(spool, &["sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("dagtel can be started");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it is piped");
    BufReader::new(out).read_line(&mut line).expect("the shell says something");
    assert_eq!(line, "ready\n");
    child
}

/// Whether whoever runs the tests ignores a signal, as `nohup` does: then every command below inherits that.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells of a process in /proc");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("SigIgn is among it");
    u64::from_str_radix(mask.trim(), 16).expect("it is a mask") >> (signal - 1) & 1 == 1
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the wrapper lives");
}

#[test]
fn exit_codes_and_signals_come_through() {
    let spool = tempfile::tempdir().unwrap();
    for code in [0, 1, 3, 126, 127, 255] {
        let status = output(exec(spool.path(), &["sh", "-c", &format!("exit {code}")])).status;
        assert_eq!((status.code(), status.signal()), (Some(code), None));
    }
    // SIGPIPE is ignored by Rust's runtime alone, which no child inherits.
    let tried = [1, 2, 3, 6, 9, 10, 13, 14, 15, 24, 31];
    for signal in tried.into_iter().filter(|signal| *signal == 13 || !is_ignored(*signal)) {
        let status = output(exec(spool.path(), &["sh", "-c", &format!("kill -{signal} $$")])).status;
        assert_eq!((status.code(), status.signal()), (None, Some(signal)));
    }
}

#[test]
fn what_cannot_be_run_is_told_as_a_shell_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "text").unwrap();
    for (command, code) in [("no-such-command", 127), (plain.to_str().unwrap(), 126)] {
        let output = output(exec(&dir.path().join("spool"), &[command]));
        assert_eq!(output.status.code(), Some(code));
        assert!(text(&output.stderr).contains(command), "{}", text(&output.stderr));
    }
}

#[test]
fn every_signal_reaches_the_command() {
    let spool = tempfile::tempdir().unwrap();
    let signals = [
        ("TERM", Signal::TERM),
        ("HUP", Signal::HUP),
        ("INT", Signal::INT),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
        ("ALRM", Signal::ALARM),
        ("WINCH", Signal::WINCH),
    ];
    for (index, (name, signal)) in signals.into_iter().enumerate() {
        if is_ignored(signal.as_raw()) {
            println!("SIG{name} is ignored by whoever runs this test");
            continue;
        }
        let code = 40 + i32::try_from(index).unwrap();
        let mut child = trapping(spool.path(), &format!("trap 'exit {code}' {name}"));
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code), "SIG{name}");
    }
}

#[test]
fn a_command_that_stops_stops_its_wrapper_and_both_go_on_together() {
    let spool = tempfile::tempdir().unwrap();
    let mut child = ready(spool.path(), "echo ready; exec sleep 60");
    send(&child, Signal::TSTP);
    let stopped = waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::STOPPED).unwrap();
    assert!(stopped.unwrap().stopped());
    send(&child, Signal::CONT);
    send(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let spool = tempfile::tempdir().unwrap();
    let inner = exec(spool.path(), &["sh", "-c", "kill -HUP $$; echo lives"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env("DAGTEL_SPOOL_DIR", spool.path());
    assert_eq!(text(&output(command).stdout), "lives\n");
}

#[test]
fn streams_are_the_callers_own() {
    let spool = tempfile::tempdir().unwrap();
    let mut command = exec(spool.path(), &["sh", "-c", "cat; echo oops >&2; readlink /proc/$$/fd/1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let own = fs::read_link(format!("/proc/self/fd/{}", {
        use std::os::fd::AsRawFd as _;
        child.stdout.as_ref().unwrap().as_raw_fd()
    }));
    child.stdin.take().unwrap().write_all(b"in\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let pipe = own.unwrap();
    assert_eq!(text(&output.stdout), format!("in\n{}\n", pipe.display()), "the very pipe of the caller");
    assert_eq!(text(&output.stderr), "oops\n");
}

#[test]
fn kept_output_goes_through_whole_and_in_order() {
    let spool = tempfile::tempdir().unwrap();
    let script = "seq 1 20000; printf 'no newline'; seq 1 300 >&2; exit 4";
    let plain = Command::new("sh").args(["-c", script]).output().unwrap();
    let kept = output(exec_with(spool.path(), &["--log-lines", "5"], &["sh", "-c", script]));
    assert!(kept.stdout == plain.stdout && kept.stderr == plain.stderr);
    assert_eq!(kept.status.code(), Some(4));
}

#[test]
fn without_a_spool_the_command_runs_just_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "").unwrap();
    let (open, link) = (dir.path().join("open"), dir.path().join("link"));
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    for spool in [file.join("below"), open, link, "/proc/no/such".into(), "/dev/null".into()] {
        let quiet = output(exec(&spool, &["sh", "-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!((text(&quiet.stdout), text(&quiet.stderr)), ("out\n", "err\n"), "{}", spool.display());
        assert_eq!(quiet.status.code(), Some(3));
        let told = output(exec_with(&spool, &["--verbose"], &["true"]));
        assert!(text(&told.stderr).contains("nothing is recorded"), "{}", text(&told.stderr));
    }
}

#[test]
fn an_unreadable_variable_is_no_reason_not_to_run() {
    let spool = tempfile::tempdir().unwrap();
    for (name, value) in [("DAGTEL_DEBUG_MEMORY_POLL_INTERVAL_SECONDS", "often"), ("DAGTEL_ATTEMPT", "two")] {
        let mut command = exec(spool.path(), &["sh", "-c", "exit 3"]);
        command.env(name, value);
        assert_eq!(output(command).status.code(), Some(3), "{name}={value}");
    }
    let wrong = output(exec_with(spool.path(), &["--memory-poll-interval", "0"], &["true"]));
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("a number of seconds"));
}

#[test]
fn the_command_finds_its_keys_and_its_trace() {
    let spool = tempfile::tempdir().unwrap();
    let script = r#"echo "$DAGTEL_DAG_ID $DAGTEL_RUN_ID $DAGTEL_TASK_ID $DAGTEL_MAP_INDEX $DAGTEL_TRY_NUMBER $TRACEPARENT ${TRACESTATE-none}""#;
    let options = ["--run-id", "r 1", "--map-index", "4", "--try-number", "2"];
    let mut command = exec_with(spool.path(), &options, &["sh", "-c", script]);
    command
        .env("TRACESTATE", "vendor=x")
        .env("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let found = output(command);
    let mut id = dagtel(spool.path());
    id.args(["id", "--dag-id", "dag", "--task-id", "task"]).args(options);
    let ids: serde_json::Value = serde_json::from_slice(&output(id).stdout).unwrap();
    let traceparent = ids["traceparent_task"].as_str().unwrap();
    assert_eq!(text(&found.stdout), format!("dag r 1 task 4 2 {traceparent} none\n"));
}

#[test]
fn a_run_of_a_shell_prints_what_its_commands_need() {
    let spool = tempfile::tempdir().unwrap();
    let mut start = dagtel(spool.path());
    start.args(["run", "start", "--dag-id", "it's a dag", "--run-id", "r"]);
    let script =
        text(&output(start).stdout).to_owned() + "printf '%s|%s' \"$DAGTEL_DAG_ID\" \"$DAGTEL_RUN_ID\"";
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&shell.stdout), "it's a dag|r");
    let mut finish = dagtel(spool.path());
    let nameless = output({
        finish.args(["run", "finish", "--dag-id", "d"]);
        finish
    });
    assert_eq!(nameless.status.code(), Some(1));
    assert!(text(&nameless.stderr).contains("--run-id"));
}

#[test]
fn a_command_without_a_dag_is_wrong_usage() {
    let spool = tempfile::tempdir().unwrap();
    let mut command = dagtel(spool.path());
    command.args(["exec", "--task-id", "t", "--", "true"]);
    let output = output(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--dag-id"));
}

/// Runs a shell line on a terminal, with `dagtel exec` as `$E`.
fn on_a_terminal(line: &str, words: &[&str]) -> Output {
    let spool = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exec_terminal.py")).arg(line).args(words);
    let exec = concat!(env!("CARGO_BIN_EXE_dagtel"), " exec --dag-id dag --task-id task --");
    command.env("E", exec).env("DAGTEL_SPOOL_DIR", spool.path());
    output(command)
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn a_command_has_the_terminal_and_gives_it_back() {
    // `cat` reads from the terminal until its end (^D); what the shell reads next must not be refused.
    let line = "$E cat; echo ended; read word; echo \"got $word\"";
    let words = ["one\\n", "?one\r\none", "\\x04", "?ended", "two\\n", "?got two"];
    assert_success(&on_a_terminal(line, &words));
}

#[test]
fn keys_reach_the_command_alone() {
    // ^C ends `cat`, and a script without job control goes on as its shell sees fit.
    let line = "trap 'echo trapped' INT; $E cat; echo \"code $?\"";
    assert_success(&on_a_terminal(line, &["one\\n", "?one\r\none", "\\x03", "?code 130"]));
}

#[test]
fn a_shell_with_job_control_sees_one_job() {
    // It stops by SIGSTOP, whichever signal stopped the command.
    let line = "set -m; $E cat; echo \"code $?\"; fg >/dev/null";
    let words = ["one\\n", "?one\r\none", "\\x1a", "?code 147", "two\\n", "?two\r\ntwo", "\\x04"];
    assert_success(&on_a_terminal(line, &words));
}

#[test]
fn the_command_inherits_no_descriptor_that_is_not_the_callers() {
    let spool = tempfile::tempdir().unwrap();
    let listing = ["sh", "-c", "ls /proc/$$/fd"];
    let plain = Command::new(listing[0]).args(&listing[1..]).output().unwrap();
    for options in [&[][..], &["--track-memory"], &["--log-lines", "3"], &["--cgroup"]] {
        let wrapped = output(exec_with(spool.path(), options, &listing));
        assert_eq!(text(&wrapped.stdout), text(&plain.stdout), "{options:?}");
    }
}
