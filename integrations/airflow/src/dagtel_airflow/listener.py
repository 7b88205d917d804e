"""Airflow's listener hooks. None of them raises, waits, or asks the database for anything but the list at a run's end."""

import sys
from typing import Any

from airflow.listeners import hookimpl

from dagtel_airflow import ids, runs, settings, tasks, trace
from dagtel_airflow.inbox import Inbox
from dagtel_airflow.loaded import loaded, word

_inbox = Inbox(settings.spool_dir())
# Tasks are forked of a process that has this module: what takes long the first time has then been done. (Airflow's
# configuration, and OpenSSL, which looks for its SHA-256 for a millisecond.)
ids.traceparent(ids.TryKey(ids.RunKey(settings.namespace(), "", ""), ""))

# What runs in this process, until its end was told.
_open: tuple[Any, ids.TryKey] | None = None

# The runs that this scheduler has seen start and not end: tasks of theirs may be cleared meanwhile.
_running: dict[tuple[str, str], ids.RunKey] = {}
_RUNNING = 10_000

# States in which a task has given its worker back and will run again.
_PAUSED = ("deferred", "up_for_reschedule", "awaiting_input")


class _Guard:
    """Nothing that goes wrong in telling is Airflow's business. It is counted, and the next line says how often."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, frames: object) -> bool:
        if isinstance(error, Exception):
            _inbox.failed()
            return True
        return False


_guard = _Guard()


@hookimpl
def on_starting(component: Any) -> None:
    with _guard:
        # DAG processor and triggerer start such a job too, and have nothing to write. A job does not yet know whose it is.
        if type(component).__name__ != "Job" or "airflow.jobs.scheduler_job_runner" in sys.modules:
            _inbox.check()


@hookimpl
def before_stopping(component: Any) -> None:
    """In a task's process, after everything else: a try without an end has given its worker back."""
    global _open
    with _guard:
        if _open is not None:
            ti, key = _open
            _open = None
            trace.leave()
            if word(loaded(ti, "state")) in _PAUSED:
                _inbox.write(tasks.paused(key))


@hookimpl
def on_task_instance_running(previous_state: Any, task_instance: Any) -> None:
    global _open
    with _guard:
        key = tasks.key_of(task_instance)
        if key is not None:
            _open = (task_instance, key)
            trace.enter(key)
            _inbox.write(*runs.cleared(key.run), tasks.running(task_instance, key))


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    _ended(task_instance, "success")


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    _ended(task_instance, "skipped")


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    # In a task's process the state is already the one that Airflow was told.
    _ended(task_instance, None, error, told_by_scheduler=previous_state is not None and not tasks.is_own(task_instance))


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    with _guard:
        key = runs.key_of(dag_run)
        if len(_running) < _RUNNING:
            _running[key.dag_id, key.run_id] = key
        _inbox.write(*runs.started(dag_run, key))


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    _run_ended(dag_run, "success", msg)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    _run_ended(dag_run, "failed", msg)


def _run_ended(dag_run: Any, state: str, msg: str) -> None:
    with _guard:
        key = runs.key_of(dag_run)
        began_as = _running.pop((key.dag_id, key.run_id), None)
        _inbox.write(*runs.ended(dag_run, key, state, msg, began_as))


def _ended(ti: Any, state: str | None, error: Any = None, told_by_scheduler: bool = False) -> None:
    global _open
    with _guard:
        key = tasks.key_of(ti)
        if key is not None:
            _inbox.write(tasks.ended(ti, key, state or tasks.failed_state(ti), error, told_by_scheduler))
    with _guard:
        if _open is not None and _open[0] is ti:
            _open = None
            trace.leave()
