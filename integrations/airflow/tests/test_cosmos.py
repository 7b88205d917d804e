"""What is looked up of Cosmos's tasks and DAGs, and when nothing may be sent of it."""

import base64
import json
import sys
import zlib
from types import SimpleNamespace

import pytest

from dagtel_airflow import cosmos


def compressed(metadata):
    return base64.b64encode(zlib.compress(json.dumps(metadata).encode(), 9)).decode()


def dag(**params):
    tasks = {
        "run": SimpleNamespace(_task_module="cosmos.operators.local"),
        "test": SimpleNamespace(_task_module="cosmos.operators.watcher"),
        "other": SimpleNamespace(_task_module="my.module"),
    }
    return SimpleNamespace(task_dict=tasks, params=params)


def test_a_dag_of_cosmos():
    text = compressed({"install_deps": True, "total_dbt_models": 5, "database": "duckdb"})
    known = cosmos.attributes_of_dag("probe", dag(**{cosmos.METADATA_PARAM: text}))
    assert known["dag_hash"] == "8da843ff65205a61374b09b81ed0fa35"
    assert (known["task_count"], known["cosmos_task_count"]) == (3, 2)
    assert known["execution_modes"] == ["local", "watcher"]
    assert known["dag_metadata"] == text
    assert (known["dag_metadata.install_deps"], known["dag_metadata.total_dbt_models"]) == (True, 5)


@pytest.mark.parametrize("text", ["!", "eNo", compressed({}) + "=", compressed({"a": "x" * 100_000}), "e" * 5000, compressed([1])])
def test_metadata_that_cannot_be_read_says_why_and_breaks_nothing(text):
    known = cosmos.attributes_of_dag("d", dag(**{cosmos.METADATA_PARAM: text}))
    assert known["cosmos_task_count"] == 2
    assert known.get("dag_metadata.error") or known["dag_metadata"] == text


def test_other_dags_and_tasks_have_nothing_of_it():
    other = SimpleNamespace(task_dict={"a": SimpleNamespace(_task_module="my.module")}, params={})
    assert cosmos.attributes_of_dag("d", other) == {}
    assert cosmos.attributes_of_task(SimpleNamespace(_task_module="my.cosmos.module")) == {}


def test_a_task_of_cosmos_with_its_profile(tmp_path):
    file = tmp_path / "profiles.yml"
    file.write_text("shop:\n  outputs:\n    dev: {type: duckdb}\n")
    profile = SimpleNamespace(profiles_yml_filepath=file, profile_name="shop", target_name="dev", profile_mapping=None)
    task = SimpleNamespace(_task_module="cosmos.operators.local", profile_config=profile, invocation_mode=SimpleNamespace(value="dbt_runner"))
    known = cosmos.attributes_of_task(task)
    assert known["execution_mode"] == "local" and known["invocation_mode"] == "dbt_runner"
    assert (known["profile_strategy"], known["database"]) == ("yaml_file", "duckdb")
    profile.target_name = "prod"
    assert cosmos.attributes_of_task(task)["database"] is None


@pytest.mark.parametrize("switch", ["enable_telemetry", "do_not_track", "no_analytics"])
def test_any_opt_out_of_cosmos_is_one_here(monkeypatch, switch):
    settings = SimpleNamespace(enable_telemetry=True, do_not_track=False, no_analytics=False)
    for name, module in [("cosmos", SimpleNamespace(__version__="1.15.1")), ("cosmos.settings", settings)]:
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "airflow", SimpleNamespace(__version__="3.3.2"))
    monkeypatch.delitem(sys.modules, "cosmos.operators.base", raising=False)
    ti = SimpleNamespace(task=SimpleNamespace(_task_module="cosmos.operators.local"))
    assert cosmos.usage_of_task(ti)["cosmos_version"] == "1.15.1"
    setattr(settings, switch, not getattr(settings, switch))
    assert cosmos.usage_of_task(ti) is None
    assert cosmos.usage_of_dag({"cosmos_task_count": 1}) is None


def test_without_cosmos_nothing_is_sent(monkeypatch):
    monkeypatch.delitem(sys.modules, "cosmos.settings", raising=False)
    assert cosmos.usage_of_dag({"cosmos_task_count": 1}) is None
