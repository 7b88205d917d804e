//! An event, and what every event says about where it comes from.

use crate::json::{Dict, Value};
use crate::url::quote;

/// The key under which the original keeps an event's type among its metrics.
const EVENT_TYPE: &str = "event_type";

/// What is the same for all events of a process. The keys are the original's, because its receivers know these.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandardMetrics {
    /// `cosmos_version`: the version of the embedding product.
    pub product_version: String,
    /// `airflow_version`: the version of the engine, as it is; it is quoted when it becomes a metric.
    pub engine_version: String,
    /// `python_version`: the version of the runtime.
    pub runtime_version: String,
    /// `platform_system`: `Linux`, `Darwin`.
    pub platform_system: String,
    /// `platform_machine`: `x86_64`, `aarch64`.
    pub platform_machine: String,
}

impl StandardMetrics {
    /// The given versions, on this machine.
    pub fn new(product_version: &str, engine_version: &str, runtime_version: &str) -> Self {
        let machine = rustix::system::uname();
        Self {
            product_version: product_version.to_owned(),
            engine_version: engine_version.to_owned(),
            runtime_version: runtime_version.to_owned(),
            platform_system: machine.sysname().to_string_lossy().into_owned(),
            platform_machine: machine.machine().to_string_lossy().into_owned(),
        }
    }

    /// The five metrics, in the original's order.
    pub fn metrics(&self) -> Dict {
        let own = [
            ("cosmos_version", self.product_version.clone()),
            ("airflow_version", quote(&self.engine_version)),
            ("python_version", self.runtime_version.clone()),
            ("platform_system", self.platform_system.clone()),
            ("platform_machine", self.platform_machine.clone()),
        ];
        own.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}

/// An event as it is sent.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UsageEvent {
    /// `dag_run`, `task_instance`, `dbt_docs_access`.
    pub event_type: String,
    /// What it says, in the order in which it is sent.
    pub metrics: Dict,
}

impl UsageEvent {
    /// Puts an event together as the original does: the standard metrics, then the additional ones. Of equal keys the
    /// additional value counts, at the place of the first; even the type can be overridden, as `event_type`.
    pub fn new(event_type: &str, standard: &StandardMetrics, additional: Dict) -> Self {
        let mut metrics = standard.metrics();
        metrics.insert(EVENT_TYPE.to_owned(), event_type.into());
        metrics.extend(additional);
        Self::from_metrics(metrics)
    }

    /// An event of metrics that name its type among them. Without it the type is `None`, as a text.
    pub fn from_metrics(mut metrics: Dict) -> Self {
        let event_type = metrics.shift_remove(EVENT_TYPE).unwrap_or(Value::Null);
        Self { event_type: crate::json::text_of(&event_type), metrics }
    }
}
