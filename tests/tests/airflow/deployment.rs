//! A stack, an agent and an Airflow, and where each finds the others.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dagtel::core::id::RunIds;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::airflow::{Airflow, Rows, RunRow};
use dagtel_system_tests::ports::free;
use dagtel_system_tests::{Setup, Stack};
use dagtel_testkit::gateway::{Server, says};

use crate::shown::{Attempt, Shown};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What Airflow tells of its components by StatsD, as `integrations/airflow/README.md` says: names begin so.
pub(crate) const OWN_METRICS: &str =
    "scheduler,dag_processing,dag_processor,triggers,triggerer,pool,executor,dagbag,asset";

/// An environment variable.
pub(crate) type Variable = (&'static str, String);

/// A stack, an agent and an Airflow that writes to its inbox.
pub(crate) struct Deployment {
    pub(crate) airflow: Airflow,
    pub(crate) agent: Option<Agent>,
    pub(crate) stack: Stack,
    pub(crate) original: Server,
    pub(crate) gateway: Server,
}

impl Deployment {
    /// Starts all of it; Airflow gets `variables` besides, which may need to know the stack.
    pub(crate) fn start(name: &str, variables: impl FnOnce(&Stack) -> Vec<Variable>) -> Option<Self> {
        let mut deployment = Self::without_agent(name, variables)?;
        deployment.start_agent();
        Some(deployment)
    }

    /// Starts all but the agent.
    pub(crate) fn without_agent(name: &str, variables: impl FnOnce(&Stack) -> Vec<Variable>) -> Option<Self> {
        let statsd = free();
        let environment =
            [("DAGTEL_STATSD_PORT", statsd.to_string()), ("DAGTEL_STATSD_INTERVAL", "1s".to_owned())];
        let setup =
            Setup { configurations: &["single.yaml", "airflow.yaml"], environment: environment.into() };
        let stack = Stack::start_as(name, &setup)?;
        let (original, gateway) =
            (Server::http(says("204 No Content")), Server::http(says("204 No Content")));
        let directory = stack.directory();
        let mut all = vec![
            ("DAGTEL_SPOOL_DIR", spool(directory).display().to_string()),
            ("DAGTEL_TEST_OTLP_HTTP", stack.otlp_http()),
            ("DAGTEL_TEST_ORIGINAL_GATEWAY", original.gateway().to_string()),
        ];
        all.extend(statsd_variables(statsd));
        all.extend(variables(&stack));
        let airflow = Airflow::start(directory, &all);
        Some(Self { airflow, agent: None, stack, original, gateway })
    }

    pub(crate) fn start_agent(&mut self) {
        self.start_agent_with(&[]);
    }

    pub(crate) fn start_agent_with(&mut self, variables: &[Variable]) {
        let directory = self.stack.directory();
        let more = ["--memory-peaks", &self.peaks(), "--usage-gateway", &self.gateway.gateway().to_string()];
        let more = more.map(str::to_owned);
        let said = directory.join("agent.log");
        let (spool, endpoint) = (spool(directory), self.stack.otlp_grpc());
        self.agent = Some(Agent::start_with(&spool, &endpoint, &more, variables, &said));
    }

    pub(crate) fn inbox(&self) -> PathBuf {
        spool(self.stack.directory()).join("inbox")
    }

    pub(crate) fn peaks(&self) -> String {
        self.stack.directory().join("peaks.jsonl").display().to_string()
    }

    /// Checks each try of the last attempt of a run, and gives its trace.
    #[track_caller]
    pub(crate) fn check(&self, rows: &Rows, run: &RunRow, also: &[&str]) -> Shown {
        self.check_attempt(Attempt::of(rows, run), also)
    }

    /// Checks each try of an attempt, and gives its trace.
    #[track_caller]
    pub(crate) fn check_attempt(&self, attempt: Attempt, also: &[&str]) -> Shown {
        let began = Instant::now();
        let expected = attempt.tries.len() + 1 + also.len();
        let id = RunIds::of(&attempt.key).trace_id.to_string();
        let trace = self.stack.traces().wait_for_trace(&id, |trace| trace.spans.len() >= expected, SOON);
        let shown = Shown { attempt, trace };
        shown.agrees(also);
        println!(
            "{}, attempt {}: {} rows, {} spans, {} links, {} warnings ({:.1} s)",
            shown.attempt.key.dag_id,
            shown.attempt.key.attempt,
            shown.attempt.tries.len(),
            shown.trace.spans.len(),
            shown.trace.spans.iter().map(|span| span.links().count()).sum::<usize>(),
            shown.trace.spans.iter().map(|span| span.warnings.len()).sum::<usize>(),
            began.elapsed().as_secs_f64(),
        );
        shown
    }
}

/// The agent's directory, in that of the stack.
pub(crate) fn spool(directory: &Path) -> PathBuf {
    directory.join("spool")
}

/// What `integrations/airflow/README.md` says, for Airflow's own metrics of its components.
fn statsd_variables(port: u16) -> Vec<Variable> {
    vec![
        ("AIRFLOW__METRICS__STATSD_ON", "True".into()),
        ("AIRFLOW__METRICS__STATSD_HOST", "127.0.0.1".into()),
        ("AIRFLOW__METRICS__STATSD_PORT", port.to_string()),
        ("AIRFLOW__METRICS__STATSD_DATADOG_ENABLED", "True".into()),
        ("AIRFLOW__METRICS__LEGACY_NAMES_ON", "False".into()),
        ("AIRFLOW__METRICS__METRICS_ALLOW_LIST", OWN_METRICS.into()),
    ]
}
