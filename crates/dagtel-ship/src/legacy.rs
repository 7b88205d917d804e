//! Airflow's legacy names beside the names, for receivers of OTLP.
//!
//! What a request says of series that have a legacy name is said once more behind it, under that name: requests of OTLP
//! that are written one behind the other are read as one. Made here and not where metrics are counted, as lines of StatsD
//! are, so that the outbox holds each point once, and whoever reads it decides.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use dagtel_core::catalog::naming::{LegacySeries, NameFilter, Rules, has_legacy_names, legacy_of, wire_name};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
};
use prost::Message as _;

/// How legacy names are told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LegacyNames {
    /// What names begin with, the dot included. A metric without it has no legacy name.
    pub prefix: String,
    /// Which legacy names there are.
    pub filter: NameFilter,
}

impl LegacyNames {
    /// All of them, behind a prefix.
    pub fn new(prefix: impl Into<String>, filter: NameFilter) -> Self {
        Self { prefix: prefix.into(), filter }
    }
}

/// Tells them to one destination.
#[derive(Debug)]
pub(crate) struct Renamer {
    names: LegacyNames,
    series: LegacySeries,
}

impl Renamer {
    pub(crate) fn new(names: LegacyNames) -> Self {
        Self { names, series: LegacySeries::default() }
    }

    /// Series that have a legacy name and are not told under it: there are too many, or the name is not allowed or taken.
    pub(crate) fn untold(&self) -> usize {
        self.series.untold()
    }

    /// A request of metrics, and behind it what it says under legacy names. One that is no request stays as it is: its
    /// receiver will say so.
    pub(crate) fn told_twice(&mut self, body: Bytes) -> Bytes {
        let Ok(request) = ExportMetricsServiceRequest::decode(body.clone()) else { return body };
        let again = request.resource_metrics.into_iter().filter_map(|resource| self.resource(resource));
        let again = ExportMetricsServiceRequest { resource_metrics: again.collect() };
        let mut both = BytesMut::with_capacity(body.len() + again.encoded_len());
        both.extend_from_slice(&body);
        both.extend_from_slice(&again.encode_to_vec());
        both.freeze()
    }

    fn resource(&mut self, mut resource: ResourceMetrics) -> Option<ResourceMetrics> {
        for scope in &mut resource.scope_metrics {
            scope.metrics = self.scope(std::mem::take(scope));
        }
        resource.scope_metrics.retain(|scope| !scope.metrics.is_empty());
        (!resource.scope_metrics.is_empty()).then_some(resource)
    }

    fn scope(&mut self, scope: ScopeMetrics) -> Vec<Metric> {
        let mut renamed = Vec::new();
        for metric in scope.metrics {
            let Some(bare) = metric.name.strip_prefix(&*self.names.prefix) else { continue };
            if has_legacy_names(bare) {
                let bare = bare.to_owned();
                self.metric(&bare, metric, &mut renamed);
            }
        }
        renamed
    }

    /// A metric for each legacy name that points of this one have.
    fn metric(&mut self, bare: &str, metric: Metric, renamed: &mut Vec<Metric>) {
        let Metric { description, unit, data, metadata, .. } = metric;
        let named = match data {
            Some(Data::Gauge(Gauge { data_points })) => {
                let data = |data_points| Data::Gauge(Gauge { data_points });
                self.points(bare, data_points, |point| &mut point.attributes, data)
            }
            Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })) => {
                let data =
                    |data_points| Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic });
                self.points(bare, data_points, |point| &mut point.attributes, data)
            }
            Some(Data::Histogram(Histogram { data_points, aggregation_temporality })) => {
                let data = |data_points| Data::Histogram(Histogram { data_points, aggregation_temporality });
                self.points(bare, data_points, |point| &mut point.attributes, data)
            }
            // No metric of the registry is anything else.
            _ => return,
        };
        renamed.extend(named.into_iter().map(|(name, data)| Metric {
            name,
            description: description.clone(),
            unit: unit.clone(),
            metadata: metadata.clone(),
            data: Some(data),
        }));
    }

    fn points<P>(
        &mut self,
        bare: &str,
        points: Vec<P>,
        attributes: fn(&mut P) -> &mut Vec<KeyValue>,
        data: impl Fn(Vec<P>) -> Data,
    ) -> Vec<(String, Data)> {
        let mut named: BTreeMap<String, Vec<P>> = BTreeMap::new();
        for mut point in points {
            let of_point = attributes(&mut point);
            let tags: Vec<_> = of_point.iter().filter_map(text).collect();
            let Some(legacy) = legacy_of(bare, &tags) else { continue };
            if !self.names.filter.admits(&legacy.name) {
                continue;
            }
            let Ok(name) = wire_name(Rules::Otel, &self.names.prefix, &legacy.name) else {
                self.series.refuse(bare, &tags);
                continue;
            };
            if !self.series.admits(&name, &legacy.tags, bare, &tags) {
                continue;
            }
            let in_name = |attribute: &KeyValue| {
                text(attribute).is_some_and(|(tag, _)| legacy.tags.iter().all(|(left, _)| *left != tag))
            };
            let left: Vec<_> = of_point.iter().filter(|attribute| !in_name(attribute)).cloned().collect();
            *of_point = left;
            named.entry(name).or_default().push(point);
        }
        named.into_iter().map(|(name, points)| (name, data(points))).collect()
    }
}

/// The key and the value of an attribute that is a text.
fn text(attribute: &KeyValue) -> Option<(&str, &str)> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(value) => Some((&attribute.key, value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use dagtel_core::limits::LEGACY_SERIES;
    use opentelemetry_proto::tonic::common::v1::AnyValue;
    use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};

    use super::*;

    fn renamer(allow: &str) -> Renamer {
        let filter = NameFilter::new(allow, "").expect("it is a list");
        Renamer::new(LegacyNames::new("airflow.", filter))
    }

    fn attribute(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
        KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
    }

    fn starts(dag_id: &str, count: i64) -> NumberDataPoint {
        let attributes = [("dag_id", dag_id), ("task_id", "grp.load"), ("execution_mode", "local")];
        NumberDataPoint {
            attributes: attributes.map(|(key, value)| attribute(key, value)).into(),
            value: Some(number_data_point::Value::AsInt(count)),
            ..NumberDataPoint::default()
        }
    }

    fn request(name: &str, data_points: Vec<NumberDataPoint>) -> Bytes {
        let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
        let metric = Metric {
            name: name.to_owned(),
            unit: "1".to_owned(),
            data: Some(Data::Sum(sum)),
            ..Metric::default()
        };
        let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec().into()
    }

    /// Name, tags and count of what is told behind a request.
    fn behind(request: &Bytes, told: &Bytes) -> Vec<(String, Vec<String>, i64)> {
        assert!(told.starts_with(request), "what was told stays as it was");
        let again = ExportMetricsServiceRequest::decode(&told[request.len()..]).expect("it is a request");
        let scopes = again.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let mut all = Vec::new();
        for metric in scopes.flat_map(|scope| scope.metrics) {
            assert_eq!(metric.unit, "1");
            let Some(Data::Sum(sum)) = metric.data else { panic!("{:?}", metric.data) };
            assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
            for point in sum.data_points {
                let tags =
                    point.attributes.iter().filter_map(text).map(|(key, value)| format!("{key}={value}"));
                let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("{point:?}") };
                all.push((metric.name.clone(), tags.collect(), count));
            }
        }
        all
    }

    #[test]
    fn a_series_is_told_once_more_under_its_legacy_name() {
        let long = "x".repeat(300);
        let points = ["a", "größe", "b.c", "b__c", &long].into_iter().zip(1..).map(|(dag, n)| starts(dag, n));
        let mut overflow = starts("", 6);
        overflow.attributes = vec![attribute("overflow", "true")];
        let request = request("airflow.ti.start", points.chain([overflow]).collect());
        let mut renamer = renamer("");
        let told = renamer.told_twice(request.clone());
        let local = vec!["execution_mode=local".to_owned()];
        let cut = format!("airflow.ti.start.{}", "x".repeat(255 - "airflow.ti.start.".len()));
        let wanted = [("airflow.ti.start.a.grp__load", 1), ("airflow.ti.start.b__c.grp__load", 3), (&cut, 5)];
        let wanted: Vec<_> =
            wanted.into_iter().map(|(name, count)| (name.to_owned(), local.clone(), count)).collect();
        assert_eq!(behind(&request, &told), wanted);
        // The name with "ö" is not allowed, and that of "b__c" is taken.
        assert_eq!(renamer.untold(), 2);
        assert_eq!(behind(&request, &renamer.told_twice(request.clone())), wanted, "the same each time");
    }

    #[test]
    fn what_has_no_legacy_name_stays_as_it_is() {
        let mut renamer = renamer("finish");
        for name in ["airflow.ti_failures", "other.ti.start", "airflow.ti.start"] {
            let request = request(name, vec![starts("a", 1)]);
            assert_eq!(renamer.told_twice(request.clone()), request, "{name}");
        }
        let damaged = Bytes::from_static(b"\xff\xff");
        assert_eq!(renamer.told_twice(damaged.clone()), damaged);
        assert_eq!(renamer.untold(), 0);
    }

    #[test]
    fn no_more_series_than_may_be_are_told_under_legacy_names() {
        let dag = |n: usize| starts(&format!("dag{n}"), 1);
        let mut renamer = renamer("");
        let first = request("airflow.ti.start", (0..LEGACY_SERIES).map(dag).collect());
        assert_eq!(behind(&first, &renamer.told_twice(first.clone())).len(), LEGACY_SERIES);
        let more = request("airflow.ti.start", (LEGACY_SERIES - 1..LEGACY_SERIES + 5).map(dag).collect());
        assert_eq!(behind(&more, &renamer.told_twice(more.clone())).len(), 1);
        assert_eq!(renamer.untold(), 5);
    }
}
