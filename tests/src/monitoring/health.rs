//! The health of schedulers and agents.

use dagtel_core::catalog::agent;
use dagtel_core::catalog::registry::Offered;

use super::grafana::{Dashboard, Row};
use super::panel::{Panel, lines, stack, stat, table};
use super::promql::{RANGE, RATE, WINDOW, family, foreign, offered};
use super::{agents as agent_variable, common, window};

pub(super) fn dashboard() -> Dashboard {
    let mut variables = common();
    variables.extend([agent_variable(), window()]);
    Dashboard {
        uid: "dagtel-health",
        title: "dagtel: schedulers and agents",
        about: "Whether the engines' schedulers go round, and whether the agents beside them are well.",
        variables,
        traces: None,
        rows: vec![
            Row { title: "Now", panels: now() },
            Row { title: "Schedulers", panels: schedulers() },
            Row { title: "Pools, executors, triggers, DAG files", panels: parts_of_engines() },
            Row { title: "Agents", panels: agents() },
            Row { title: "Pages and processes of agents", panels: pages() },
            Row { title: "What Python processes and DAG processors report to agents", panels: reported() },
        ],
    }
}

fn now() -> Vec<Panel> {
    let beats = offered(Offered::scheduler_heartbeat).rate("");
    let open = format!("{} - {}", offered(Offered::job_start).sum(""), offered(Offered::job_end).sum(""));
    vec![
        stat("Passes of schedulers a second", "short", beats),
        stat("Jobs that run", "short", open)
            .about("Schedulers, triggerers and DAG processors: started and not ended."),
        stat("DAGs", "short", offered(Offered::dagbag_size).max("")),
        stat("Tasks without a slot", "short", offered(Offered::scheduler_tasks_starving).sum(""))
            .bad_from(1.0),
        stat("Agents", "short", family(&agent::PROCESS_START_TIME).count("")),
        stat("Components that are not well", "short", family(&agent::COMPONENT_HEALTH).unwell())
            .bad_from(1.0),
        stat("Heartbeats that failed", "short", family(&agent::HEARTBEAT_ERROR).growth("", RANGE))
            .bad_from(1.0),
        stat("Targets that do not answer", "short", foreign("up").unwell())
            .bad_from(1.0)
            .about("Agents and collectors that Prometheus asks in vain."),
    ]
}

fn schedulers() -> Vec<Panel> {
    let pass = offered(Offered::scheduler_scheduler_loop_duration);
    let critical = offered(Offered::scheduler_critical_section_duration);
    let executor = offered(Offered::scheduler_executor_heartbeat_duration);
    vec![
        lines("Passes of the scheduler's loop a second", "short")
            .and(offered(Offered::scheduler_heartbeat).rate("job, instance"), "{{job}} {{instance}}"),
        lines("Time of a pass", "s")
            .and(pass.steady_quantile(0.5, ""), "p50")
            .and(pass.steady_quantile(0.95, ""), "p95"),
        lines("Time within a pass, p95", "s")
            .and(critical.steady_quantile(0.95, ""), "critical section")
            .and(executor.steady_quantile(0.95, "executor"), "executor {{executor}}"),
        lines("Task instances that wait", "short")
            .and(offered(Offered::scheduler_tasks_starving).sum(""), "without a slot")
            .and(offered(Offered::scheduler_tasks_executable).sum(""), "may be queued"),
        lines("Runs in the state running", "short")
            .and(offered(Offered::scheduler_dagruns_running).sum("job"), "{{job}}"),
        lines("Left behind or ended from outside", "short")
            .and(offered(Offered::scheduler_orphaned_tasks_adopted).growth("", WINDOW), "adopted")
            .and(offered(Offered::scheduler_orphaned_tasks_cleared).growth("", WINDOW), "cleared")
            .and(
                offered(Offered::scheduler_tasks_killed_externally).growth("", WINDOW),
                "killed from outside",
            )
            .and(
                offered(Offered::task_instances_without_heartbeats_killed).growth("", WINDOW),
                "no sign of life",
            ),
    ]
}

fn parts_of_engines() -> Vec<Panel> {
    let of_pool = |metric: Offered, legend: &'static str| (offered(metric).sum("pool_name"), legend);
    let pools = [
        of_pool(Offered::pool_running_slots, "{{pool_name}} running"),
        of_pool(Offered::pool_queued_slots, "{{pool_name}} queued"),
        of_pool(Offered::pool_deferred_slots, "{{pool_name}} deferred"),
        of_pool(Offered::pool_open_slots, "{{pool_name}} open"),
    ];
    let of_executor =
        |metric: Offered, legend: &'static str| (offered(metric).sum("executor_class_name"), legend);
    let executors = [
        of_executor(Offered::executor_running_tasks, "{{executor_class_name}} running"),
        of_executor(Offered::executor_queued_tasks, "{{executor_class_name}} queued"),
        of_executor(Offered::executor_open_slots, "{{executor_class_name}} open"),
    ];
    let with = |panel: Panel, queries: &[(String, &'static str)]| {
        queries.iter().cloned().fold(panel, |panel, (expression, legend)| panel.and(expression, legend))
    };
    vec![
        with(stack("Slots of pools", "short"), &pools),
        lines("Tasks that found no slot", "short")
            .and(offered(Offered::pool_starving_tasks).sum("pool_name"), "{{pool_name}}"),
        with(stack("Slots of executors", "short"), &executors),
        lines("Triggers", "short")
            .and(offered(Offered::triggers_running).sum("hostname"), "{{hostname}} running")
            .and(offered(Offered::triggerer_capacity_left).sum("hostname"), "{{hostname}} room for more"),
        lines("Triggerers and DAG processors: signs of life a second", "short")
            .and(offered(Offered::triggerer_heartbeat).rate("job"), "triggerer {{job}}")
            .and(offered(Offered::dag_processor_heartbeat).rate("job"), "DAG processor {{job}}"),
        lines("DAG files", "short")
            .and(offered(Offered::dag_processing_import_errors).sum(""), "could not be parsed")
            .and(offered(Offered::dag_processing_file_path_queue_size).sum(""), "wait to be parsed")
            .and(offered(Offered::dag_processing_processor_timeouts).growth("", WINDOW), "took too long"),
        lines("Time to parse DAG files", "s")
            .and(offered(Offered::dag_processing_total_parse_time).max(""), "all")
            .and(offered(Offered::dag_processing_last_duration).mean("file_name", WINDOW), "{{file_name}}"),
    ]
}

fn agents() -> Vec<Panel> {
    let health = family(&agent::COMPONENT_HEALTH);
    let beats = family(&agent::HEARTBEAT_REQUESTS);
    vec![
        lines("Health of components: 1 well, 0 not", "short")
            .and(health.min("instance, component"), "{{instance}} {{component}}"),
        stack("Heartbeats a second", "short")
            .and(beats.rate("component, outcome"), "{{component}} {{outcome}}"),
        lines("Time of heartbeats, p95", "s")
            .and(family(&agent::HEARTBEAT_DURATION).steady_quantile(0.95, "component"), "{{component}}")
            .about("The shipper's are requests to the collectors; those of the others are what they do again and again."),
        stack("Tries that are not final, by queue and state", "short")
            .and(family(&agent::QUEUE_STATS).sum("queue, state"), "{{queue}} {{state}}"),
        lines("Heartbeats to collectors and from processes, a second", "short")
            .and(family(&agent::HEARTBEAT_SENT).rate(""), "answered by collectors")
            .and(family(&agent::HEARTBEAT_ERROR).rate(""), "not answered")
            .and(family(&agent::HEARTBEAT_RECEIVED).rate(""), "received from processes"),
        lines("Size of a heartbeat", "bytes").and(family(&agent::HEARTBEAT_PAYLOAD).steady_mean(""), "mean"),
        table("Agents")
            .column(health.min("instance"), "Well", "bool_yes_no")
            .column(family(&agent::PROCESS_START_TIME).age("instance"), "Up for", "s")
            .column(family(&agent::OPEN_RUNS).sum("instance"), "Runs in progress", "short")
            .column(family(&agent::SPOOL_BYTES).sum("instance"), "On disk", "bytes")
            .column(family(&agent::PROCESS_RESIDENT_MEMORY).sum("instance"), "Memory", "bytes"),
    ]
}

fn pages() -> Vec<Panel> {
    let requests = family(&agent::PROXY_REQUESTS);
    vec![
        stack("Requests to agents a second", "short")
            .and(requests.rate("handler, status"), "{{handler}} {{status}}"),
        lines("Time of requests", "s")
            .and(family(&agent::PROXY_DURATION_HIGHR).steady_quantile(0.99, ""), "all, p99")
            .and(family(&agent::PROXY_DURATION).steady_quantile(0.95, "handler"), "{{handler}}, p95"),
        lines("Size of requests and answers", "bytes")
            .and(family(&agent::PROXY_REQUEST_SIZE).steady_mean("handler"), "{{handler}} request")
            .and(family(&agent::PROXY_RESPONSE_SIZE).steady_mean("handler"), "{{handler}} answer"),
        stack("Requests that failed", "short").and(
            family(&agent::MATCHED_PROXY_ERRORS).growth("route, error_type", RATE),
            "{{route}} {{error_type}}",
        ),
        lines("CPUs in use", "short").and(family(&agent::PROCESS_CPU).rate("instance"), "{{instance}}"),
        lines("Memory", "bytes")
            .and(family(&agent::PROCESS_RESIDENT_MEMORY).sum("instance"), "{{instance}} resident")
            .and(family(&agent::PROCESS_VIRTUAL_MEMORY).sum("instance"), "{{instance}} virtual"),
        lines("Open file descriptors", "short")
            .and(family(&agent::PROCESS_OPEN_FDS).sum("instance"), "{{instance}} open")
            .and(family(&agent::PROCESS_MAX_FDS).sum("instance"), "{{instance}} allowed"),
    ]
}

fn reported() -> Vec<Panel> {
    vec![
        lines("Python's garbage collector, objects a second", "short")
            .and(
                family(&agent::PYTHON_GC_COLLECTED).rate("generation"),
                "collected, generation {{generation}}",
            )
            .and(
                family(&agent::PYTHON_GC_UNCOLLECTABLE).rate("generation"),
                "uncollectable, generation {{generation}}",
            ),
        lines("Python's garbage collector, collections a second", "short")
            .and(family(&agent::PYTHON_GC_COLLECTIONS).rate("generation"), "generation {{generation}}"),
        stack("Python processes by version", "short").and(
            family(&agent::PYTHON_INFO).sum("implementation, version"),
            "{{implementation}} {{version}}",
        ),
        lines("DAG processors: DAGs a second", "short")
            .and(family(&agent::DAG_PROCESSOR_SENT).rate(""), "in heartbeats")
            .and(family(&agent::DAG_PROCESSOR_HITS).rate(""), "unchanged")
            .and(family(&agent::DAG_PROCESSOR_MISSES).rate(""), "new or changed"),
        lines("DAG processors: waiting and cached", "short")
            .and(family(&agent::DAG_PROCESSOR_QUEUE).sum(""), "parsed DAGs that wait")
            .and(family(&agent::DAG_PROCESSOR_SIZE).sum(""), "entries of the cache"),
    ]
}
