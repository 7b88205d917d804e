//! The telemetry pipeline itself: engines, agents, collectors, Prometheus.

use dagtel_core::catalog::agent;
use dagtel_core::catalog::registry::own;

use super::grafana::{Dashboard, Row};
use super::panel::{Panel, lines, stack, stat};
use super::promql::{RANGE, WINDOW, family, foreign, own};
use super::{agents as agent_variable, common, window};

pub(super) fn dashboard() -> Dashboard {
    let mut variables = common();
    variables.extend([agent_variable(), window()]);
    Dashboard {
        uid: "dagtel-telemetry",
        title: "dagtel: telemetry pipeline",
        about: "From events on disk to what Prometheus and Jaeger have: what went through, what waits, what was given up.",
        variables,
        traces: None,
        rows: vec![
            Row { title: "Now and in the time shown", panels: now() },
            Row { title: "Agents", panels: agents() },
            Row { title: "Engines that drain for themselves", panels: engines() },
            Row { title: "Collectors", panels: collectors() },
            Row { title: "Prometheus", panels: prometheus() },
        ],
    }
}

fn now() -> Vec<Panel> {
    let queue = format!(
        "max({} / {})",
        foreign("otelcol_exporter_queue_size").name(),
        foreign("otelcol_exporter_queue_capacity").name()
    );
    vec![
        stat("Events read", "short", family(&agent::EVENTS).growth("", RANGE)),
        stat("Delivered by agents", "short", family(&agent::DELIVERED).growth("", RANGE))
            .about("Spans, points and records."),
        stat("Dropped by agents", "short", family(&agent::DROPPED).growth("", RANGE)).bad_from(1.0),
        stat("Cardinality: observations folded", "short", family(&agent::FOLDED).growth("", RANGE)).bad_from(1.0)
            .about("Observations that went to a series with overflow=\"true\", because a metric has no room for more tag sets."),
        stat("On disk", "bytes", family(&agent::SPOOL_BYTES).sum("")),
        stat("Refused by collectors", "short", foreign("otelcol_receiver_refused_spans_total").growth("", RANGE))
            .bad_from(1.0)
            .about("Spans."),
        stat("Fullest queue of a collector", "percentunit", queue).bad_from(0.8),
        stat("Series left out of agents' pages", "short", family(&agent::SERIES_OMITTED).sum("")).bad_from(1.0),
    ]
}

fn agents() -> Vec<Panel> {
    vec![
        lines("Events read a second", "short").and(family(&agent::EVENTS).rate("instance"), "{{instance}}"),
        stack("Delivered a second", "short")
            .and(family(&agent::DELIVERED).rate("signal, destination"), "{{signal}} to {{destination}}"),
        stack("Dropped", "short")
            .and(family(&agent::DROPPED).growth("signal, reason", WINDOW), "{{signal}}: {{reason}}")
            .about("0 for as long as nothing was. What each reason means is in docs/telemetry.md."),
        stack("Odd events", "short").and(family(&agent::ANOMALIES).growth("reason", WINDOW), "{{reason}}"),
        stack("Observations folded, by metric", "short")
            .and(family(&agent::FOLDED).growth("metric", WINDOW), "{{metric}}"),
        stack("On disk", "bytes").and(family(&agent::SPOOL_BYTES).sum("spool, part"), "{{spool}} {{part}}"),
        lines("Runs that are not final", "short")
            .and(family(&agent::OPEN_RUNS).sum("instance"), "{{instance}}"),
    ]
}

fn engines() -> Vec<Panel> {
    let (produced, delivered) = (own(&own::PRODUCED), own(&own::DELIVERED));
    vec![
        stack("Produced", "short").and(produced.growth("signal", WINDOW), "{{signal}}"),
        stack("Delivered", "short").and(delivered.growth("signal", WINDOW), "{{signal}}"),
        stack("Dropped", "short")
            .and(own(&own::DROPPED).growth("signal, reason", WINDOW), "{{signal}}: {{reason}}"),
        stack("Odd events", "short").and(own(&own::ANOMALIES).growth("reason", WINDOW), "{{reason}}"),
        stack("Handles folded, by metric", "short")
            .and(own(&own::CARDINALITY_FOLDED).growth("metric", WINDOW), "{{metric}}"),
    ]
}

fn collectors() -> Vec<Panel> {
    vec![
        lines("Accepted a second", "short")
            .and(foreign("otelcol_receiver_accepted_spans_total").rate("instance"), "{{instance}} spans")
            .and(
                foreign("otelcol_receiver_accepted_metric_points_total").rate("instance"),
                "{{instance}} points",
            ),
        lines("Refused", "short")
            .and(
                foreign("otelcol_receiver_refused_spans_total").growth("instance", WINDOW),
                "{{instance}} spans",
            )
            .and(
                foreign("otelcol_receiver_refused_metric_points_total").growth("instance", WINDOW),
                "{{instance}} points",
            )
            .about("The sender tries again: refused is not lost."),
        lines("Sent a second", "short")
            .and(foreign("otelcol_exporter_sent_spans_total").rate("exporter"), "{{exporter}} spans")
            .and(
                foreign("otelcol_exporter_sent_metric_points_total").rate("exporter"),
                "{{exporter}} points",
            ),
        lines("Could not be sent", "short")
            .and(
                foreign("otelcol_exporter_send_failed_spans_total").growth("exporter", WINDOW),
                "{{exporter}} spans",
            )
            .and(
                foreign("otelcol_exporter_send_failed_metric_points_total").growth("exporter", WINDOW),
                "{{exporter}} points",
            ),
        lines("Queues", "short")
            .and(
                foreign("otelcol_exporter_queue_size").sum("instance, exporter"),
                "{{instance}} {{exporter}}",
            )
            .and(
                foreign("otelcol_exporter_queue_capacity").sum("instance, exporter"),
                "{{instance}} {{exporter}}, the most",
            ),
        lines("Memory", "bytes")
            .and(foreign("otelcol_process_memory_rss_bytes").sum("instance"), "{{instance}}"),
        lines("CPUs in use", "short")
            .and(foreign("otelcol_process_cpu_seconds_total").rate("instance"), "{{instance}}"),
        lines("Up for", "s")
            .and(foreign("otelcol_process_uptime_seconds_total").max("instance"), "{{instance}}"),
    ]
}

fn prometheus() -> Vec<Panel> {
    vec![
        lines("Targets: 1 answers, 0 does not", "short")
            .and(foreign("up").min("job, instance"), "{{job}} {{instance}}"),
        lines("Time of a scrape", "s")
            .and(foreign("scrape_duration_seconds").max("job, instance"), "{{job}} {{instance}}"),
        lines("Values of a scrape", "short")
            .and(foreign("scrape_samples_scraped").max("job, instance"), "{{job}} {{instance}}"),
    ]
}
