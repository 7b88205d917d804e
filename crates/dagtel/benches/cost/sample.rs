//! What both sides are asked to record: the same names, the same twelve attributes, made by the same steps.
//!
//! Five values are static texts, four are texts made for each task as an engine makes them, three are numbers. One key
//! and two texts are longer than the 23 bytes that dagtel keeps in place, for such there are.

use std::sync::LazyLock;

use dagtel::TaskInstance;
use dagtel::core::value::{Attribute, SmolStr, Value};
use opentelemetry::KeyValue;

/// Tasks of one batch, and different task ids.
pub(crate) const TASKS: usize = 512;
/// The DAG of everything.
pub(crate) const DAG: &str = "customer_orders_daily";

const STATIC: [(&str, &str); 5] = [
    ("operator", "PythonOperator"),
    ("execution_mode", "celery"),
    ("pool", "default_pool"),
    ("queue", "warehouse"),
    ("team", "finance"),
];
const OWNED: [(&str, &str); 4] = [
    ("host.name", "worker-7f4d9c-x2x8p"),
    ("dataset", "warehouse.public.stg_orders"),
    ("messaging.destination.name", "orders"),
    ("log_url", "https://logs.example.com/dags/customer_orders_daily/tasks/17/1"),
];
const NUMBERS: [&str; 3] = ["priority_weight", "queue_depth", "rows_expected"];

/// The texts above that are literals.
pub(crate) fn literals() -> impl Iterator<Item = &'static str> {
    let pairs = STATIC.into_iter().flat_map(|(key, value)| [key, value]);
    pairs.chain(OWNED.into_iter().map(|(key, _)| key)).chain(NUMBERS)
}

static NAMES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..TASKS).map(|n| format!("transform.stg_{n:03}")).collect());

/// The id of the `n`th task, made anew.
pub(crate) fn task_id(n: usize) -> String {
    NAMES[n % TASKS].clone()
}

/// The `n`th task as an engine describes it to dagtel.
pub(crate) fn task(n: usize) -> TaskInstance {
    let index = i32::try_from(n).unwrap_or(i32::MAX);
    TaskInstance::new(task_id(n)).map_index(index).attributes(pairs(n))
}

/// The attributes as dagtel takes them.
pub(crate) fn attributes(n: usize) -> Vec<Attribute> {
    pairs(n).map(|(key, value)| (SmolStr::new_static(key), value)).collect()
}

fn pairs(n: usize) -> impl Iterator<Item = (&'static str, Value)> {
    let fixed = STATIC.into_iter().map(|(key, value)| (key, Value::from(value)));
    let made = OWNED.into_iter().map(|(key, value)| (key, Value::from(value.to_owned())));
    let numbers = NUMBERS.into_iter().zip(1i64..).map(move |(key, step)| (key, Value::from(n as i64 * step)));
    fixed.chain(made).chain(numbers)
}

/// The same attributes as OpenTelemetry's SDK takes them.
pub(crate) fn key_values(n: usize) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(12);
    attributes.extend(STATIC.map(|(key, value)| KeyValue::new(key, value)));
    attributes.extend(OWNED.map(|(key, value)| KeyValue::new(key, value.to_owned())));
    attributes.extend(NUMBERS.into_iter().zip(1i64..).map(|(key, step)| KeyValue::new(key, n as i64 * step)));
    attributes
}
