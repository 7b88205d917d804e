"""What a hook costs Airflow, in microseconds: `python benchmarks/hook_cost.py [runs]`, with Airflow installed.

Hooks of tasks are called as Airflow calls them, through its listener manager: many in one process, which is what the code
takes, and in a process that was forked for one task, as Airflow runs it. Such a process pays for every page of memory that it
touches first, so the same calls without the plugin stand beside them. Hooks of runs get a DAG of fifty tasks.
"""

import gc
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from types import SimpleNamespace

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../src"))
spool = tempfile.mkdtemp(prefix="dagtel-hook-cost-")
os.environ["DAGTEL_SPOOL_DIR"] = spool
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="dagtel-hook-cost-airflow-"))
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite://"

from airflow.sdk._shared.listeners.listener import ListenerManager  # noqa: E402
from airflow.sdk._shared.listeners.spec import lifecycle, taskinstance  # noqa: E402

from dagtel_airflow import listener, runs  # noqa: E402

NOW = datetime.now(timezone.utc)


def manager(*listeners):
    made = ListenerManager()
    made.add_hookspecs(lifecycle)
    made.add_hookspecs(taskinstance)
    for each in listeners:
        made.add_listener(each)
    return made.hook


def task_instance(try_number):
    task = SimpleNamespace(task_id="load", upstream_task_ids={"extract"}, pool="default_pool")
    run = SimpleNamespace(clear_number=0)
    return SimpleNamespace(
        dag_id="etl", run_id="manual__2026-11-26T04:21:09.261974+00:00", task_id="load", try_number=try_number,
        map_index=-1, start_date=NOW, end_date=NOW, state="success", hostname="vm", queue="default", task=task,
        _ti_context_from_server=SimpleNamespace(dag_run=run, next_method=None, task_reschedule_count=0),
    )  # fmt: skip


def timed(call, **arguments):
    """Time that passed, and processor time: the second is what counts while others use the machine too."""
    passed, used = time.perf_counter_ns(), time.thread_time_ns()
    call(**arguments)
    used, passed = time.thread_time_ns() - used, time.perf_counter_ns() - passed
    return passed / 1e3, used / 1e3


def of_a_task(hook, number):
    """The times of both hooks of a task."""
    ti = task_instance(number)
    running = timed(hook.on_task_instance_running, previous_state=None, task_instance=ti)
    return [running, timed(hook.on_task_instance_success, previous_state=None, task_instance=ti)]


def in_a_task_process(hook, number):
    """The same, measured in a process that is forked for the task."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = [time for pair in of_a_task(hook, number) for time in pair]
        os.write(write, " ".join(map(str, told)).encode())
        os._exit(0)
    os.close(write)
    times = [float(value) for value in os.read(read, 1000).decode().split()]
    os.close(read)
    os.waitpid(pid, 0)
    return list(zip(times[::2], times[1::2]))


def row(number):
    return SimpleNamespace(
        task_id=f"task_{number}", map_index=-1, try_number=1, state="success", start_date=NOW, end_date=NOW,
        queued_dttm=NOW, scheduled_dttm=NOW, operator="PythonOperator", pool="default_pool", queue="default", hostname="vm",
    )  # fmt: skip


def of_runs(times, count=50):
    """The lines of a run's start and end; what the query for the list costs is Airflow's database's to say."""
    names = [f"task_{number}" for number in range(count)]
    tasks = {name: SimpleNamespace(downstream_task_ids={below}, _task_module="m") for name, below in zip(names, names[1:])}
    tasks[names[-1]] = SimpleNamespace(downstream_task_ids=set(), _task_module="m")
    run = SimpleNamespace(
        dag_id="etl", run_id="r", clear_number=0, queued_at=NOW, start_date=NOW, end_date=NOW, run_type="manual",
        conf={}, dag=SimpleNamespace(task_dict=tasks, params={}),
    )  # fmt: skip
    runs.rows = lambda run: [row(number) for number in range(count)]
    started = [timed(listener.on_dag_run_running, dag_run=run, msg="") for _ in range(times)]
    ended = [timed(listener.on_dag_run_success, dag_run=run, msg="") for _ in range(times)]
    return started, ended


def show(name, values):
    columns = []
    for kind in zip(*values):
        cuts = statistics.quantiles(kind, n=100)
        columns += [cuts[49], cuts[98]]
    print(f"{name:44}" + "".join(f" {value:9.1f}" for value in columns))


def main():
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with_plugin, without = manager(listener), manager()
    listener.on_starting(component=None)
    # As Airflow's local executor does before it forks.
    gc.collect()
    gc.freeze()
    forked, bare, here, bare_here = [], [], [], []
    for number in range(times):
        # One beside the other, so that both meet the same machine.
        forked.append(in_a_task_process(with_plugin, number))
        bare.append(in_a_task_process(without, number))
    # Not in between: a fork makes the parent's pages dear as well.
    for number in range(times):
        here.append(of_a_task(with_plugin, number))
        bare_here.append(of_a_task(without, number))
    title = f"microseconds, of {times}"
    print(f"{title:44} {'p50':>9} {'p99':>9} {'cpu p50':>9} {'cpu p99':>9}")
    for where, plugin, none in (("one process", here, bare_here), ("new process", forked, bare)):
        for at, hook in enumerate(("running", "success")):
            show(f"task {hook}, {where}", [pair[at] for pair in plugin])
            show("  without the plugin", [pair[at] for pair in none])
    started, ended = of_runs(min(times, 1000))
    show("run running, 50 tasks", started)
    show("run success, 50 tasks, without its query", ended)


main()
