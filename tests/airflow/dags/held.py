"""A run that is on for as long as a test wants: until a file is there."""

import os
import time

from airflow.sdk import DAG, task

with DAG("held", schedule=None) as held:

    @task
    def first():
        pass

    @task
    def beside():
        pass

    @task
    def holds():
        while not os.path.exists(os.environ["DAGTEL_TEST_RELEASED"]):
            time.sleep(0.1)

    @task
    def last():
        pass

    first() >> [beside(), holds()] >> last()
