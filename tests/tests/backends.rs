//! One recorded run and an engine's own metrics, by OTLP and by StatsD to the real collector: the same in both, also
//! when the collector was away in between.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use dagtel::Dagtel;
use dagtel::config::{Config, Environment};
use dagtel::core::event::Event;
use dagtel::core::event::line::EventLine;
use dagtel_system_tests::command::{dagtel, fixture};
use dagtel_system_tests::recorded::Recorded;
use dagtel_system_tests::two_ways::{Series, Tags, Total, TwoWays};
use dagtel_system_tests::wait::until;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);
const DAG: &str = "shop_dbt";

fn recorded() -> Recorded {
    let file = fixture(&format!("{DAG}.jsonl"));
    Recorded::read(&std::fs::read_to_string(file).expect("the fixture is there"))
}

/// The recording as event lines.
fn lines(recorded: &Recorded) -> String {
    let mut lines = String::new();
    let mut line = |event: &str, at: u64, task: Option<&(String, i64, i64)>, state: Option<&str>| {
        let mut line = json!({ "event": event, "at": at as f64 / 1e6, "dag_id": DAG, "run_id": "1" });
        if let Some((task_id, map_index, try_number)) = task {
            line["task_id"] = json!(task_id);
            line["map_index"] = json!(map_index);
            line["try_number"] = json!(try_number);
            line["attributes"] = json!({ "operator": "Dbt", "execution_mode": "local" });
        }
        if let Some(state) = state {
            line["state"] = json!(state);
        }
        writeln!(lines, "{line}").expect("a text takes it");
    };
    let start = recorded.tries.values().map(|task| task.start_us).min().expect("there are tries");
    let end = recorded.tries.values().map(|task| task.end_us).max().expect("there are tries");
    line("dag_run.started", start, None, None);
    for (id, task) in &recorded.tries {
        if task.own {
            line("task.started", task.start_us, Some(id), None);
        }
        line("task.finished", task.end_us, Some(id), Some(&task.state));
    }
    line("dag_run.finished", end, None, Some("failed"));
    lines
}

fn config(file: &Path, text: &str) -> Config {
    std::fs::write(file, text).expect("the file can be written");
    Config::load(Some(file), &Environment::default()).expect("it is a configuration")
}

/// Ends the process when the test is over.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Prints both, and tells where they differ. A sum of doubles is equal to a millionth of a millisecond.
fn compare(title: &str, otlp: &Series, statsd: &Series) -> Result<usize, String> {
    let equal = |one: &Total, other: &Total| match (one, other) {
        (Total::Observed(count, sum), Total::Observed(other, and)) => {
            count == other && (sum - and).abs() < 1e-6
        }
        _ => one == other,
    };
    let shown = |total: Option<&Total>| match total {
        Some(Total::Count(count)) => count.to_string(),
        Some(Total::Last(value)) => value.to_string(),
        Some(Total::Observed(count, sum)) => format!("{count} x, {sum:.6} ms"),
        None => "-".to_owned(),
    };
    let mut table = format!("{title}\n{:>30} {:>30}  series\n", "OTLP", "StatsD");
    let mut differ = Vec::new();
    let keys: std::collections::BTreeSet<_> = otlp.keys().chain(statsd.keys()).collect();
    for key in &keys {
        let (one, other) = (otlp.get(*key), statsd.get(*key));
        let tags: Vec<_> = key.1.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
        let row = format!("{:>30} {:>30}  {} {}", shown(one), shown(other), key.0, tags.join(" "));
        if !one.zip(other).is_some_and(|(one, other)| equal(one, other)) {
            differ.push(row.clone());
        }
        let _ = writeln!(table, "{row}");
    }
    if differ.is_empty() && !keys.is_empty() {
        println!("{table}");
        Ok(keys.len())
    } else {
        Err(format!("{title}: {} of {} differ:\n{}", differ.len(), keys.len(), differ.join("\n")))
    }
}

#[test]
fn an_engine_tells_dogstatsd_what_it_tells_otlp_and_a_collector_that_was_away_misses_nothing() {
    let Some(mut both) = TwoWays::start("backends_engine") else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        &dir.path().join("dagtel.toml"),
        &both.configuration("statsd_datadog_enabled = true\nlegacy_names_on = true\n"),
    );
    let builder =
        Dagtel::builder("engine").config(config).tag("region", "eu").spool(dir.path().join("spool"));
    let (engine, guard) = builder.install().unwrap();
    for line in lines(&recorded()).lines() {
        let line: EventLine = serde_json::from_str(line).unwrap();
        engine.record(Event::try_from(line).unwrap());
    }
    let metrics = engine.metrics();
    let tell = |round: u32| {
        metrics.job_start().add(round.into());
        metrics.pool_open_slots("default pool").set(7 - 10 * i64::from(round));
        let processes = metrics.dag_processing_processes("dags/a.py", "start");
        processes.add(2);
        processes.add(if round == 2 { -3 } else { 0 });
        // Few are told one by one, many with a rate.
        for part in 1..=20 * round {
            let took = Duration::from_micros(u64::from(part) * 17_713);
            metrics.dag_processing_last_duration("dags", "a.py").record(took);
        }
        metrics.dag_processing_last_duration("dags", "b.py").record(Duration::from_nanos(1_234_567_891));
    };
    tell(1);
    assert!(engine.flush(SOON));
    let agree = |both: &TwoWays, title: &str| {
        until("both to be equal", SOON, || {
            let (otlp, statsd) = (both.by_otlp("engine"), both.by_statsd("airflow."));
            // What came by way of UDP is there when all that was sent by OTLP is.
            if otlp.len() < 40 {
                return Err(format!("{} series", otlp.len()));
            }
            // Airflow's legacy names are beside the names in both.
            let named =
                ["airflow.pool.open_slots.default_pool", "airflow.dag_processing.last_duration.dags.a__py"];
            for name in named {
                if !otlp.keys().any(|(told, tags)| told == name && tags.len() == 1) {
                    return Err(format!("no {name} in {:?}", otlp.keys()));
                }
            }
            compare(title, &otlp, &statsd)
        })
    };
    agree(&both, "after the first round");
    both.kill();
    tell(2);
    std::thread::sleep(Duration::from_millis(600)); // three exports that nobody takes
    both.start_again();
    assert!(engine.flush(SOON));
    let wanted = Total::Count(3);
    until("the second round", SOON, || {
        let key = ("airflow.job_start".to_owned(), Tags::from([("region".to_owned(), "eu".to_owned())]));
        let there = both.by_otlp("engine").get(&key).copied();
        if there == Some(wanted) { Ok(()) } else { Err(format!("{there:?}")) }
    });
    let count = agree(&both, "after a collector that was away");
    println!("DogStatsD: {count} series equal");
    guard.shutdown();
}

#[test]
fn an_agent_tells_statsd_under_legacy_names_what_it_tells_otlp() {
    let Some(both) = TwoWays::start("backends_agent") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (file, spool) = (dir.path().join("dagtel.toml"), dir.path().join("spool"));
    std::fs::write(&file, both.configuration("otel_service = \"agent\"\nstatsd_prefix = \"plain\"\n"))
        .unwrap();
    std::fs::create_dir_all(spool.join("inbox")).unwrap();
    std::fs::write(spool.join("inbox/recorded.jsonl"), lines(&recorded())).unwrap();
    let mut command = dagtel();
    command.args(["agent", "--config"]).arg(&file).arg("--spool").arg(&spool);
    let agent = Ended(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    // What StatsD should have been told, of what OTLP was told and of Airflow's names.
    let named = |otlp: &Series| {
        let mut named = Series::new();
        for ((name, tags), total) in otlp {
            let name = name.replace("airflow.", "plain.");
            let is = |tag: &str| tags[tag].replace('.', "__");
            let legacy = match &*name {
                "plain.ti.start" => format!("{name}.{DAG}.{}", is("task_id")),
                "plain.ti.finish" => format!("{name}.{DAG}.{}.{}", is("task_id"), is("state")),
                "plain.task.duration" => format!("plain.dag.{DAG}.{}.duration", is("task_id")),
                "plain.dagrun.duration.failed" => format!("{name}.{DAG}"),
                "plain.operator_successes" | "plain.operator_failures" => format!("{name}_Dbt"),
                "plain.dagrun.active" => {
                    named.insert((format!("{name}.{DAG}"), Tags::new()), *total);
                    continue;
                }
                _ => String::new(),
            };
            for name in [name, legacy].into_iter().filter(|name| !name.is_empty()) {
                let sum = match (named.get(&(name.clone(), Tags::new())), *total) {
                    (Some(Total::Count(before)), Total::Count(more)) => Total::Count(before + more),
                    (Some(Total::Observed(count, sum)), Total::Observed(more, and)) => {
                        Total::Observed(count + more, sum + and)
                    }
                    _ => *total,
                };
                named.insert((name, Tags::new()), sum);
            }
        }
        named
    };
    let mut states: BTreeMap<String, i64> = BTreeMap::new();
    for task in recorded().tries.values() {
        *states.entry(task.state.clone()).or_default() += 1;
    }
    let count = until("both to be equal", SOON, || {
        let otlp = both.by_otlp("agent");
        let finished = otlp.iter().filter(|((name, _), _)| name == "airflow.ti.finish");
        let finished: i64 =
            finished.map(|(_, total)| if let Total::Count(count) = total { *count } else { 0 }).sum();
        if finished != recorded().tries.len() as i64 {
            return Err(format!("{finished} tries of {states:?}"));
        }
        compare("StatsD without tags", &named(&otlp), &both.by_statsd("plain."))
    });
    println!("StatsD: {count} series equal");
    drop(agent);
}
