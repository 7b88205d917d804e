"""The file of a process in the agent's inbox."""

import fcntl
import logging
import os
import resource
import stat

from dagtel_airflow import inbox as module
from dagtel_airflow.inbox import Inbox


def in_a_child(work):
    """Runs it in a forked process, as Airflow runs a task. Gives its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def files(tmp_path):
    return sorted((tmp_path / "spool/inbox").iterdir())


def is_locked(path):
    with open(path) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_lines_are_appended_to_a_locked_file_of_its_own(inbox, lines, tmp_path):
    inbox.write({"a": 1})
    inbox.write({"b": 2}, {"c": 3})
    assert lines() == [{"a": 1}, {"b": 2}, {"c": 3}]
    [file] = files(tmp_path)
    assert is_locked(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_forked_child_has_a_file_of_its_own_and_keeps_nobody_alive(inbox, tmp_path):
    inbox.write({"parent": 1})
    [parents] = files(tmp_path)

    def child():
        inbox.write({"child": 1})
        # The parent's file is not open here: only the parent's own life holds its lock.
        return 0 if str(parents) not in {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")} else 3

    assert in_a_child(child) == 0
    [first, second] = files(tmp_path)
    childs = second if first == parents else first
    assert is_locked(parents) and not is_locked(childs)
    assert os.path.basename(childs).split("-")[1] != str(os.getpid())


def test_no_program_inherits_the_file(inbox, tmp_path):
    inbox.write({"a": 1})
    [file] = files(tmp_path)
    names = os.popen(f"ls -l /proc/self/fd").read()
    assert str(file) not in names


def test_what_could_not_be_written_is_said_in_the_next_line(inbox, lines):
    inbox.failed()
    inbox.write({"a": object()})
    inbox.write({"b": "x" * module.LINE_BYTES})
    inbox.write({"c": 1})
    inbox.write({"d": object()}, {"e": 1})
    inbox.write({"f": 1})
    assert lines() == [{"c": 1, "dropped": 3}, {"e": 1, "dropped": 1}, {"f": 1}]


def test_a_full_disk_leaves_whole_lines_and_a_count(tmp_path, caplog):
    box = Inbox(str(tmp_path / "spool"))

    def child():
        box.write({"first": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
        box.write({"second": "x" * 100})
        box.write({"third": "y" * 100})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        box.write({"fourth": 1})

    assert in_a_child(child) == 0
    [file] = files(tmp_path)
    assert file.read_text() == '{"first":1}\n{"fourth":1,"dropped":2}\n'


def test_a_directory_that_cannot_be_had_is_one_warning(tmp_path, caplog):
    (tmp_path / "spool").write_text("a file")
    box = Inbox(str(tmp_path / "spool"))
    with caplog.at_level(logging.WARNING):
        box.check()
        for _ in range(3):
            box.write({"a": 1})
        assert in_a_child(lambda: box.write({"a": 1})) == 0
    assert len(caplog.records) == 1
    assert "dagtel cannot record" in caplog.text


def test_a_disk_that_is_full_at_the_start_is_one_warning_which_tasks_inherit(inbox, monkeypatch, caplog):
    full = os.statvfs_result((4096, 4096, 16, 0, 0, 16, 8, 8, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    inbox.check()
    inbox.check()
    assert len(caplog.records) == 1 and inbox._warned
    assert "No space left on device" in caplog.text


def test_no_directory_at_all_is_one_warning(caplog):
    box = Inbox(None)
    box.check()
    box.write({"a": 1})
    assert len(caplog.records) == 1
    assert "DAGTEL_SPOOL_DIR" in caplog.text


def test_a_directory_that_comes_back_is_used_again(inbox, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    spool = tmp_path / "spool"
    spool.write_text("a file")
    inbox.write({"lost": 1})
    spool.unlink()
    inbox.write({"told": 1})
    assert lines() == [{"told": 1, "dropped": 1}]


def test_a_file_that_was_removed_is_left(inbox, lines, tmp_path):
    inbox.write({"a": 1})
    [file] = files(tmp_path)
    file.unlink()
    inbox.write({"b": 1})
    assert lines() == [{"b": 1}]


def test_a_long_file_is_followed_by_another(inbox, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE_BYTES", 10)
    inbox.write({"first": 1})
    inbox.write({"second": 1})
    assert len(files(tmp_path)) == 2
    assert lines() == [{"first": 1}, {"second": 1}]
