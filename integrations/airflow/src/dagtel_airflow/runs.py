"""What the scheduler says of a DAG run, as event lines."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Any, Iterator

from dagtel_airflow import cosmos, settings
from dagtel_airflow.ids import RunKey
from dagtel_airflow.loaded import loaded, moment, word

# States of Airflow's database in which a try has come to its end.
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry")


def key_of(run: Any) -> RunKey:
    """Which time the run runs."""
    attempt = loaded(run, "clear_number") or 0
    return RunKey(settings.namespace(), loaded(run, "dag_id"), loaded(run, "run_id"), attempt)


def started(run: Any, key: RunKey) -> list[dict]:
    """It was queued and has started. Any scheduler may come to report its end, so this one's death ends nothing."""
    start = moment(loaded(run, "start_date")) or time.time()
    dag = loaded(run, "dag")
    line = _line("dag_run.started", start, key)
    line["roster"] = True
    line["attributes"] = _attributes(run)
    conf = loaded(run, "conf")
    if isinstance(conf, dict) and isinstance(conf.get("traceparent"), str):
        line["trigger"] = conf["traceparent"]
    if dag is not None:
        line["edges"] = edges(dag)
        line["attributes"].update(cosmos.attributes_of_dag(key.dag_id, dag))
    lines = [line, _line("dag_run.handed_over", start, key)]
    queued = moment(loaded(run, "queued_at"))
    if queued:
        lines.insert(0, _line("dag_run.queued", queued, key))
    return lines


def cleared(key: RunKey) -> list[dict]:
    """Of a run that was cleared while it was on no hook tells that it goes on: the first to know are its tasks' processes.
    Without a word the spans of its tries would not wait for the list at its end."""
    return [{**_line("dag_run.handed_over", time.time(), key), "roster": True}] if key.attempt else []


def ended(run: Any, key: RunKey, state: str, message: str | None, began_as: RunKey | None = None) -> list[dict]:
    """It ended: first what the database says of each try, then the end, after which nothing is waited for.

    `began_as`: what it was when it started. Clearing tasks of a run that is on makes another attempt of it, which has no
    start of its own; the one before is over by that.
    """
    end = moment(loaded(run, "end_date")) or time.time()
    found = rows(run)
    # Of a run that was cleared, what began before that belongs to the attempt before.
    since = loaded(run, "queued_at") if key.attempt else None
    lines = []
    if began_as is not None and began_as != key:
        over_at = moment(since) or end
        lines = [line for row in found if not _belongs(row, since) for line in roster(row, began_as, over_at)]
        # Which tries were of an attempt in between the database does not say: their own processes have.
        for attempt in range(began_as.attempt, key.attempt):
            over = replace(began_as, attempt=attempt)
            lines.append({**_line("dag_run.finished", over_at, over), "state": "cancelled"})
        lines.append({**_line("dag_run.started", over_at, key), "roster": True, "edges": edges(run.dag)})
    lines += [line for row in found if _belongs(row, since) for line in roster(row, key, end)]
    line = _line("dag_run.finished", end, key)
    line["state"] = state
    if state == "failed" and message:
        line["exception"] = {"message": message}
    dag = loaded(run, "dag")
    if dag is not None:
        attributes = cosmos.attributes_of_dag(key.dag_id, dag)
        usage = cosmos.usage_of_dag(attributes)
        if usage is not None:
            line.update(usage=usage, attributes=attributes)
    return [*lines, line]


def edges(dag: Any) -> list[list[str]]:
    """The dependencies of the DAG, as pairs of upstream and downstream."""
    tasks = sorted(dag.task_dict.items())
    return [[task_id, below] for task_id, task in tasks for below in sorted(task.downstream_task_ids)]


def roster(row: Any, key: RunKey, run_end: Any) -> Iterator[dict]:
    """What the database knows of one try. Its times are those that people see in Airflow, and no other process knows
    them: a task's own process does not learn by some 30 ms when Airflow has it start and end."""

    def line(event: str, at: Any) -> dict:
        of = {"task_id": row.task_id, "map_index": row.map_index, "try_number": row.try_number}
        return {**_line(event, at, key), **of, "truth": "roster"}

    state = word(row.state)
    times = (("scheduled", row.scheduled_dttm), ("queued", row.queued_dttm))
    # What never ran has a start all the same: its end.
    ran = row.try_number > 0 and state != "upstream_failed"
    times += (("started", row.start_date if ran else None),)
    for event, at in times:
        if at is not None:
            yield line(f"task.{event}", moment(at))
    if state in ENDED:
        last = line("task.finished", moment(row.end_date) or run_end)
        last["state"] = state
    else:
        # The run was ended over it.
        last = line("task.updated", run_end)
    attributes = {"operator": row.operator, "pool": row.pool, "queue": row.queue, "hostname": row.hostname}
    last["attributes"] = {name: value for name, value in attributes.items() if value}
    yield last


def rows(run: Any) -> list[Any]:
    """The last try of each task instance, and the tries before it."""
    # Whoever has such an object has loaded what it is made of.
    from sqlalchemy.orm import object_session

    session = object_session(run)
    if session is None:
        return []
    with session.no_autoflush:
        last = run.get_task_instances(session=session)
        tried = any((ti.try_number or 0) > 1 for ti in last)
        before = _earlier_tries(session, run) if tried else []
    return [_Tried(row) for row in before] + list(last)


def _earlier_tries(session: Any, run: Any) -> list[Any]:
    from airflow.models.taskinstancehistory import TaskInstanceHistory as History
    from sqlalchemy import select

    columns = [getattr(History, name) for name in _Tried.COLUMNS]
    query = select(*columns).where(History.dag_id == run.dag_id, History.run_id == run.run_id)
    return list(session.execute(query))


class _Tried:
    """A try that another one followed. The history has no word for that: it calls such a try failed."""

    COLUMNS = (
        "task_id", "map_index", "try_number", "state", "start_date", "end_date",
        "queued_dttm", "scheduled_dttm", "operator", "pool", "queue", "hostname",
    )  # fmt: skip

    def __init__(self, row: Any):
        for name in self.COLUMNS:
            setattr(self, name, getattr(row, name))
        if word(self.state) == "failed":
            self.state = "up_for_retry"


def _belongs(row: Any, since: datetime | None) -> bool:
    began = row.start_date or row.end_date
    return since is None or began is None or began >= since


def _attributes(run: Any) -> dict:
    known = {
        "run_type": word(loaded(run, "run_type")),
        "triggered_by": word(loaded(run, "triggered_by")),
        "logical_date": moment(loaded(run, "logical_date")),
        "data_interval_start": moment(loaded(run, "data_interval_start")),
        "data_interval_end": moment(loaded(run, "data_interval_end")),
    }
    return {name: value for name, value in known.items() if value}


def _line(event: str, at: Any, key: RunKey) -> dict:
    return {
        "event": event, "at": at, "namespace": key.namespace,
        "dag_id": key.dag_id, "run_id": key.run_id, "attempt": key.attempt,
    }  # fmt: skip
