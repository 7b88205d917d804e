//! Metrics that an engine reports: a method for each of Airflow's that dagtel cannot count by itself.

mod engine;
mod handle;
mod table;

use std::fmt;

use dagtel_core::catalog::registry::Offered;

pub use self::engine::{DagFile, Executor, ExecutorTasks, Parsing, Pool, PoolSlots, Triggerer};
pub use self::handle::{Counter, DurationGauge, Gauge, GaugeGuard, Histogram, Timing, UpDownCounter};
pub(crate) use self::table::Registry;
use crate::Dagtel;

/// The metrics of Airflow's registry that an engine reports itself, each a method that takes the values of its tags and
/// gives a handle. What can be counted from runs and tries, such as `ti.finish`, is not among them: dagtel counts it.
///
/// ```
/// # use dagtel::Dagtel;
/// # use std::time::Duration;
/// # let dagtel = Dagtel::off();
/// dagtel.metrics().pool_open_slots("default_pool").set(5);
/// dagtel.metrics().scheduler_heartbeat().add(1);
/// dagtel.metrics().dag_processing_last_duration("dags", "sales.py").record(Duration::from_millis(120));
/// ```
///
/// A tag that a metric does not have, or that is forgotten, does not compile:
///
/// ```compile_fail,E0061
/// # let dagtel = dagtel::Dagtel::off();
/// dagtel.metrics().dagbag_size("default_pool").set(5);
/// ```
///
/// A tag's value is cut to 256 bytes; an empty one is not sent. Each metric has room for 2000 tag sets
/// ([`TAG_SETS`](crate::core::limits::TAG_SETS)); the rest is one series with `overflow="true"`, and
/// `dagtel.cardinality.folded` counts the handles that are of it. When telemetry is off, in memory, or only
/// [reports](crate::Builder::reporter), every handle does nothing.
#[derive(Clone, Copy)]
pub struct Metrics<'a> {
    registry: Option<&'a Registry>,
    team_name: &'a str,
}

impl fmt::Debug for Metrics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("on", &self.registry.is_some()).finish_non_exhaustive()
    }
}

impl Dagtel {
    /// The metrics of Airflow's registry that an engine reports itself.
    pub fn metrics(&self) -> Metrics<'_> {
        let registry = self.0.as_ref().and_then(|inner| inner.registry.as_ref());
        Metrics { registry, team_name: "" }
    }
}

impl<'a> Metrics<'a> {
    /// The same for a team, in a deployment of several: the tag `team_name` where Airflow has it.
    #[must_use]
    pub fn team(self, name: &'a str) -> Self {
        Self { team_name: name, ..self }
    }
}

macro_rules! methods {
    ($(
        $method:ident: $kind:ident $name:literal $unit:literal { $($tag:ident),* }
        ( $($fixed:ident = $value:literal),* ) $(+ $team:ident)? $legacy:literal $description:literal;
    )*) => {
        /// A method for each metric. The tags are those of the metric, in the order of the registry.
        impl Metrics<'_> {
            $(
                #[doc = concat!("`", $name, "`: ", $description, ".")]
                pub fn $method(&self $(, $tag: &str)*) -> $kind {
                    $kind::new(self.registry.and_then(|registry| {
                        registry.series(Offered::$method, &[$($tag,)* $(self.$team,)? $($value,)*])
                    }))
                }
            )*
        }
    };
}

dagtel_core::offered_metrics!(methods);
