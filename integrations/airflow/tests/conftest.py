import json

import pytest

from dagtel_airflow.inbox import Inbox


@pytest.fixture
def inbox(tmp_path):
    return Inbox(str(tmp_path / "spool"))


@pytest.fixture
def lines(tmp_path):
    """Reads every line that was written so far."""

    def read():
        files = sorted((tmp_path / "spool/inbox").glob("*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    return read
