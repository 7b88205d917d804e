"""Report DAG runs to dagtel from Python: the standard library, one file, no thread, no socket."""
import fcntl, gc, json, logging, os, platform, time


class Events:
    """Appends event lines (see `dagtel schema`) to a file of this process in the agent's inbox."""

    def __init__(self, spool, dag_id, run_id):
        self.spool, self.run = spool, {"dag_id": dag_id, "run_id": run_id}
        inbox = os.path.join(spool, "inbox")
        os.makedirs(inbox, mode=0o700, exist_ok=True)
        self.pid = os.getpid()
        path = os.path.join(inbox, f"{self.pid}-{time.time_ns()}.jsonl")
        self.file = open(path, "a", buffering=1)  # a line is one write
        fcntl.flock(self.file, fcntl.LOCK_EX)  # held for life: its release tells the agent that we are gone

    def __call__(self, event, **fields):
        self.write({"event": event, "at": time.time(), **self.run, **fields})

    def write(self, line):
        if self.pid != os.getpid():  # after a fork the lock is the parent's
            self.__init__(self.spool, **self.run)
        self.file.write(json.dumps(line) + "\n")

    def heartbeat(self, component, healthy=True):
        """Says that this process lives, and how its interpreter fares; the agent shows it at /metrics."""
        version = platform.python_version_tuple()
        labels = dict(zip(("major", "minor", "patchlevel"), version), version=platform.python_version())
        labels["implementation"] = platform.python_implementation()
        values = [{"name": "python_info", "labels": labels, "value": 1}]
        names = {"collected": "objects_collected", "uncollectable": "objects_uncollectable", "collections": "collections"}
        for generation, stats in enumerate(gc.get_stats()):
            values += [{"name": f"python_gc_{name}_total", "labels": {"generation": str(generation)}, "value": stats[key]}
                       for key, name in names.items()]
        self.write({"event": "metrics", "component": component, "healthy": healthy, "values": values})


class Lines(logging.Handler):
    """Passes on what `logging` is told as lines of a task, which become log records of its span."""

    SEVERITIES = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "fatal"}

    def __init__(self, events, task_id, **key):
        super().__init__()
        self.events, self.task = events, {"task_id": task_id, **key}

    def emit(self, record):
        try:
            process = {"host.name": platform.node(), "process.pid": record.process}
            self.events("task.log", at=record.created, body=self.format(record), attributes=process,
                        severity=self.SEVERITIES.get(record.levelname, "info"), **self.task)
        except Exception:
            self.handleError(record)  # a task does not fail because of what it says
