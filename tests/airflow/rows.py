"""Prints what Airflow's database has of runs and task instances, as JSON; times in microseconds since 1970.

`rows.py DATABASE [DAG_ID RUN_ID SECONDS]`: first waits, at most so long, until that run has ended.
"""

import calendar
import json
import sqlite3
import sys
import time
import zlib

TRIED = "dag_id, run_id, task_id, map_index, try_number, state, start_date, end_date, queued_dttm, scheduled_dttm"


def micros(text):
    if text is None:
        return None
    whole, _, rest = text.partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%d %H:%M:%S")) * 1_000_000 + int(rest.ljust(6, "0"))


def rows(query, *times):
    cursor = database.execute(query)
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row)) for row in cursor]
    return [{name: micros(value) if name in times else value for name, value in row.items()} for row in found]


def edges():
    """Pairs of tasks of each DAG, by what the DAG processor serialized."""
    found = {}
    for dag_id, data, compressed in database.execute("select dag_id, data, data_compressed from serialized_dag order by created_at"):
        data = json.loads(data if data is not None else zlib.decompress(compressed))
        tasks = [task["__var"] for task in data["dag"]["tasks"]]
        found[dag_id] = [[task["task_id"], below] for task in tasks for below in task.get("downstream_task_ids", [])]
    return found


def wait_for(dag_id, run_id, seconds):
    until = time.monotonic() + float(seconds)
    query = "select state from dag_run where dag_id = ? and run_id = ?"
    while (state := database.execute(query, (dag_id, run_id)).fetchone()) not in (("success",), ("failed",)):
        if time.monotonic() > until:
            sys.exit(f"The run {run_id} of {dag_id} is {state} after {seconds} s.")
        time.sleep(0.05)


database = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=30)
if sys.argv[2:]:
    wait_for(*sys.argv[2:])
instants = ("start_date", "end_date", "queued_at", "queued_dttm", "scheduled_dttm")
print(
    json.dumps(
        {
            "runs": rows("select dag_id, run_id, state, clear_number, queued_at, start_date, end_date from dag_run", *instants),
            "instances": rows(f"select {TRIED} from task_instance", *instants),
            "history": rows(f"select {TRIED} from task_instance_history", *instants),
            "edges": edges(),
        }
    )
)
