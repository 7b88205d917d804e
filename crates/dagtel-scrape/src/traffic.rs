//! What the server counts of its own HTTP traffic.
//!
//! Names, labels and buckets are those of prometheus-fastapi-instrumentator, which the families
//! `astro_agent_proxy_http_*` come from: statuses are grouped (`2xx`), and a request that no route takes has the handler
//! `none`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dagtel_core::catalog::agent;
use http::{Method, StatusCode};

use crate::{Buckets, Family, Labels, Value};

const BOUNDS: &[f64] = &[0.1, 0.5, 1.0];
const HIGHR_BOUNDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5, 10.0,
    30.0, 60.0,
];

/// Counts requests. All keys are from small fixed sets, so it stays small.
#[derive(Debug)]
pub struct Traffic(Mutex<Counted>);

#[derive(Debug)]
struct Counted {
    requests: BTreeMap<(&'static str, &'static str, &'static str), u64>,
    durations: BTreeMap<(&'static str, &'static str), Buckets>,
    highr: Buckets,
    request_sizes: BTreeMap<&'static str, (u64, f64)>,
    response_sizes: BTreeMap<&'static str, (u64, f64)>,
    errors: BTreeMap<(&'static str, &'static str), u64>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self(Mutex::new(Counted {
            requests: BTreeMap::new(),
            durations: BTreeMap::new(),
            highr: Buckets::new(HIGHR_BOUNDS),
            request_sizes: BTreeMap::new(),
            response_sizes: BTreeMap::new(),
            errors: BTreeMap::new(),
        }))
    }
}

/// A request that was answered.
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a Method,
    pub(crate) handler: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: usize,
}

impl Traffic {
    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        let (method, handler) = (method(answered.method), answered.handler);
        let seconds = answered.took.as_secs_f64();
        let mut counted = self.lock();
        *counted.requests.entry((method, group(answered.status), handler)).or_default() += 1;
        counted.durations.entry((handler, method)).or_insert_with(|| Buckets::new(BOUNDS)).observe(seconds);
        counted.highr.observe(seconds);
        add(&mut counted.request_sizes, handler, answered.request_bytes as f64);
        add(&mut counted.response_sizes, handler, answered.response_bytes as f64);
    }

    /// Counts a request to a route that there is which failed.
    pub(crate) fn failed(&self, route: &'static str, error_type: &'static str) {
        *self.lock().errors.entry((route, error_type)).or_default() += 1;
    }

    /// What was counted, as families.
    pub fn families(&self) -> Vec<Family<'static>> {
        let counted = self.lock();
        let mut errors = Family::of(&agent::MATCHED_PROXY_ERRORS);
        for ((route, error_type), count) in &counted.errors {
            errors.push(labels([("route", route), ("error_type", error_type)]), Value::Number(*count as f64));
        }
        let mut requests = Family::of(&agent::PROXY_REQUESTS);
        for ((method, status, handler), count) in &counted.requests {
            let labels = labels([("method", method), ("status", status), ("handler", handler)]);
            requests.push(labels, Value::Number(*count as f64));
        }
        let mut durations = Family::of(&agent::PROXY_DURATION);
        for ((handler, method), buckets) in &counted.durations {
            durations.samples.push(buckets.sample(labels([("handler", handler), ("method", method)])));
        }
        let mut highr = Family::of(&agent::PROXY_DURATION_HIGHR);
        highr.samples.push(counted.highr.sample(Vec::new()));
        let sizes = [
            (&agent::PROXY_REQUEST_SIZE, &counted.request_sizes),
            (&agent::PROXY_RESPONSE_SIZE, &counted.response_sizes),
        ];
        let sizes = sizes.map(|(definition, sizes)| {
            let mut family = Family::of(definition);
            for (handler, (count, sum)) in sizes {
                family.push(labels([("handler", handler)]), Value::Summary { count: *count, sum: *sum });
            }
            family
        });
        [errors, requests, durations, highr].into_iter().chain(sizes).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(sizes: &mut BTreeMap<&'static str, (u64, f64)>, handler: &'static str, bytes: f64) {
    let (count, sum) = sizes.entry(handler).or_default();
    *count += 1;
    *sum += bytes;
}

fn labels<const N: usize>(labels: [(&'static str, &'static str); N]) -> Labels<'static> {
    labels.map(|(name, value)| (name.into(), value.into())).into()
}

/// A stranger may write any method; only those that HTTP has are told apart.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

fn group(status: StatusCode) -> &'static str {
    match status.as_u16() {
        0..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
