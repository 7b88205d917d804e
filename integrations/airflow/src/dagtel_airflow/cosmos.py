"""What Cosmos's own listeners look up of its tasks and DAGs (astronomer-cosmos 1.15, `cosmos/listeners`).

Cosmos is never imported here. Where it is not loaded, nothing is of it.
"""

import base64
import hashlib
import json
import platform
import sys
import zlib
from typing import Any

PREFIX = "cosmos."
METADATA_PARAM = "__cosmos_telemetry_metadata__"
METADATA_BYTES = 64 * 1024
METADATA_TEXT_CHARACTERS = 4096


def module_of(task: Any) -> str:
    """The module of the operator's class; a task of a serialized DAG only knows its name."""
    return getattr(task, "_task_module", None) or type(task).__module__


def is_cosmos(task: Any) -> bool:
    """Whether it is one of Cosmos's operators or derives from its base class of dbt operators."""
    return module_of(task).startswith(PREFIX) or _is_dbt(task)


def attributes_of_task(task: Any) -> dict:
    """What the original says of a task, by the names that dagtel has for it. Empty for others."""
    if not is_cosmos(task):
        return {}
    parts = module_of(task).split(".")
    known = {
        "is_cosmos_operator_subclass": _is_dbt(task) and not module_of(task).startswith(PREFIX),
        "invocation_mode": _text(getattr(task, "invocation_mode", None)),
        "execution_mode": parts[2] if parts[:2] == ["cosmos", "operators"] and len(parts) > 2 else None,
    }
    known.update(_profile(getattr(task, "profile_config", None)))
    if _is_dbt(task):
        known["dbt_command"] = _command(getattr(task, "base_cmd", None))
        deps = getattr(task, "install_deps", None)
        known["install_deps"] = None if deps is None else bool(deps)
        callback = getattr(task, "callback", None)
        known["has_callback"] = any(callback) if isinstance(callback, (list, tuple)) else bool(callback)
    else:
        known["has_callback"] = False
    return known


def attributes_of_dag(dag_id: str, dag: Any) -> dict:
    """What the original says of a DAG with tasks of Cosmos. Empty for others."""
    modules = [module_of(task) for task in dag.task_dict.values()]
    ours = [module for module in modules if module.startswith(PREFIX)]
    if not ours:
        return {}
    modes = {parts[2] for module in ours if len(parts := module.split(".")) > 2}
    known = {
        "dag_hash": hashlib.md5(dag_id.encode(), usedforsecurity=False).hexdigest(),
        "task_count": len(modules),
        "cosmos_task_count": len(ours),
        "execution_modes": sorted(modes),
    }
    known.update(_metadata(dag.params.get(METADATA_PARAM)))
    return known


def usage_of_task(ti: Any) -> dict | None:
    """What a usage event of its end says of the installation; `None` when there is to be none."""
    task = ti.__dict__.get("task")
    return _usage() if task is not None and is_cosmos(task) else None


def usage_of_dag(attributes: dict) -> dict | None:
    """The same for the end of a run, of whose DAG these attributes are."""
    return _usage() if attributes.get("cosmos_task_count") else None


def _usage() -> dict | None:
    """Only where Cosmos itself would send one: its own settings are asked, and whoever opted out there opted out here."""
    settings = sys.modules.get("cosmos.settings")
    if settings is None or not settings.enable_telemetry or settings.do_not_track or settings.no_analytics:
        return None
    return {
        "cosmos_version": str(sys.modules["cosmos"].__version__),
        "airflow_version": str(sys.modules["airflow"].__version__),
        "python_version": platform.python_version(),
    }


def _is_dbt(task: Any) -> bool:
    base = sys.modules.get("cosmos.operators.base")
    return base is not None and isinstance(task, base.AbstractDbtBase)


def _profile(config: Any) -> dict:
    if not config:
        return {}
    file = config.profiles_yml_filepath
    known = {"profile_strategy": "mapping" if file is None else "yaml_file"}
    if file is None:
        known["profile_mapping_class"] = type(config.profile_mapping).__name__
        known["database"] = _text(getattr(config.profile_mapping, "dbt_profile_type", None))
    else:
        known["database"] = _database(file, config.profile_name, config.target_name)
    return known


def _database(file: Any, profile: str, target: str) -> str | None:
    """The type of database that a `profiles.yml` names. PyYAML, which Airflow has, reads it fast where libyaml is there."""
    try:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        with open(file, "rb") as opened:
            return _text(yaml.load(opened.read(), loader)[profile]["outputs"][target]["type"])  # noqa: S506
    except Exception:  # as in the original, whatever is wrong with the file
        return None


def _command(command: Any) -> str | None:
    if isinstance(command, (list, tuple)):
        command = " ".join(str(part) for part in command if part is not None)
    return _text(command) or None


def _metadata(text: Any) -> dict:
    """The compressed metadata, and what is in it as `dag_metadata.<key>`, or why it cannot be read."""
    if not isinstance(text, str) or not text:
        return {}
    known = {"dag_metadata": text}
    try:
        if len(text) > METADATA_TEXT_CHARACTERS:
            raise ValueError(f"it has more than {METADATA_TEXT_CHARACTERS} characters")
        inflate = zlib.decompressobj()
        unfolded = inflate.decompress(base64.b64decode(text.encode("ascii")), METADATA_BYTES)
        if not inflate.eof:
            raise ValueError(f"it unfolds to more than {METADATA_BYTES} bytes, or is not whole")
        for key, value in json.loads(unfolded).items():
            known[f"dag_metadata.{key}"] = value if isinstance(value, (bool, int, float, str)) else _text(value)
    except Exception as error:  # binascii, zlib and json each have their own
        known["dag_metadata.error"] = str(error)
    return {key: value for key, value in known.items() if value is not None}


def _text(value: Any) -> str | None:
    value = getattr(value, "value", value)
    return None if value is None else str(value)
