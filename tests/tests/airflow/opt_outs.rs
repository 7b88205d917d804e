//! Whoever opts out of usage events, in Airflow or for the agent, has none sent, and spans all the same.

use dagtel_system_tests::agent::Agent;

use crate::deployment::{Deployment, Variable};
use crate::shown::row;
use crate::{RUNS_END, slow};

/// A DAG with tasks of Cosmos.
const DAG: &str = "dbt_task_group";
const OPT_OUTS: [(&str, &str); 3] =
    [("DO_NOT_TRACK", "1"), ("SCARF_NO_ANALYTICS", "true"), ("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")];

#[test]
fn with_any_opt_out_no_usage_event_is_sent() {
    if !slow("with_any_opt_out_no_usage_event_is_sent") {
        return;
    }
    let Some(mut deployment) = Deployment::without_agent("airflow_opt_outs", |_| Vec::new()) else { return };
    for (name, value) in OPT_OUTS {
        let variable: Variable = (name, value.to_owned());
        deployment.start_agent_with(&[variable]);
        deployment.run(&format!("{name}_agent"));
        // Cosmos itself, which was not told to be silent, is heard.
        assert!(!deployment.original.heads().is_empty());
    }
    let heard = deployment.original.heads().len();
    for (name, value) in OPT_OUTS {
        deployment.airflow.restart_scheduler(&[(name, value.to_owned())]);
        deployment.start_agent();
        deployment.run(&format!("{name}_airflow"));
        assert_eq!(deployment.original.heads().len(), heard, "Cosmos is silent too");
    }
    assert_eq!(deployment.gateway.connections(), 0);
    deployment.airflow.restart_scheduler(&[]);
    deployment.start_agent();
    deployment.airflow.trigger(DAG, "consent");
    let rows = deployment.airflow.wait_for_run(DAG, "consent", RUNS_END);
    deployment.check(&rows, row(&rows, DAG, "consent"), &[]);
    deployment.usage_events_are_those_of_the_original(heard);
}

impl Deployment {
    /// A run whose spans are there, and of which the gateway has heard nothing.
    fn run(&mut self, run_id: &str) {
        self.airflow.trigger(DAG, run_id);
        let rows = self.airflow.wait_for_run(DAG, run_id, RUNS_END);
        assert_eq!(row(&rows, DAG, run_id).state, "success");
        let shown = self.check(&rows, row(&rows, DAG, run_id), &[]);
        // The agent makes a usage event as it reads the line of an end, and a span only later.
        self.agent.take().map(Agent::stop);
        let (heard, connections) = (self.gateway.heads().len(), self.gateway.connections());
        println!(
            "{run_id}: {} spans, {heard} usage events, {connections} connections to the gateway; Cosmos itself has sent {}",
            shown.trace.spans.len(),
            self.original.heads().len()
        );
        assert_eq!((heard, connections), (0, 0), "{run_id}");
    }
}
