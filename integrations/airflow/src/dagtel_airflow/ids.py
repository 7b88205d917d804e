"""Trace and span ids, derived from the names of things, so that every process knows them without being told."""

import hashlib
from dataclasses import dataclass

UNMAPPED = -1


@dataclass(frozen=True)
class RunKey:
    """Which time a run ran. `attempt` counts how often it was cleared before."""

    namespace: str
    dag_id: str
    run_id: str
    attempt: int = 0


@dataclass(frozen=True)
class TryKey:
    """Which try of which task instance. `map_index` is -1 when the task is not mapped."""

    run: RunKey
    task_id: str
    map_index: int = UNMAPPED
    try_number: int = 1


def trace_id(run: RunKey) -> str:
    """The trace of a run, 32 hexadecimal digits."""
    return _first(16, _text("dagtel.trace.v1") + _run(run))


def run_span_id(run: RunKey) -> str:
    """The root span of a run, 16 hexadecimal digits."""
    return _first(8, _text("dagtel.run.v1") + _run(run))


def task_span_id(task: TryKey) -> str:
    """The span of a try, 16 hexadecimal digits."""
    numbers = _signed(task.map_index) + _unsigned(task.try_number)
    return _first(8, _text("dagtel.task.v1") + _run(task.run) + _text(task.task_id) + numbers)


def traceparent(task: TryKey) -> str:
    """The W3C `traceparent` of a try, sampled."""
    return f"00-{trace_id(task.run)}-{task_span_id(task)}-01"


def _run(run: RunKey) -> bytes:
    return _text(run.namespace) + _text(run.dag_id) + _text(run.run_id) + _unsigned(run.attempt)


def _text(text: str) -> bytes:
    data = text.encode()
    return _unsigned(len(data)) + data


def _unsigned(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _signed(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=True)


def _first(size: int, data: bytes) -> str:
    """An id of nothing but zeros is not valid: then the data is made longer by a byte, until there is another one."""
    digest = hashlib.sha256(data).digest()[:size]
    more = 1
    while not any(digest):
        digest = hashlib.sha256(data + bytes([more])).digest()[:size]
        more += 1
    return digest.hex()
