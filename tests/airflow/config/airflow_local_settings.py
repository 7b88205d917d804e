"""Airflow imports this when it starts: Cosmos's own usage events go to a local server, to be compared with dagtel's."""

import os

if os.environ.get("DAGTEL_TEST_ORIGINAL_GATEWAY"):
    import cosmos.constants

    cosmos.constants.TELEMETRY_URL = os.environ["DAGTEL_TEST_ORIGINAL_GATEWAY"]
