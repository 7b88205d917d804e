"""The inbox of dagtel's agent: each process appends lines to a file of its own.

The process holds an exclusive `flock` on its file for as long as it lives; that is how the agent notices its death. A
write never waits and never raises: a line that cannot be written is counted, and the next one that can says so.
"""

import errno
import fcntl
import json
import logging
import os
import threading
import time

log = logging.getLogger("dagtel_airflow")

# A scheduler runs for months: from this length on it begins a new file, and the agent removes the old one.
FILE_BYTES = 16 * 1024 * 1024
# The agent passes over longer lines.
LINE_BYTES = 1024 * 1024
# How long a directory that cannot be written to is left alone.
PAUSE_SECONDS = 10.0

_json = json.JSONEncoder(separators=(",", ":"))


class Inbox:
    """A file in `<spool>/inbox`, made when the first line comes."""

    def __init__(self, spool: str | None):
        self._spool = spool
        self._fd: int | None = None
        self._size = 0
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._warned = False
        # What was to be told since the last line and could not be.
        self._dropped = 0
        os.register_at_fork(after_in_child=self._forget_parent)

    def check(self) -> None:
        """Warns now if nothing can be written, so that the processes that are forked later need not."""
        try:
            os.makedirs(self._dir(), mode=0o700, exist_ok=True)
            if not os.access(self._dir(), os.W_OK | os.X_OK):
                raise PermissionError(f"{self._dir()} is not writable")
            room = os.statvfs(self._dir())
            # Some file systems do not tell: they have no blocks at all.
            if room.f_blocks and not room.f_bavail:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._dir())
        except (OSError, ValueError) as error:
            self._warn(error)

    def failed(self) -> None:
        """Something could not be told because of an error in the telling."""
        self._dropped += 1

    def write(self, *lines: dict) -> None:
        """Appends lines, all in one write."""
        if not lines:
            return
        with self._lock:
            whole = [line for line in map(_encode, lines) if line]
            lost = len(lines) - len(whole)
            try:
                if whole:
                    self._append(whole, self._dropped + lost)
                    self._dropped = 0
                else:
                    self._dropped += lost
            except (OSError, ValueError) as error:
                self._dropped += len(lines)
                self._warn(error)

    def _append(self, lines: list[bytes], dropped: int) -> None:
        if dropped:
            lines[0] = lines[0][:-1] + b',"dropped":%d}' % dropped
        data = b"\n".join(lines) + b"\n"
        fd = self._open()
        written = os.write(fd, data)
        if written < len(data):
            # The disk is full. Half a line would spoil the next one.
            os.ftruncate(fd, self._size)
            raise OSError(f"only {written} of {len(data)} bytes could be written")
        self._size += written

    def _open(self) -> int:
        fd = self._fd
        if fd is not None:
            # A spool directory that was removed is made anew by the agent; what went to the old file would be lost.
            if self._size < FILE_BYTES and os.fstat(fd).st_nlink > 0:
                return fd
            self._fd = None
            os.close(fd)
        if time.monotonic() < self._not_before:
            raise OSError("it could not be written to a moment ago")
        self._not_before = time.monotonic() + PAUSE_SECONDS
        self._fd = self._create()
        self._size = 0
        self._not_before = 0.0
        return self._fd

    def _create(self) -> int:
        path = f"{self._dir()}/airflow-{os.getpid()}-{time.time_ns()}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self._dir(), mode=0o700, exist_ok=True)
            fd = os.open(path, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return fd

    def _dir(self) -> str:
        if not self._spool:
            raise ValueError("no spool directory is known: set DAGTEL_SPOOL_DIR, or spool_dir in [dagtel] of airflow.cfg")
        return self._spool + "/inbox"

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("dagtel cannot record what Airflow does: %s. DAGs run as ever; this is said once.", error)

    def _forget_parent(self) -> None:
        """In a forked child: the file is the parent's, and so is what it could not write. Closing unlocks nothing there."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        self._lock = threading.Lock()
        self._dropped = 0
        self._not_before = 0.0


def _encode(line: dict) -> bytes | None:
    """A line, or nothing when it cannot be one."""
    try:
        encoded = _json.encode(line).encode()
    except (TypeError, ValueError):
        return None
    return encoded if len(encoded) < LINE_BYTES else None
