//! The adapter: told of ends as any listener, it makes events and hands them over.

use std::time::Duration;

use dagtel_core::event::Exception;
use dagtel_usage::json::Dict;
use dagtel_usage::listener::{DAG_RUN, Status, TASK_INSTANCE};
use dagtel_usage::{Emitter, Stats};

use super::{Collector, UsageOptions, facts};
use crate::describe::{DagRun, TaskInstance};
use crate::engine::Clock;
use crate::listener::Listener;

/// Makes usage events of what a listener is told.
pub(crate) struct Usage {
    emitter: Emitter,
    collector: Option<Collector>,
    clock: Clock,
}

impl Usage {
    /// `None` when no route is left: `collector` is asked for where there is an outbox.
    pub(crate) fn new(
        options: UsageOptions,
        clock: Clock,
        collector: Option<impl FnOnce() -> Collector>,
    ) -> Option<Self> {
        let UsageOptions { standard, consent, environment, gateway, collector: wanted } = options;
        let collector = collector.filter(|_| wanted).map(|make| make());
        let routes = gateway.is_some() || collector.is_some();
        let emitter = Emitter::new(consent, standard, gateway, environment);
        routes.then_some(Self { emitter, collector, clock })
    }

    /// See [`Emitter::start`].
    pub(crate) fn start(&self) {
        self.emitter.start();
    }

    /// See [`Emitter::flush`].
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.emitter.flush(within)
    }

    /// What became of the events that were for the gateway.
    pub(crate) fn stats(&self) -> Stats {
        self.emitter.stats()
    }

    fn run_ended(&self, run: &DagRun, status: Status) {
        let attributes = &run.details.attributes;
        if facts::concerns_run(attributes) {
            self.emit(DAG_RUN, || facts::of_run(&run.key, attributes, status));
        }
    }

    fn task_ended(&self, task: &TaskInstance, status: Status) {
        let attributes = &task.details.attributes;
        if facts::concerns_task(attributes) {
            self.emit(TASK_INSTANCE, || facts::of_task(&task.key, attributes, status));
        }
    }

    fn emit(&self, event_type: &str, metrics: impl FnOnce() -> Option<Dict>) {
        if self.emitter.refusal().is_some() {
            return;
        }
        let Some(metrics) = metrics() else { return };
        let Ok(event) = self.emitter.event(event_type, metrics) else { return };
        if let Some(collector) = &self.collector {
            collector.take(&event, (self.clock)().into());
        }
        self.emitter.emit_usage_metrics(&event.event_type, event.metrics);
    }
}

impl Listener for Usage {
    fn on_dag_run_success(&self, run: &DagRun) {
        self.run_ended(run, Status::Success);
    }

    fn on_dag_run_failed(&self, run: &DagRun, _: Option<&Exception>) {
        self.run_ended(run, Status::Failed);
    }

    fn on_task_instance_success(&self, _: &DagRun, task: &TaskInstance) {
        self.task_ended(task, Status::Success);
    }

    fn on_task_instance_failed(&self, _: &DagRun, task: &TaskInstance, _: Option<&Exception>, _: bool) {
        self.task_ended(task, Status::Failed);
    }
}
