"""What a task instance says of itself, as event lines."""

import os
import time
import traceback
from datetime import datetime
from typing import Any

from dagtel_airflow import cosmos, settings
from dagtel_airflow.ids import UNMAPPED, RunKey, TryKey
from dagtel_airflow.loaded import loaded, moment, word

MESSAGE_CHARACTERS = 4096
STACKTRACE_CHARACTERS = 16 * 1024
# `error.type` of a try whose process was gone before it told its end.
PROCESS_LOST = "process_lost"
CALLBACKS = ("on_success_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback")


def key_of(ti: Any) -> TryKey | None:
    """Which try it is; `None` when it is not known which time its run runs."""
    attempt = _attempt(ti)
    if attempt is None:
        return None
    run = RunKey(settings.namespace(), loaded(ti, "dag_id"), loaded(ti, "run_id"), attempt)
    map_index = loaded(ti, "map_index")
    map_index = UNMAPPED if map_index is None else map_index
    return TryKey(run, loaded(ti, "task_id"), map_index, loaded(ti, "try_number") or 0)


def running(ti: Any, key: TryKey) -> dict:
    """It runs in this process: for the first time, or again after it gave its worker back."""
    context = getattr(ti, "_ti_context_from_server", None)
    again = context is not None and (context.next_method or context.task_reschedule_count)
    now = time.time()
    if again:
        line = _line("task.resumed", now, key)
    else:
        line = _line("task.started", moment(loaded(ti, "start_date")) or now, key)
    line["attributes"] = _attributes(ti)
    line["attributes"]["process.pid"] = os.getpid()
    task = loaded(ti, "task")
    if task is not None:
        line["upstream"] = sorted(task.upstream_task_ids)
    return line


def paused(key: TryKey) -> dict:
    """It gave its worker back: it waits for a trigger, or to be looked at again later."""
    return _line("task.deferred", time.time(), key)


def ended(ti: Any, key: TryKey, state: str, error: Any = None, told_by_scheduler: bool = False) -> dict:
    """It came to its end in this state. The scheduler tells of a failure when the process ended without a word of it."""
    end = loaded(ti, "end_date")
    line = _line("task.finished", moment(end) or time.time(), key)
    line["state"] = state
    line["attributes"] = _attributes(ti)
    if error is not None:
        line["exception"] = exception(error)
        if told_by_scheduler:
            line["exception"]["type"] = PROCESS_LOST
    usage = cosmos.usage_of_task(ti) if state != "skipped" else None
    if usage is not None:
        line["usage"] = usage
        start = loaded(ti, "start_date")
        if isinstance(start, datetime) and isinstance(end, datetime):
            line["attributes"]["duration_s"] = (end - start).total_seconds()
    return line


def is_own(ti: Any) -> bool:
    """Whether it is as its own process has it, and not as the database does."""
    return getattr(ti, "_ti_context_from_server", None) is not None


def failed_state(ti: Any) -> str:
    """`failed`, or `up_for_retry` when another try follows."""
    return "up_for_retry" if word(loaded(ti, "state")) == "up_for_retry" else "failed"


def exception(error: Any) -> dict:
    """An exception, or a text, as the event line has it."""
    if not isinstance(error, BaseException):
        return {"message": str(error)[:MESSAGE_CHARACTERS]}
    frames = "".join(traceback.format_exception(error))
    return {
        "type": type(error).__name__,
        "message": str(error)[:MESSAGE_CHARACTERS],
        # The end of it says where it happened.
        "stacktrace": frames[-STACKTRACE_CHARACTERS:],
    }


def _attempt(ti: Any) -> int | None:
    # A worker is told by the API server; an ORM object knows if its run is loaded.
    context = getattr(ti, "_ti_context_from_server", None)
    if context is not None:
        return context.dag_run.clear_number or 0
    run = loaded(ti, "dag_run")
    return None if run is None else loaded(run, "clear_number")


def _attributes(ti: Any) -> dict:
    task = loaded(ti, "task")
    known = {
        "hostname": loaded(ti, "hostname"),
        "queue": loaded(ti, "queue"),
        # Airflow 3.3 calls the first instance of a mapped task not mapped.
        "is_mapped": bool(loaded(ti, "is_mapped")) or loaded(ti, "map_index") not in (None, UNMAPPED),
    }
    if task is not None:
        known["operator"] = loaded(task, "_operator_name") or type(task).__name__
        known["operator_module"] = cosmos.module_of(task)
        known["pool"] = loaded(task, "pool")
        known["has_callback"] = any(loaded(task, name) for name in CALLBACKS)
        known.update(cosmos.attributes_of_task(task))
    return {name: value for name, value in known.items() if value is not None}


def _line(event: str, at: Any, key: TryKey) -> dict:
    line = {"event": event, "at": at, "namespace": key.run.namespace, "dag_id": key.run.dag_id, "run_id": key.run.run_id}
    line.update(attempt=key.run.attempt, task_id=key.task_id, map_index=key.map_index, try_number=key.try_number)
    return line
