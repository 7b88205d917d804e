"""Every way in which a task instance can go."""

import os
import signal
import time
from datetime import timedelta

from airflow.exceptions import AirflowSkipException
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, get_current_context, task

AT_ONCE = {"retry_delay": timedelta(seconds=0)}


class Waits(BaseOperator):
    """Works, gives its worker back until a trigger fires, and goes on in another process."""

    def execute(self, context):
        until = time.process_time() + 1.5
        while time.process_time() < until:
            sum(range(10_000))
        # The agent is not the parent of this process, so it knows what it has seen in it, twice a second.
        time.sleep(1)
        # As long as `Looks` waits: Airflow fails a task that is queued again before its scheduler has read its first end.
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=15)), method_name="resume")

    def resume(self, context, event=None):
        time.sleep(0.2)


class Looks(BaseSensorOperator):
    """Gives its worker back and is run again, once."""

    def poke(self, context):
        return context["ti"].task_id in os.environ or context["ti"].get_first_reschedule_date(context) is not None


with DAG("kinds", schedule=None) as kinds:

    @task
    def numbers():
        return [1, 2, 3]

    @task
    def square(number):
        return number * number

    @task(trigger_rule="all_done")
    def total(squares):
        return sum(squares)

    @task(retries=2, **AT_ONCE)
    def flaky():
        if get_current_context()["ti"].try_number < 2:
            raise ValueError("not yet")

    @task
    def skips():
        raise AirflowSkipException

    @task
    def never():
        raise AssertionError("it is skipped with its upstream")

    @task
    def traced():
        from opentelemetry import trace as otel
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        import dagtel_airflow

        provider = TracerProvider(resource=Resource.create({"service.name": "by_hand"}))
        endpoint = os.environ["DAGTEL_TEST_OTLP_HTTP"] + "/v1/traces"
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        parent = TraceContextTextMapPropagator().extract(dagtel_airflow.context())
        with otel.get_tracer("by_hand", tracer_provider=provider).start_as_current_span("by_hand", context=parent):
            pass
        provider.shutdown()

    @task
    def hungry():
        kept = bytearray(200 * 1024 * 1024)
        kept[:: 4096] = b"x" * len(kept[:: 4096])
        time.sleep(2)

    wrapped = BashOperator(
        task_id="wrapped",
        bash_command='"$DAGTEL_TEST_PROGRAM" exec --task-id inner --upstream "" -- sh -c "exit 0"',
    )
    first = numbers()
    sums = total(square.expand(number=first))
    first >> [flaky(), wrapped, traced(), hungry()] >> sums
    skips() >> never()
    Waits(task_id="waits") >> Looks(task_id="looks", mode="reschedule", poke_interval=15, timeout=300)

with DAG("fails", schedule=None) as fails:

    @task
    def killed():
        os.kill(os.getpid(), signal.SIGKILL)

    @task(retries=1, **AT_ONCE)
    def killed_once():
        if get_current_context()["ti"].try_number < 2:
            os.kill(os.getpid(), signal.SIGKILL)

    @task
    def breaks():
        if not os.path.exists(os.environ["DAGTEL_TEST_MENDED"]):
            raise RuntimeError("it is broken")

    @task
    def fine():
        pass

    @task
    def after():
        pass

    fine() >> [killed(), breaks(), killed_once()] >> after()

with DAG("twins", schedule=None) as twins:

    @task
    def one():
        time.sleep(1)

    @task
    def two():
        time.sleep(1)

    one() >> two()
