//! Anonymous usage events of what is told through the inbox.
//!
//! A line that ends a run or a try may say that one may be made of it. That is the consent of the process that wrote it;
//! the agent's own environment may refuse as well. Events are made as the lines are read, not of what the fold makes of
//! them: the original knows no roster either. One that is lost with the agent is not made again.

use clap::Args;
use dagtel::usage::{Consent, Environment, Gateway, StandardMetrics, UsageEvent, event_metrics};
use dagtel_core::event::Truth;
use dagtel_drain::Ended;
use dagtel_usage::{Sender, allowed};

/// Where usage events go.
#[derive(Debug, Args)]
pub(super) struct UsageOptions {
    /// A gateway of anonymous usage events of Cosmos: https://host/path/{telemetry_version}/{event_type}?{query_string}.
    /// None is built in
    #[arg(long, value_name = "TEMPLATE", env = "DAGTEL_USAGE_GATEWAY")]
    usage_gateway: Option<Gateway>,
}

/// Sends usage events, if there is somewhere to send them to.
#[derive(Debug)]
pub(super) struct Usage(Option<Sender>);

impl Usage {
    pub(super) fn new(options: &UsageOptions) -> Self {
        let gateway = options.usage_gateway.clone();
        Self(gateway.map(|gateway| Sender::new(gateway, Environment::process())))
    }

    /// Makes an event of each end that allows it.
    pub(super) fn take(&self, ends: &[Ended]) {
        let Some(sender) = &self.0 else { return };
        if ends.is_empty() || !Consent::default().should_emit(&Environment::process()) {
            return;
        }
        for event in ends.iter().filter_map(event) {
            // It counts itself what it cannot take.
            let _ = sender.send(event);
        }
    }
}

fn event(end: &Ended) -> Option<UsageEvent> {
    if end.event.truth != Truth::Reported {
        return None;
    }
    let (event_type, metrics) = event_metrics(&end.event)?;
    let versions = &end.installation;
    let standard =
        StandardMetrics::new(&versions.cosmos_version, &versions.airflow_version, &versions.python_version);
    let mut event = UsageEvent::new(event_type, &standard, metrics);
    allowed::keep_allowed(&mut event).ok()?;
    Some(event)
}
