//! Broken recordings: each bad line is named by its number, the good ones are told, and the exit code says so.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use support::{Ended, GOOD, command, dagtel, fixture, print_json, recording, spans, text};

/// Prints the good lines with a bad one after the first of them.
fn with_bad_line(bad: impl AsRef<[u8]>) -> Ended {
    let (first, rest) = GOOD.split_once('\n').unwrap();
    let content = [first.as_bytes(), b"\n", bad.as_ref(), b"\n", rest.as_bytes()].concat();
    print_json(recording(content).path())
}

fn names(ended: &Ended) -> Vec<String> {
    spans(&ended.out).iter().map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_bad_line_is_named_and_the_others_are_told() {
    let hook = r#"{"hook":"on_dag_run_running","at":1,"dag_run":"#;
    let cases: [(&[u8], &str); 15] = [
        (br#"{"event":"dag_run.started","at":17952"#, "breaks off"),
        (b"not JSON", "no JSON"),
        (b"[1,2]", "no JSON object"),
        (b"7", "no JSON object"),
        (b"{}", "\"hook\""),
        (b"\x00\xff\xfe\x1b\x80", "no JSON"),
        (b"\"\xff\xfe\"", "no JSON"),
        (br#"{"hook":"on_moon_phase","at":1}"#, "on_moon_phase"),
        (br#"{"hook":7}"#, "not known"),
        (br#"{"event":"dag_run.begun","at":1,"dag_id":"d","run_id":"r"}"#, "dag_run.begun"),
        (br#"{"event":"dag_run.started","at":"yesterday","dag_id":"d","run_id":"r"}"#, "yesterday"),
        (br#"{"event":"dag_run.started","at":1,"dag_id":7,"run_id":"r"}"#, "string"),
        (br#"{"event":"dag_run.finished","at":1,"dag_id":"d","run_id":"r","state":"ok"}"#, "\"ok\""),
        (br#"{"event":"task.started","at":1,"dag_id":"d","run_id":"r"}"#, "task_id"),
        (hook.as_bytes(), "breaks off"),
    ];
    for (bad, word) in cases {
        let shown = String::from_utf8_lossy(bad);
        let ended = with_bad_line(bad);
        assert_eq!(ended.code, Some(2), "{shown}");
        assert!(ended.err.contains("line 2: ") && ended.err.contains(word), "{shown}: {}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{shown}: {}", ended.err);
        assert_eq!(names(&ended), ["task_run.t", "dag_run.good"], "{shown}");
    }
}

#[test]
fn wrong_types_in_hooks_are_named() {
    let cases = [
        (r#"{"hook":"on_dag_run_running"}"#, "at"),
        (r#"{"hook":"on_dag_run_running","at":1}"#, "dag_run"),
        (r#"{"hook":"on_dag_run_running","at":1,"dag_run":[]}"#, "on_dag_run_running"),
        (
            r#"{"hook":"on_dag_run_running","at":1,"dag_run":{"dag_id":"d","run_id":"r","clear_number":-1}}"#,
            "-1",
        ),
        (
            r#"{"hook":"on_dag_run_running","at":1,"dag_run":{"dag_id":"d","run_id":"r"},"edges":[["a"]]}"#,
            "on_dag_run",
        ),
        (r#"{"hook":"on_task_instance_running","at":1,"ti":{"task_id":"t"}}"#, "task"),
        (
            r#"{"hook":"on_task_instance_running","at":1,"ti":{"task_id":"t","try_number":"one"},"task":{}}"#,
            "one",
        ),
        (r#"{"hook":"on_task_instance_failed","at":1,"ti":{"task_id":"t","state":"odd"},"task":{}}"#, "odd"),
        (
            r#"{"hook":"on_task_instance_failed","at":1,"ti":{"task_id":"t"},"task":{},"error":7}"#,
            "on_task_instance_failed",
        ),
    ];
    for (bad, word) in cases {
        let ended = with_bad_line(bad);
        assert_eq!(ended.code, Some(2), "{bad}");
        assert!(ended.err.contains("line 2: ") && ended.err.contains(word), "{bad}: {}", ended.err);
        assert_eq!(names(&ended).len(), 2, "{bad}");
    }
}

#[test]
fn a_recording_that_was_cut_is_told_up_to_the_cut() {
    let whole = std::fs::read(fixture("mixed_etl.jsonl")).unwrap();
    let before_the_last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let ended = print_json(recording(&whole[..before_the_last + 200]).path());
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("line 22: ") && ended.err.contains("cut"), "{}", ended.err);
    let spans = spans(&ended.out);
    let root = spans.iter().find(|span| span["name"] == "dag_run.mixed_etl").unwrap();
    assert_eq!(text(root, "state"), Some("lost"));
}

#[test]
fn nothing_in_a_recording_is_no_run() {
    for content in ["", "\n\n  \n", "garbage"] {
        let ended = print_json(recording(content).path());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{content:?}");
        assert!(ended.err.contains("no run was found"), "{}", ended.err);
    }
}

#[test]
fn a_missing_file_and_a_folder_are_failures_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.jsonl");
    for path in [missing.as_path(), folder.path()] {
        let ended = dagtel(["replay".as_ref(), "--print".as_ref(), "json".as_ref(), path.as_os_str()]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
        assert!(ended.err.contains(&path.display().to_string()), "{}", ended.err);
    }
}

#[test]
fn windows_line_ends_and_empty_lines_are_no_harm() {
    let ended = print_json(recording(GOOD.replace('\n', "\r\n\r\n")).path());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(names(&ended).len(), 2);
}

#[test]
fn names_that_want_to_do_harm_are_told_as_they_are_and_leave_the_terminal_alone() {
    for name in
        ["", "\"", "line\nbreak", "nul\u{0}", "\u{1b}[2J\u{7}", "🚀", "\u{202e}rtl", &"x".repeat(2000)]
    {
        let json = serde_json::to_string(name).unwrap();
        let content = GOOD.replace("\"good\"", &json).replace("\"r\"", &json).replace("\"t\"", &json);
        let file = recording(content);
        let ended = print_json(file.path());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{name:?}");
        let spans = spans(&ended.out);
        assert_eq!(spans.len(), 2, "{name:?}");
        if name.len() <= 1024 {
            assert_eq!(text(&spans[0], "task_id"), Some(name));
        }
        let tree = dagtel(["replay".as_ref(), "--print".as_ref(), "tree".as_ref(), file.path().as_os_str()]);
        assert!(!tree.out.chars().any(|c| c.is_control() && c != '\n'), "{name:?}: {:?}", tree.out);
    }
}

#[test]
fn a_problem_with_a_name_that_wants_to_do_harm_is_one_clean_line() {
    let bad =
        r#"{"event":"dag_run.started","at":1,"dag_id":"d","run_id":"r","a\nerror: all is lost\u0007":1}"#;
    let ended = with_bad_line(bad);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(!ended.err.chars().any(|c| c.is_control() && c != '\n'), "{:?}", ended.err);
}

/// The most memory that a process held so far, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_line_of_fifty_megabytes_is_passed_over_in_little_memory() {
    const MIB: usize = 1024 * 1024;
    let mut child = command()
        .args(["replay", "--print", "json", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(br#"{"event":""#).unwrap();
    for _ in 0..50 {
        stdin.write_all(&[b'x'; MIB]).unwrap();
    }
    // All but what the pipe holds has been read, and the process waits for more.
    let peak = peak_kib(child.id());
    stdin.write_all(b"\"}\n").unwrap();
    stdin.write_all(GOOD.as_bytes()).unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(peak < 32 * 1024, "{peak} KiB");
    assert!(err.contains("line 1: ") && err.contains(&(50 * MIB + 12).to_string()), "{err}");
    assert_eq!(spans(&out).len(), 2);
}
