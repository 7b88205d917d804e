"""The ids are those that dagtel publishes."""

import json
import os
from pathlib import Path

import pytest

from dagtel_airflow import ids

VECTORS = Path(__file__).parents[3] / "tests/fixtures/id_vectors.json"


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: f"{v['dag_id']}.{v['task_id']}.{v['try_number']}")
def test_every_published_vector(vector):
    run = ids.RunKey(vector["namespace"], vector["dag_id"], vector["run_id"], vector["attempt"])
    task = ids.TryKey(run, vector["task_id"], vector["map_index"], vector["try_number"])
    assert ids.trace_id(run) == vector["trace_id"]
    assert ids.run_span_id(run) == vector["run_span_id"]
    assert ids.task_span_id(task) == vector["task_span_id"]
    assert ids.traceparent(task) == vector["traceparent_task"]
