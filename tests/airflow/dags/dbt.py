"""A dbt project as a DAG of its own, and as a group of tasks in another."""

import os
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from cosmos import DbtDag, DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import InvocationMode, LoadMode

PROJECT = Path(os.environ["DAGTEL_TEST_DBT_PROJECT"])


def profile(target):
    return ProfileConfig(profile_name="shop", target_name=target, profiles_yml_filepath=PROJECT / "profiles.yml")


execution = ExecutionConfig(invocation_mode=InvocationMode.DBT_RUNNER)
# DuckDB lets one process write at a time.
alone = {"max_active_tasks": 1, "schedule": None}
quiet = {"install_deps": False}

dbt_dag = DbtDag(
    dag_id="dbt_dag",
    project_config=ProjectConfig(PROJECT),
    profile_config=profile("dag"),
    execution_config=execution,
    render_config=RenderConfig(load_method=LoadMode.CUSTOM),
    operator_args=quiet,
    **alone,
)

with DAG("dbt_task_group", **alone) as dbt_task_group:
    group = DbtTaskGroup(
        group_id="shop",
        project_config=ProjectConfig(PROJECT),
        profile_config=profile("group"),
        execution_config=execution,
        render_config=RenderConfig(load_method=LoadMode.CUSTOM, select=["path:seeds"]),
        operator_args=quiet,
    )
    EmptyOperator(task_id="before") >> group >> EmptyOperator(task_id="after")
