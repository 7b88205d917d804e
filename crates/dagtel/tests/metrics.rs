//! The metrics that engines report, found again at the receiver.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use dagtel::core::catalog::metric::{Definition, Kind};
use dagtel::core::catalog::naming::{NameFilter, Naming};
use dagtel::core::catalog::registry::Offered;
use dagtel::core::limits::TAG_SETS;
use dagtel::metrics::{Counter, DurationGauge, Gauge, Histogram, UpDownCounter};
use dagtel::{Builder, Dagtel, Guard};
use dagtel_testkit::{Collector, Taken, Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use support::{TempDir, builder, spool};

/// What a metric is told, and what is to come of it.
trait Told {
    fn tell(&self, seconds: u32) -> Value;
}

impl Told for Counter {
    fn tell(&self, seconds: u32) -> Value {
        self.add(u64::from(seconds));
        Value::Int(i64::from(seconds))
    }
}

impl Told for UpDownCounter {
    fn tell(&self, seconds: u32) -> Value {
        self.add(-i64::from(seconds));
        Value::Int(-i64::from(seconds))
    }
}

impl Told for Gauge {
    fn tell(&self, seconds: u32) -> Value {
        self.set(-i64::from(seconds));
        Value::Int(-i64::from(seconds))
    }
}

impl Told for DurationGauge {
    fn tell(&self, seconds: u32) -> Value {
        self.set(Duration::from_secs(seconds.into()));
        Value::Double(f64::from(seconds))
    }
}

impl Told for Histogram {
    fn tell(&self, seconds: u32) -> Value {
        self.record(Duration::from_secs(seconds.into()));
        Value::Histogram(1, f64::from(seconds))
    }
}

struct Expected {
    definition: &'static Definition,
    value: Value,
    tags: BTreeMap<String, String>,
}

/// Tells every metric its place in the registry.
fn tell_all(dagtel: &Dagtel) -> Vec<Expected> {
    let mut all = Vec::new();
    let metrics = dagtel.metrics().team("blue");
    macro_rules! tell {
        ($(
            $method:ident: $kind:ident $name:literal $unit:literal { $($tag:ident),* }
            ( $($fixed:ident = $value:literal),* ) $(+ $team:ident)? $legacy:literal $description:literal;
        )*) => {
            $(
                let value = metrics.$method($(concat!("the ", stringify!($tag))),*).tell(all.len() as u32 + 1);
                let tags = [
                    $((stringify!($tag), concat!("the ", stringify!($tag))),)*
                    $((stringify!($team), "blue"),)?
                    $((stringify!($fixed), $value),)*
                ] as [(&str, &str); _];
                let tags = tags.into_iter().map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect();
                all.push(Expected { definition: Offered::$method.definition(), value, tags });
            )*
        };
    }
    dagtel::core::offered_metrics!(tell);
    all
}

fn metric<'a>(taken: &'a Taken, name: &str) -> &'a Metric {
    let groups = taken.metrics.iter().flat_map(|request| &request.resource_metrics);
    let mut metrics = groups.flat_map(|group| &group.scope_metrics).flat_map(|scope| &scope.metrics);
    metrics.find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} did not come"))
}

fn is_of(kind: Kind, data: &Data) -> bool {
    let cumulative = AggregationTemporality::Cumulative as i32;
    match (kind, data) {
        (Kind::Counter, Data::Sum(sum)) => sum.is_monotonic && sum.aggregation_temporality == cumulative,
        (Kind::UpDownCounter, Data::Sum(sum)) => {
            !sum.is_monotonic && sum.aggregation_temporality == cumulative
        }
        (Kind::Histogram, Data::Histogram(data)) => data.aggregation_temporality == cumulative,
        (Kind::Gauge, Data::Gauge(_)) => true,
        _ => false,
    }
}

fn engine(set_up: impl FnOnce(Builder) -> Builder) -> (Collector, TempDir, Dagtel, Guard) {
    let (collector, spool) = (Collector::start(), spool());
    let (dagtel, guard) = set_up(builder(collector.endpoint(), &spool)).install().unwrap();
    (collector, spool, dagtel, guard)
}

#[test]
fn every_metric_that_is_offered_arrives_with_its_kind_unit_and_tags() {
    let (collector, _spool, dagtel, guard) = engine(|builder| builder);
    let expected = tell_all(&dagtel);
    assert_eq!(expected.len(), Offered::ALL.len());
    assert!(guard.shutdown().unwrap().is_complete());
    let taken = collector.taken();
    for Expected { definition, value, tags } in expected {
        let name = format!("airflow.{}", definition.name);
        let metric = metric(&taken, &name);
        assert_eq!(
            (&*metric.unit, &*metric.description),
            (definition.unit, definition.description),
            "{name}"
        );
        assert!(is_of(definition.kind, metric.data.as_ref().unwrap()), "{name}: {metric:?}");
        let points = taken.points(&name);
        assert_eq!(points.len(), 1, "{name}");
        assert_eq!((&points[0].tags, points[0].value), (&tags, value), "{name}");
        let known: BTreeSet<&str> = definition.tags.iter().copied().collect();
        assert_eq!(tags.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{name}");
    }
}

#[test]
fn a_gauge_is_told_again_and_again_until_it_ends() {
    let (collector, _spool, dagtel, guard) =
        engine(|builder| builder.metric_interval(Duration::from_millis(20)));
    const NAME: &str = "airflow.pool.open_slots";
    let of = |taken: &Taken, pool: &str| -> Vec<u64> {
        let points = taken.points(NAME).into_iter();
        points.filter(|point| point.tags["pool_name"] == pool).map(|point| point.time).collect()
    };
    dagtel.metrics().pool_open_slots("stays").set(1);
    dagtel.metrics().pool_open_slots("ends").set(2);
    let kept = dagtel.metrics().pool_open_slots("dropped").guard();
    kept.set(3);
    // Neither handle is kept, and nobody sets them again.
    collector.wait_for(|taken| of(taken, "stays").len() >= 3 && of(taken, "ends").len() >= 3);
    collector.wait_for(|taken| of(taken, "dropped").len() >= 3);
    dagtel.metrics().pool_open_slots("ends").end();
    drop(kept);
    let ended = u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let readings =
        |taken: &Taken| -> Vec<u64> { of(taken, "stays").into_iter().filter(|time| *time > ended).collect() };
    // The first reading may have begun before the end, the second has not.
    let after = readings(&collector.wait_for(|taken| readings(taken).len() >= 3))[1];
    dagtel.metrics().pool_open_slots("ends").set(4);
    guard.shutdown().unwrap();
    let taken = collector.taken();
    assert!(of(&taken, "dropped").into_iter().all(|time| time < after));
    let again = taken.points(NAME).into_iter().filter(|point| point.time >= after);
    let again: Vec<_> =
        again.filter(|point| point.tags["pool_name"] == "ends").map(|point| point.value).collect();
    assert!(!again.is_empty() && again.iter().all(|value| *value == Value::Int(4)), "{again:?}");
}

#[test]
fn what_goes_over_the_budget_is_one_series_and_nothing_is_lost_from_the_sum() {
    let (collector, _spool, dagtel, guard) = engine(|builder| builder);
    for dag in 0..TAG_SETS + 50 {
        let dag = format!("dag-{dag}");
        dagtel.metrics().dag_callback_exceptions(&dag).add(2);
        dagtel.metrics().pool_open_slots(&dag).set(1);
        dagtel.metrics().dagrun_dependency_check(&dag, "manual").record(Duration::from_secs(1));
    }
    assert!(guard.shutdown().unwrap().is_complete());
    let taken = collector.taken();
    let points = taken.points("airflow.dag.callback_exceptions");
    assert_eq!(points.len(), TAG_SETS + 1);
    let (overflow, known): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|point| point.tags.contains_key("overflow"));
    assert!(known.iter().all(|point| point.value == Value::Int(2)));
    assert_eq!((overflow[0].value, overflow[0].tags.len()), (Value::Int(100), 1));
    assert_eq!(taken.points("airflow.pool.open_slots").len(), TAG_SETS + 1);
    let delays = taken.points("airflow.dagrun.dependency-check");
    assert_eq!(delays.len(), TAG_SETS + 1);
    let overflow = delays.iter().find(|point| point.tags.contains_key("overflow")).unwrap();
    assert_eq!(overflow.value, Value::Histogram(50, 50.0));
    for metric in ["dag.callback_exceptions", "pool.open_slots", "dagrun.dependency-check"] {
        assert_eq!(taken.value("dagtel.cardinality.folded", &[("metric", metric)]), Some(Value::Int(50)));
    }
}

#[test]
fn naming_counts_for_what_engines_report_and_for_what_the_fold_counts() {
    let mut naming = Naming::default();
    naming.filter = NameFilter::new("", "heartbeat, ti\\.start").unwrap();
    naming.disabled_tags = vec!["pool_name".into(), "execution_mode".into(), "file_name".into()];
    naming.milliseconds = true;
    let (collector, _spool, dagtel, guard) =
        engine(|builder| builder.metric_prefix("mine.").naming(naming).tag("env", "test"));
    support::a_run(&dagtel, "monday", 1);
    dagtel.metrics().scheduler_heartbeat().add(1);
    dagtel.metrics().pool_open_slots("a").set(1);
    dagtel.metrics().pool_open_slots("b").set(2);
    dagtel.metrics().dag_processing_last_duration("dags", "sales.py").record(Duration::from_secs(2));
    dagtel.metrics().dag_processing_total_parse_time().set(Duration::from_secs(3));
    guard.shutdown().unwrap();
    let taken = collector.taken();
    assert_eq!(taken.points("mine.scheduler_heartbeat"), []);
    assert_eq!(taken.points("mine.ti.start"), []);
    assert_eq!(taken.points("mine.ti.finish").len(), 1);
    let pools = taken.points("mine.pool.open_slots");
    assert_eq!((pools.len(), pools[0].value), (1, Value::Int(2)));
    assert_eq!(pools[0].tags, BTreeMap::from([("env".to_owned(), "test".to_owned())]));
    let parsed =
        taken.value("mine.dag_processing.last_duration", &[("bundle_name", "dags"), ("env", "test")]);
    assert_eq!(parsed, Some(Value::Histogram(1, 2000.0)));
    assert_eq!(metric(&taken, "mine.dag_processing.last_duration").unit, "ms");
    assert_eq!(metric(&taken, "mine.task.duration").unit, "ms");
    // A gauge in seconds is one in Airflow, too.
    assert_eq!(taken.value("mine.dag_processing.total_parse_time", &[]), Some(Value::Double(3.0)));
}

#[test]
fn parts_of_an_engine_tell_what_airflow_has_of_them() {
    use dagtel::metrics::{ExecutorTasks, PoolSlots};
    let (collector, _spool, dagtel, guard) = engine(|builder| builder);
    let metrics = dagtel.metrics();
    let (pool, executor, triggerer) =
        (metrics.pool("p"), metrics.executor("Local"), metrics.triggerer("host"));
    pool.set(PoolSlots { open: 1, queued: 2, running: 3, deferred: 4, scheduled: 5, starving: 6 });
    executor.set(ExecutorTasks { open: 7, queued: 8, running: 9 });
    triggerer.beat(10, 11);
    triggerer.beat(12, 13);
    drop(dagtel.scheduler_loop());
    let file = metrics.dag_file("/dags/a.py", "dags", "a.py");
    drop(file.parse());
    file.parse().timed_out();
    let open = file.parse();
    let gone = metrics.pool("gone");
    gone.set(PoolSlots::default());
    drop(gone);
    guard.shutdown().unwrap();
    drop(open);
    let taken = collector.taken();
    let value = |name: &str, tags: &[(&str, &str)]| taken.value(&format!("airflow.{name}"), tags);
    for (name, expected) in [
        ("pool.open_slots", 1),
        ("pool.queued_slots", 2),
        ("pool.running_slots", 3),
        ("pool.deferred_slots", 4),
        ("pool.scheduled_slots", 5),
        ("pool.starving_tasks", 6),
    ] {
        assert_eq!(value(name, &[("pool_name", "p")]), Some(Value::Int(expected)), "{name}");
        assert_eq!(value(name, &[("pool_name", "gone")]), None, "{name}");
    }
    for (name, status, expected) in
        [("open_slots", "open", 7), ("queued_tasks", "queued", 8), ("running_tasks", "running", 9)]
    {
        let tags = [("executor_class_name", "Local"), ("status", status)];
        assert_eq!(value(&format!("executor.{name}"), &tags), Some(Value::Int(expected)), "{name}");
    }
    assert_eq!(value("triggerer_heartbeat", &[]), Some(Value::Int(2)));
    assert_eq!(value("triggers.running", &[("hostname", "host")]), Some(Value::Int(12)));
    assert_eq!(value("triggerer.capacity_left", &[("hostname", "host")]), Some(Value::Int(13)));
    assert_eq!(value("scheduler_heartbeat", &[]), Some(Value::Int(1)));
    assert!(matches!(value("scheduler.scheduler_loop_duration", &[]), Some(Value::Histogram(1, _))));
    for (action, expected) in [("start", 3), ("stop", -1), ("timeout", -1)] {
        assert_eq!(value("dag_processing.processes", &[("action", action)]), Some(Value::Int(expected)));
    }
    assert_eq!(value("dag_processing.processor_timeouts", &[]), Some(Value::Int(1)));
    assert!(matches!(value("dag_processing.last_duration", &[]), Some(Value::Histogram(2, _))));
}

#[test]
fn without_telemetry_every_handle_does_nothing() {
    let (memory, _seen) = Dagtel::builder("test").in_memory();
    for dagtel in [Dagtel::off(), memory] {
        assert_eq!(tell_all(&dagtel).len(), Offered::ALL.len());
        drop(dagtel.scheduler_loop());
        dagtel.metrics().pool_open_slots("p").end();
    }
}
