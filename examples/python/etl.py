"""A small pipeline that says what it does."""
import gzip, logging, os, sys
from dagtel_events import Events, Lines

event = Events(os.environ["DAGTEL_SPOOL_DIR"], dag_id="python_etl", run_id=sys.argv[1])
event.heartbeat("etl")
event("dag_run.started", edges=[["read", "pack"]])
event("task.started", task_id="read", attributes={"operator": "python"})
data = open(__file__, "rb").read()
event("task.finished", task_id="read", state="success", attributes={"bytes": len(data)})
event("task.started", task_id="pack", attributes={"operator": "python"})
log = logging.getLogger("pack")
log.addHandler(Lines(event, "pack"))
log.setLevel(logging.INFO)
try:
    log.info("packing %d bytes", len(data))
    packed = gzip.compress(data)
    if "--fail" in sys.argv:
        raise ValueError("asked to fail")
    event("task.finished", task_id="pack", state="success", attributes={"bytes": len(packed)})
    event("dag_run.finished", state="success")
except ValueError as error:
    log.exception("not packed")
    event("task.finished", task_id="pack", state="failed",
          exception={"type": type(error).__name__, "message": str(error)})
    event("dag_run.finished", state="failed")
