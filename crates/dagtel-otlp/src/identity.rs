//! Who emits: what the resource of every signal says.

use dagtel_core::catalog::metric::DEFAULT_PREFIX;
use dagtel_core::catalog::naming::Naming;
use dagtel_core::signal::Origin;
use dagtel_core::value::{Attribute, SmolStr};

use crate::RecordLimits;

/// What the resources say, and the tags that everything carries.
///
/// Resources are written with their attributes sorted by key: two encodings of one resource must be equal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The deployment: `service.name` of metrics and logs, and of spans when [`Self::dag_as_service`] is off.
    pub service_name: SmolStr,
    /// `service.instance.id` of metrics and logs: who counts. Two that count at one time must differ in it.
    pub instance_id: SmolStr,
    /// Whether the resource of spans of a DAG has its id as `service.name`, so that Jaeger lists DAGs as services.
    pub dag_as_service: bool,
    /// Further resource attributes, such as those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub resource: Vec<Attribute>,
    /// Tags that every metric point, every span and every log record carries.
    pub tags: Vec<Attribute>,
    /// How much of a span or a log record is told.
    pub limits: RecordLimits,
    /// What metric names begin with.
    pub prefix: SmolStr,
    /// Which metrics and tags there are, and the unit of durations.
    pub naming: Naming,
}

impl Identity {
    /// A deployment, and who counts in it.
    pub fn new(service_name: impl Into<SmolStr>, instance_id: impl Into<SmolStr>) -> Self {
        Self {
            service_name: service_name.into(),
            instance_id: instance_id.into(),
            dag_as_service: true,
            resource: Vec::new(),
            tags: Vec::new(),
            limits: RecordLimits::default(),
            prefix: SmolStr::new_static(DEFAULT_PREFIX),
            naming: Naming::default(),
        }
    }

    /// Spans of a DAG may come from many processes; those of none are of the one that tells them.
    pub(crate) fn span_resource(&self, namespace: &SmolStr, dag_id: Option<&SmolStr>) -> Vec<Attribute> {
        let name = dag_id.filter(|_| self.dag_as_service).unwrap_or(&self.service_name);
        let of = [("service.name", name), ("service.namespace", namespace)];
        match dag_id {
            Some(_) => self.resource_with(&of),
            None => self.resource_with(&[of[0], of[1], ("service.instance.id", &self.instance_id)]),
        }
    }

    /// The resource of records of a run or a try: that of its spans, and the process that logged it.
    pub(crate) fn log_resource(&self, origin: &Origin) -> Vec<Attribute> {
        let mut resource = self.span_resource(&origin.namespace, Some(&origin.dag_id));
        for attribute in &origin.process {
            resource.retain(|(key, _)| *key != attribute.0);
            resource.push(attribute.clone());
        }
        resource.sort_by(|a, b| a.0.cmp(&b.0));
        resource
    }

    pub(crate) fn process_resource(&self) -> Vec<Attribute> {
        self.resource_with(&[
            ("service.name", &self.service_name),
            ("service.instance.id", &self.instance_id),
        ])
    }

    /// Its own attributes before the configured ones of the same key, sorted.
    fn resource_with(&self, own: &[(&'static str, &SmolStr)]) -> Vec<Attribute> {
        let mut attributes: Vec<Attribute> = vec![
            text("telemetry.sdk.language", "rust"),
            text("telemetry.sdk.name", "dagtel"),
            text("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        // Without a name the specification asks for `unknown_service` (resource semantic conventions).
        attributes.extend(own.iter().map(|(key, value)| match (*key, value.as_str()) {
            ("service.name", "") => text(key, "unknown_service"),
            _ => (SmolStr::new_static(key), (*value).clone().into()),
        }));
        let known = attributes.len();
        for attribute in &self.resource {
            if !attributes[..known].iter().any(|(key, _)| *key == attribute.0) {
                attributes.push(attribute.clone());
            }
        }
        // By key alone, and stable: of two with one key the first counts.
        attributes.sort_by(|a, b| a.0.cmp(&b.0));
        attributes.dedup_by(|a, b| a.0 == b.0);
        attributes
    }
}

fn text(key: &'static str, value: &'static str) -> Attribute {
    (SmolStr::new_static(key), value.into())
}
