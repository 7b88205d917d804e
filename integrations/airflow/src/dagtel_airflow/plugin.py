"""What Airflow loads."""

from airflow.plugins_manager import AirflowPlugin

from dagtel_airflow import listener


class DagtelPlugin(AirflowPlugin):
    name = "dagtel"
    listeners = [listener]
