//! Consent, allowed metrics and sender put together.

use std::time::Duration;

use crate::json::Dict;
use crate::{Consent, Environment, Gateway, Refusal, Sender, StandardMetrics, Stats, UsageEvent, allowed};

/// Why an event is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotSent {
    /// Somebody is against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is nowhere to send it: no gateway is built in.
    #[error("no gateway is configured, and none is built in")]
    NoGateway,
    /// The type of the event is no word of lower-case letters, digits, `_` and `-`.
    #[error("the type of the event is no word of lower-case letters, digits, _ and -")]
    EventType,
}

/// Emits usage events, if everybody agrees. Dropping it gives up what waits to be sent, so [`flush`](Self::flush)
/// before.
#[derive(Debug)]
pub struct Emitter {
    consent: Consent,
    standard: StandardMetrics,
    environment: Environment,
    sender: Option<Sender>,
}

impl Emitter {
    /// An emitter to `gateway`. Without one it never sends anything.
    pub fn new(
        consent: Consent,
        standard: StandardMetrics,
        gateway: Option<Gateway>,
        environment: Environment,
    ) -> Self {
        let sender = gateway.map(|gateway| Sender::new(gateway, environment.clone()));
        Self { consent, standard, environment, sender }
    }

    /// Starts the sender's thread now, if nothing stands against sending, so that the first event does not have to. See
    /// [`Sender::start`].
    pub fn start(&self) {
        if self.why_not().is_none()
            && let Some(sender) = &self.sender
        {
            sender.start();
        }
    }

    /// What stands against events, wherever they would go, as of now.
    pub fn refusal(&self) -> Option<Refusal> {
        self.consent.refusal(&self.environment)
    }

    /// What stands against sending to the gateway, as of now.
    pub fn why_not(&self) -> Option<NotSent> {
        let refusal = self.refusal().map(NotSent::from);
        refusal.or_else(|| self.sender.is_none().then_some(NotSent::NoGateway))
    }

    /// The event as it would be sent: with the standard metrics, without what is not allowed.
    ///
    /// # Errors
    ///
    /// [`NotSent::EventType`].
    pub fn event(&self, event_type: &str, additional: Dict) -> Result<UsageEvent, NotSent> {
        admitted(UsageEvent::new(event_type, &self.standard, additional))
    }

    /// Emits an event with exactly these metrics, without asking whether that is wanted. Returns whether the sender
    /// took it; what became of it, [`stats`](Self::stats) says.
    pub fn emit_usage_metrics(&self, event_type: &str, metrics: Dict) -> bool {
        self.hand_over(admitted(UsageEvent { event_type: event_type.to_owned(), metrics }))
    }

    /// Emits an event with the standard metrics and additional ones, which win over these. `additional` is asked only
    /// if nothing stands against sending, and may have nothing to say. Returns whether the sender took the event.
    pub fn emit_usage_metrics_if_enabled<M>(&self, event_type: &str, additional: impl FnOnce() -> M) -> bool
    where
        M: Into<Option<Dict>>,
    {
        if let Some(reason) = self.why_not() {
            tracing::debug!("Telemetry is disabled: {reason}");
            return false;
        }
        let Some(additional) = additional().into() else { return false };
        self.hand_over(self.event(event_type, additional))
    }

    /// What became of the events so far.
    pub fn stats(&self) -> Stats {
        self.sender.as_ref().map_or_else(Stats::default, Sender::stats)
    }

    /// Waits until every event is done with, but at most as long as that. Returns whether they are.
    pub fn flush(&self, within: Duration) -> bool {
        self.sender.as_ref().is_none_or(|sender| sender.flush(within))
    }

    fn hand_over(&self, event: Result<UsageEvent, NotSent>) -> bool {
        match (event, &self.sender) {
            (Ok(event), Some(sender)) => sender.send(event),
            (Ok(_), None) => false,
            (Err(reason), _) => {
                tracing::debug!("A usage event was not emitted: {reason}");
                false
            }
        }
    }
}

fn admitted(mut event: UsageEvent) -> Result<UsageEvent, NotSent> {
    allowed::keep_allowed(&mut event)?;
    Ok(event)
}
