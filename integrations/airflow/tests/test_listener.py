"""The hooks, with objects that hold what Airflow's hold."""

import os
import sys
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")

import dagtel_airflow
from dagtel_airflow import listener, settings, trace
from dagtel_airflow.ids import RunKey, TryKey, traceparent

START = datetime(2026, 11, 26, 4, 21, 18, 429614, tzinfo=timezone.utc)
END = datetime(2026, 11, 26, 4, 21, 19, tzinfo=timezone.utc)


class Marker:
    """Stands for whatever component starts or stops."""


class Untouchable:
    """An ORM object of which nothing is loaded: reading an attribute would ask the database."""

    def __getattr__(self, name):
        raise AssertionError(f"{name} was read, which is not loaded")


@pytest.fixture(autouse=True)
def of_this_test(inbox, monkeypatch):
    monkeypatch.setattr(listener, "_inbox", inbox)
    monkeypatch.setattr(listener, "_open", None)
    monkeypatch.setattr(listener, "_running", {})
    monkeypatch.setattr(trace, "_current", None)
    # What a hook sets is taken back.
    for name in ("TRACEPARENT", "DAGTEL_DAG_ID", "DAGTEL_RUN_ID", "DAGTEL_ATTEMPT", "DAGTEL_NAMESPACE", "DAGTEL_SPOOL_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    settings.spool_dir.cache_clear()
    settings.namespace.cache_clear()


def server(attempt=0, next_method=None, reschedules=0):
    run = SimpleNamespace(clear_number=attempt)
    return SimpleNamespace(dag_run=run, next_method=next_method, task_reschedule_count=reschedules)


def task_instance(**changes):
    task = SimpleNamespace(task_id="load", upstream_task_ids={"b", "a"}, pool="default_pool", on_failure_callback=print)
    fields = {
        "dag_id": "etl", "run_id": "r", "task_id": "load", "try_number": 2, "map_index": -1, "start_date": START,
        "end_date": None, "state": None, "hostname": "vm", "queue": "default", "task": task,
        "_ti_context_from_server": server(),
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def key(attempt=0):
    return TryKey(RunKey("default", "etl", "r", attempt), "load", -1, 2)


def test_dag_processor_and_triggerer_do_not_warn_of_an_inbox_that_they_never_write_to(tmp_path, caplog, monkeypatch):
    job = type("Job", (), {})
    (tmp_path / "spool").write_text("a file")
    monkeypatch.delitem(sys.modules, "airflow.jobs.scheduler_job_runner", raising=False)
    listener.on_starting(job())
    assert not caplog.records
    monkeypatch.setitem(sys.modules, "airflow.jobs.scheduler_job_runner", SimpleNamespace())
    listener.on_starting(job())
    listener.on_starting(Marker())
    assert len(caplog.records) == 1


def test_a_try_from_start_to_end(lines):
    ti = task_instance()
    listener.on_task_instance_running(None, ti)
    ti.end_date, ti.state = END, "success"
    listener.on_task_instance_success(None, ti)
    started, ended = lines()
    assert (started["event"], started["at"]) == ("task.started", "2026-11-26T04:21:18.429614+00:00")
    assert started["upstream"] == ["a", "b"]
    assert started["attributes"]["process.pid"] == os.getpid()
    assert started["attributes"]["has_callback"] is True
    assert (ended["event"], ended["state"], ended["at"]) == ("task.finished", "success", "2026-11-26T04:21:19+00:00")
    assert ended["try_number"] == 2 and "usage" not in ended


def test_a_failure_says_why_and_whether_another_try_follows(lines):
    ti = task_instance(end_date=END, state=SimpleNamespace(value="up_for_retry"))
    try:
        raise ValueError("no such table")
    except ValueError as error:
        listener.on_task_instance_failed(None, ti, error)
    ti.state = "failed"
    listener.on_task_instance_failed(None, ti, "heartbeat lost")
    first, second = lines()
    assert first["state"] == "up_for_retry"
    assert (first["exception"]["type"], first["exception"]["message"]) == ("ValueError", "no such table")
    assert "test_listener.py" in first["exception"]["stacktrace"]
    assert (second["state"], second["exception"]) == ("failed", {"message": "heartbeat lost"})


def test_a_killed_try_that_the_scheduler_reports_is_a_lost_process_and_one_failed_by_hand_is_not(lines):
    of_database = {"_ti_context_from_server": None, "dag_run": SimpleNamespace(clear_number=0), "state": "up_for_retry"}
    listener.on_task_instance_failed("running", task_instance(**of_database), "finished, but its state is running")
    listener.on_task_instance_failed(None, task_instance(**of_database), "manually set to failed")
    listener.on_task_instance_failed("running", task_instance(), "a text of its own process")
    assert [line["exception"].get("type") for line in lines()] == ["process_lost", None, None]


@pytest.mark.parametrize("state", ["deferred", "up_for_reschedule", "awaiting_input"])
def test_a_worker_given_back_is_told_and_so_is_its_return(lines, state):
    ti = task_instance()
    listener.on_task_instance_running(None, ti)
    ti.state = state
    listener.before_stopping(Marker())
    again = server(next_method="resume") if state == "deferred" else server(reschedules=1)
    listener.on_task_instance_running(None, task_instance(_ti_context_from_server=again))
    assert [line["event"] for line in lines()] == ["task.started", "task.deferred", "task.resumed"]


def test_a_try_that_ended_is_not_told_again_when_its_process_stops(lines):
    ti = task_instance()
    listener.on_task_instance_running(None, ti)
    listener.on_task_instance_skipped(None, ti)
    ti.state = "deferred"
    listener.before_stopping(Marker())
    assert [line["event"] for line in lines()] == ["task.started", "task.finished"]


def test_the_context_is_that_of_the_running_try_and_in_the_environment():
    assert dagtel_airflow.context() == {}
    ti = task_instance(_ti_context_from_server=server(attempt=1))
    listener.on_task_instance_running(None, ti)
    carrier = dagtel_airflow.context()
    assert carrier == {"traceparent": traceparent(key(attempt=1))}
    assert os.environ["TRACEPARENT"] == carrier["traceparent"]
    assert (os.environ["DAGTEL_DAG_ID"], os.environ["DAGTEL_ATTEMPT"]) == ("etl", "1")
    listener.on_task_instance_success(None, ti)
    assert dagtel_airflow.context() == {} and "TRACEPARENT" not in os.environ


def test_no_hook_raises_and_the_next_line_says_how_often_one_failed(lines):
    for hook in (listener.on_task_instance_running, listener.on_task_instance_success, listener.on_task_instance_skipped):
        hook(None, Untouchable())
    listener.on_task_instance_failed(None, None, None)
    for hook in (listener.on_dag_run_running, listener.on_dag_run_success, listener.on_dag_run_failed):
        hook(None, "message")
    listener.before_stopping(None)
    broken = task_instance(task=Untouchable())
    listener.on_task_instance_running(None, broken)
    listener.on_task_instance_success(None, task_instance())
    [*_, last] = lines()
    assert last["event"] == "task.finished" and last["dropped"] >= 1


def test_a_try_whose_run_is_not_known_is_left_to_the_list_at_the_end(lines):
    ti = task_instance()
    del ti._ti_context_from_server
    listener.on_task_instance_failed(None, ti, None)
    listener.on_task_instance_failed(None, task_instance(dag_run=SimpleNamespace(clear_number=3), _ti_context_from_server=None), None)
    assert [line["attempt"] for line in lines()] == [3]


def dag_run(**changes):
    below = {"a": {"b", "c"}, "b": set(), "c": set()}
    tasks = {name: SimpleNamespace(downstream_task_ids=to, _task_module="my.module") for name, to in below.items()}
    fields = {
        "dag_id": "etl", "run_id": "r", "clear_number": 0, "queued_at": START, "start_date": END, "end_date": None,
        "run_type": SimpleNamespace(value="manual"), "conf": {}, "dag": SimpleNamespace(task_dict=tasks, params={}),
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def test_a_run_brings_its_edges_and_leaves_its_end_to_whichever_scheduler(lines):
    listener.on_dag_run_running(dag_run(conf={"traceparent": "00-…"}), "")
    queued, started, handed_over = lines()
    assert [queued["event"], started["event"], handed_over["event"]] == ["dag_run.queued", "dag_run.started", "dag_run.handed_over"]
    assert started["edges"] == [["a", "b"], ["a", "c"]]
    assert started["roster"] is True and started["trigger"] == "00-…"
    assert started["attributes"] == {"run_type": "manual"}


def row(task_id, state, try_number=1, start=START, end=END):
    return SimpleNamespace(
        task_id=task_id, map_index=-1, try_number=try_number, state=state, start_date=start, end_date=end,
        queued_dttm=start, scheduled_dttm=None, operator="Op", pool="p", queue="q", hostname="",
    )  # fmt: skip


def test_the_list_at_the_end_of_a_run(lines, monkeypatch):
    from dagtel_airflow import runs

    rows = [row("a", "success"), row("b", "upstream_failed", try_number=0), row("c", "running", end=None)]
    monkeypatch.setattr(runs, "rows", lambda run: rows)
    listener.on_dag_run_failed(dag_run(end_date=END), "task_failure")
    told = [(line["event"], line.get("task_id"), line.get("state"), line.get("truth")) for line in lines()]
    assert told == [
        ("task.queued", "a", None, "roster"),
        ("task.started", "a", None, "roster"),
        ("task.finished", "a", "success", "roster"),
        ("task.queued", "b", None, "roster"),
        ("task.finished", "b", "upstream_failed", "roster"),
        ("task.queued", "c", None, "roster"),
        ("task.started", "c", None, "roster"),
        ("task.updated", "c", None, "roster"),
        ("dag_run.finished", None, "failed", None),
    ]


def test_clearing_tasks_of_a_run_that_is_on_begins_another_attempt(lines, monkeypatch):
    from dagtel_airflow import runs

    before, after = row("a", "success"), row("b", "success", start=END)
    monkeypatch.setattr(runs, "rows", lambda run: [before, after])
    listener.on_dag_run_running(dag_run(), "")
    listener.on_dag_run_success(dag_run(clear_number=1, queued_at=END, end_date=END), "")
    told = [(line["event"], line["attempt"], line.get("task_id") or line.get("state")) for line in lines()]
    assert told[3:] == [
        ("task.queued", 0, "a"),
        ("task.started", 0, "a"),
        ("task.finished", 0, "a"),
        ("dag_run.finished", 0, "cancelled"),
        ("dag_run.started", 1, None),
        ("task.queued", 1, "b"),
        ("task.started", 1, "b"),
        ("task.finished", 1, "b"),
        ("dag_run.finished", 1, "success"),
    ]


def test_every_attempt_of_a_run_that_was_cleared_twice_while_it_was_on_ends(lines, monkeypatch):
    from dagtel_airflow import runs

    monkeypatch.setattr(runs, "rows", lambda run: [])
    listener.on_dag_run_running(dag_run(), "")
    listener.on_dag_run_success(dag_run(clear_number=2, queued_at=END, end_date=END), "")
    ends = [(line["attempt"], line["state"]) for line in lines() if line["event"] == "dag_run.finished"]
    assert ends == [(0, "cancelled"), (1, "cancelled"), (2, "success")]


def test_a_task_of_a_cleared_run_says_that_a_list_will_come(lines):
    listener.on_task_instance_running(None, task_instance(_ti_context_from_server=server(attempt=1)))
    told, started = lines()
    assert (told["event"], told["attempt"], told["roster"]) == ("dag_run.handed_over", 1, True)
    assert (started["event"], started["attempt"]) == ("task.started", 1)


def test_a_try_of_before_the_clearing_belongs_to_the_attempt_before():
    from dagtel_airflow.runs import _belongs

    assert _belongs(row("a", "success"), None)
    assert not _belongs(row("a", "success", start=START), END)
    assert _belongs(row("a", "success", start=END), END)
    assert _belongs(row("a", "removed", start=None, end=None), END)
