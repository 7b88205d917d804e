"""Tells dagtel's agent what Airflow does: a line in a file for each thing that happens, and nothing else.

Inside a task, :func:`context` gives the trace context of the try that is running.
"""

from dagtel_airflow.trace import context

__all__ = ["context"]
__version__ = "0.1.0"
