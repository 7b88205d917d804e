//! The families of the agent's own `/metrics` page.
//!
//! Names, types and labels are those of the page that Astronomer's remote execution agents serve ("Scrape metrics from
//! Remote Execution Agents"), so that dashboards and alerts made for them work; those that begin with `dagtel_` are
//! dagtel's own. Counters carry `_total` in their names.

/// What a family is, in Prometheus's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only rises, and begins anew at zero.
    Counter,
    /// It rises and falls.
    Gauge,
    /// Observations in buckets.
    Histogram,
    /// Observations without quantiles: count and sum.
    Summary,
}

/// Who tells the values of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The agent, of itself.
    Agent,
    /// Processes that report through the inbox. The agent shows what the family is, with or without values.
    Inbox,
    /// Python processes that report through the inbox. Without one there is nothing to show.
    Python,
    /// The agent of itself, and processes through the inbox.
    Both,
}

/// What is to be known of a family.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Its labels. One that comes through the inbox has `component` and `process` besides.
    pub labels: &'static [&'static str],
    /// Who tells its values.
    pub source: Source,
    /// What it says.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal { $($label:literal),* } $source:ident $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Definition = Definition {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                source: Source::$source,
                help: $help,
            };
        )*

        /// Every family, in the order of the page.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

families! {
    COMPONENT_HEALTH = Gauge "component_health" { "component" } Both
        "Health of a component: 1 is healthy, 0 is not";
    HEARTBEAT_REQUESTS = Counter "heartbeat_requests_total" { "component", "outcome" } Both
        "Heartbeats, by component and outcome (success, timeout, error)";
    HEARTBEAT_DURATION = Histogram "heartbeat_duration_seconds" { "component" } Agent
        "Time that a heartbeat took, the answer included";
    HEARTBEAT_PAYLOAD = Histogram "heartbeat_payload_bytes" { "component" } Agent
        "Size of the body of a heartbeat before it is sent";
    HEARTBEAT_RECEIVED = Counter "heartbeat_requests_received_total" {} Agent
        "Heartbeats received from processes through the inbox";
    HEARTBEAT_SENT = Counter "heartbeat_requests_sent_total" {} Agent
        "Heartbeats that the destinations answered";
    HEARTBEAT_ERROR = Counter "heartbeat_requests_error_total" {} Agent
        "Heartbeats that could not be sent to a destination, or were not answered in time";
    MATCHED_PROXY_ERRORS = Counter "matched_proxy_errors_total" { "route", "error_type" } Agent
        "HTTP requests to a route that there is which failed";
    QUEUE_STATS = Gauge "astro_agent_client_queue_stats" { "queue", "state" } Agent
        "Tries that are not final, by queue and state";
    PROXY_REQUESTS = Counter "astro_agent_proxy_http_requests_total" { "method", "status", "handler" } Agent
        "HTTP requests to the agent";
    PROXY_DURATION = Histogram "astro_agent_proxy_http_request_duration_seconds" { "handler", "method" } Agent
        "Time from the head of an HTTP request to its answer, by handler";
    PROXY_DURATION_HIGHR = Histogram "astro_agent_proxy_http_request_duration_highr_seconds" {} Agent
        "Time from the head of an HTTP request to its answer, in many buckets";
    PROXY_REQUEST_SIZE = Summary "astro_agent_proxy_http_request_size_bytes" { "handler" } Agent
        "Content length of HTTP requests to the agent";
    PROXY_RESPONSE_SIZE = Summary "astro_agent_proxy_http_response_size_bytes" { "handler" } Agent
        "Content length of the agent's HTTP answers";
    PYTHON_INFO = Gauge "python_info"
        { "implementation", "major", "minor", "patchlevel", "version" } Python
        "The Python interpreter of a process";
    PYTHON_GC_COLLECTED = Counter "python_gc_objects_collected_total" { "generation" } Python
        "Objects collected by Python's garbage collector";
    PYTHON_GC_UNCOLLECTABLE = Counter "python_gc_objects_uncollectable_total" { "generation" } Python
        "Uncollectable objects that Python's garbage collector found";
    PYTHON_GC_COLLECTIONS = Counter "python_gc_collections_total" { "generation" } Python
        "Collections of a generation by Python's garbage collector";
    PROCESS_CPU = Counter "process_cpu_seconds_total" {} Agent
        "User and system time of the agent in seconds";
    PROCESS_VIRTUAL_MEMORY = Gauge "process_virtual_memory_bytes" {} Agent
        "Virtual memory of the agent in bytes";
    PROCESS_RESIDENT_MEMORY = Gauge "process_resident_memory_bytes" {} Agent
        "Resident memory of the agent in bytes";
    PROCESS_START_TIME = Gauge "process_start_time_seconds" {} Agent
        "When the agent started, in seconds since the Unix epoch";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" {} Agent
        "Open file descriptors of the agent";
    PROCESS_MAX_FDS = Gauge "process_max_fds" {} Agent
        "The most file descriptors that the agent may have open";
    DAG_PROCESSOR_SENT = Counter "dag_processor_heartbeat_dags_sent_total" {} Inbox
        "DAGs included in heartbeats of a DAG processor";
    DAG_PROCESSOR_QUEUE = Gauge "dag_processor_results_queue_depth" {} Inbox
        "Parsed DAGs that wait in a DAG processor's queue";
    DAG_PROCESSOR_HITS = Counter "dag_processor_cache_hits_total" {} Inbox
        "DAGs skipped because their hash was in the DAG processor's cache";
    DAG_PROCESSOR_MISSES = Counter "dag_processor_cache_misses_total" {} Inbox
        "DAGs processed because they were new or changed";
    DAG_PROCESSOR_SIZE = Gauge "dag_processor_cache_size" {} Inbox
        "Entries of a DAG processor's cache of hashes";
    EVENTS = Counter "dagtel_events_total" {} Agent
        "Events read from journals and inboxes";
    RECEIVED = Counter "dagtel_received_records_total" { "outcome" } Agent
        "Log records received from agents that forward, by outcome (taken, refused, later)";
    DROPPED = Counter "dagtel_dropped_total" { "signal", "reason", "destination" } Agent
        "Events, spans, points, records or frames given up, by reason";
    DELIVERED = Counter "dagtel_delivered_total" { "signal", "destination" } Agent
        "Spans, points and records that a destination took";
    ANOMALIES = Counter "dagtel_anomalies_total" { "reason" } Agent
        "Odd input, by kind";
    FOLDED = Counter "dagtel_folded_total" { "metric" } Agent
        "Observations that went to the overflow series of a metric";
    OPEN_RUNS = Gauge "dagtel_open_runs" {} Agent
        "DAG runs that are not final";
    SPOOL_BYTES = Gauge "dagtel_spool_bytes" { "spool", "part" } Agent
        "Bytes on disk in a part of the spool directory: journal, outbox, dead";
    SERIES_OMITTED = Gauge "dagtel_page_series_omitted" {} Agent
        "Series that did not fit on this page";
}

/// The family of this name, if processes may report it through the inbox.
pub fn reportable(name: &str) -> Option<&'static Definition> {
    let by_process =
        |family: &&Definition| family.source != Source::Agent && family.name != COMPONENT_HEALTH.name;
    ALL.iter().filter(by_process).find(|family| family.name == name)
}
