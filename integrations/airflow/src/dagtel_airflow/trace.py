"""The trace context of the task that runs in this process."""

import os

from dagtel_airflow import settings
from dagtel_airflow.ids import TryKey, traceparent

# What `dagtel exec` reads to join the run, and to be under the task in its trace.
_KEYS = ("DAGTEL_NAMESPACE", "DAGTEL_DAG_ID", "DAGTEL_RUN_ID", "DAGTEL_ATTEMPT")

_current: TryKey | None = None


def context() -> dict[str, str]:
    """The W3C trace context of the running try, as a carrier: ``{"traceparent": "00-…"}``. Empty outside of a task.

    OpenTelemetry's propagators take it as it is::

        parent = TraceContextTextMapPropagator().extract(dagtel_airflow.context())
        with tracer.start_as_current_span("load", context=parent): ...

    It is in the environment as well (``TRACEPARENT``), where child processes find it.
    """
    if _current is None:
        return {}
    carrier = {"traceparent": traceparent(_current)}
    os.environ["TRACEPARENT"] = carrier["traceparent"]
    return carrier


def enter(task: TryKey) -> None:
    """From now on this try is the one that runs in this process."""
    global _current
    _current = task
    run = task.run
    # Not by update(), which looks through every kind of mapping that there is: a millisecond in a process of Airflow's.
    for name, value in zip(_KEYS, (run.namespace, run.dag_id, run.run_id, str(run.attempt))):
        os.environ[name] = value
    spool = settings.spool_dir()
    if spool:
        os.environ["DAGTEL_SPOOL_DIR"] = spool
    # What it says belongs to another trace.
    os.environ.pop("TRACESTATE", None)
    context()


def leave() -> None:
    """No try runs in this process any more. (What ran it may go on: `dag.test()` runs tasks one after the other.)"""
    global _current
    if _current is not None:
        _current = None
        for name in (*_KEYS[1:], "TRACEPARENT"):
            os.environ.pop(name, None)
