//! A counter of StatsD that is told now and then is added up on the collector's Prometheus page.

use std::net::UdpSocket;
use std::time::Duration;

use dagtel_system_tests::exposition::Exposition;
use dagtel_system_tests::ports::free;
use dagtel_system_tests::{Setup, Stack, wait};

const SOON: Duration = Duration::from_secs(30);
const RARE: &str = "airflow_scheduler_tasks_killed_externally_total";
const OFTEN: &str = "airflow_scheduler_heartbeat_total";

#[test]
fn a_counter_of_statsd_adds_up_over_intervals_in_which_it_is_silent() {
    let port = free();
    let environment =
        [("DAGTEL_STATSD_PORT", port.to_string()), ("DAGTEL_STATSD_INTERVAL", "200ms".to_owned())];
    let setup = Setup { configurations: &["single.yaml", "airflow.yaml"], environment: environment.into() };
    let Some(stack) = Stack::start_as("statsd_counters", &setup) else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let count = |line: &str| socket.send_to(line.as_bytes(), ("127.0.0.1", port)).unwrap();
    let shown = |name: &str, value: f64| {
        wait::until(&format!("{name} to be {value}"), SOON, || {
            let page = Exposition::parse(&stack.metrics_page()?, false)?;
            let now = page.value(name, &[]);
            if now == Some(value) { Ok(()) } else { Err(format!("it is {now:?}")) }
        });
    };
    for rare in 1..=3 {
        count("airflow.scheduler.tasks.killed_externally:1|c");
        shown(RARE, f64::from(rare));
        // Two more intervals go by, with nothing of the rare one.
        for often in 1..=2 {
            count("airflow.scheduler.heartbeat:1|c");
            shown(OFTEN, f64::from(2 * (rare - 1) + often));
        }
    }
    println!("{RARE}: 3 in 3 of 9 intervals at least");
}
