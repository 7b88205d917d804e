"""Where the agent's spool directory is, and what the deployment is called.

An environment variable counts before `airflow.cfg`. Asked once in a process: neither changes while Airflow runs.
"""

import functools
import os
import sys

SECTION = "dagtel"


@functools.cache
def spool_dir() -> str | None:
    """`DAGTEL_SPOOL_DIR`, else `[dagtel] spool_dir`, else where `dagtel agent` looks when it is told nothing."""
    named = _option("DAGTEL_SPOOL_DIR", "spool_dir")
    if named:
        return named
    state = os.environ.get("XDG_STATE_HOME")
    home = os.environ.get("HOME")
    if not state and home:
        state = os.path.join(home, ".local/state")
    return os.path.join(state, "dagtel/spool") if state else None


@functools.cache
def namespace() -> str:
    """`DAGTEL_NAMESPACE`, else `[dagtel] namespace`, else `default`."""
    return _option("DAGTEL_NAMESPACE", "namespace") or "default"


def _option(variable: str, key: str) -> str | None:
    return os.environ.get(variable) or _airflow_option(key)


def _airflow_option(key: str) -> str | None:
    # A worker may have the task SDK only. Neither is imported for this: whoever calls a listener has loaded its own.
    for name in ("airflow.configuration", "airflow.sdk.configuration"):
        module = sys.modules.get(name)
        if module is not None:
            try:
                return module.conf.get(SECTION, key, fallback=None)
            except Exception:  # an unreadable configuration is not for telemetry to complain of
                continue
    return None
