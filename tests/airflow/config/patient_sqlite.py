"""How Airflow talks to SQLite here: several processes write, and each waits for the others."""

CONNECT_ARGS = {"timeout": 60}
