"""Report DAG runs to dagtel from Python: the standard library, one file, no thread, no socket."""
import fcntl, json, os, time


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
        if self.pid != os.getpid():  # after a fork the lock is the parent's
            self.__init__(self.spool, **self.run)
        self.file.write(json.dumps({"event": event, "at": time.time(), **self.run, **fields}) + "\n")
