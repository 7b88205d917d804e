//! What `otel-collector/` has for Grafana and Prometheus and is made of the catalogue, so that a metric or a tag that is
//! renamed there cannot leave a panel or a rule without data behind: the dashboards, and recording rules for Airflow's names
//! of the StatsD era.

pub mod files;
mod fleet;
mod grafana;
mod health;
mod panel;
pub mod promql;
mod runs;
pub mod statsd;
mod telemetry;

use dagtel_core::catalog::agent;
use dagtel_core::catalog::metric::Metric;
use serde_json::Value;

use grafana::{Choice, Dashboard, Variable};
use promql::{family, of};

/// Every dashboard: the name of its file, and what is in it.
pub fn dashboards() -> Vec<(String, Value)> {
    let dashboards =
        [fleet::dashboard(), runs::dag(), runs::task(), health::dashboard(), telemetry::dashboard()];
    dashboards.iter().map(|dashboard| (file(dashboard), dashboard.json())).collect()
}

fn file(dashboard: &Dashboard) -> String {
    format!("{}.json", dashboard.uid)
}

/// The variables that every dashboard has.
fn common() -> Vec<Variable> {
    let jobs = format!("label_values({}, job)", of(Metric::TiStart).name());
    vec![
        Variable::Source { name: "datasource", label: "Prometheus", kind: "prometheus" },
        label("deployment", "Deployment", &jobs, Choice::SeveralOrNone),
    ]
}

fn agents() -> Variable {
    let instances = format!("label_values({}, instance)", family(&agent::COMPONENT_HEALTH).name());
    // All agents are a list of them: others have process_cpu_seconds_total and the like, too.
    label("agent", "Agent", &instances, Choice::Several)
}

fn jaeger() -> Variable {
    Variable::Source { name: "jaeger", label: "Jaeger", kind: "jaeger" }
}

fn window() -> Variable {
    Variable::Window { values: &["5m", "15m", "1h", "6h", "1d"], default: "15m" }
}

fn label(name: &'static str, label: &'static str, query: &str, choice: Choice) -> Variable {
    Variable::Label { name, label, query: query.to_owned(), choice }
}
