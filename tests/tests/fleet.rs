//! Runs whose tasks are spread over hosts, and what is killed meanwhile: one whole trace each, everything counted once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use dagtel::core::id::{RunIds, task_span_id};
use dagtel::core::key::{RunKey, TryKey};
use dagtel::{DagRun, Dagtel, RunHandle, TaskInstance};
use dagtel_system_tests::fleet::{Fleet, Shape, wait_for};
use dagtel_system_tests::jaeger::Trace;

const RUNS: usize = 24;
/// Tasks of a run, each of which waits for the one before it and for the first.
const TASKS: usize = 8;
/// The task whose first try fails.
const RETRIED: usize = 3;
/// Tries of a run.
const TRIES: usize = TASKS + 1;
const SOON: Duration = Duration::from_secs(120);

#[test]
fn runs_over_two_hosts_are_whole_though_every_part_is_killed() {
    let shape = Shape { hosts: 2, gateways: 2, ..Shape::default() };
    let Some(mut fleet) = Fleet::start("fleet", &shape) else { return };
    let kill = |fleet: &mut Fleet, step: usize| {
        let which = step % 2;
        let part = match step / 2 {
            0 => &mut fleet.hosts[which].agent,
            1 => &mut fleet.gateways[which].collector,
            2 => &mut fleet.gateways[which].agent,
            _ => &mut fleet.hosts[which].collector,
        };
        restart(part);
        1
    };
    spread_over_hosts("fleet", &mut fleet, kill);
}

#[test]
fn runs_over_kafka_are_whole_though_the_broker_is_away() {
    let shape = Shape { hosts: 2, gateways: 2, kafka: true, ..Shape::default() };
    let Some(mut fleet) = Fleet::start("fleet_kafka", &shape) else { return };
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    let outage = Duration::from_secs(if slow { 30 } else { 5 });
    let mut stopped = None;
    let kill = |fleet: &mut Fleet, step: usize| {
        let broker = fleet.kafka.as_mut().expect("there is one");
        match step {
            2 => {
                broker.kill();
                stopped = Some(Instant::now());
            }
            5 => {
                // The outage is what is tested, so it has to last.
                let left = stopped.map_or(Duration::ZERO, |at: Instant| outage.saturating_sub(at.elapsed()));
                std::thread::sleep(left);
                broker.start();
            }
            6 => restart(&mut fleet.gateways[0].collector),
            7 => restart(&mut fleet.gateways[1].agent),
            _ => return 0,
        }
        1
    };
    spread_over_hosts("fleet_kafka", &mut fleet, kill);
    println!("the broker was away for {} s", outage.as_secs());
}

fn restart(part: &mut dagtel_system_tests::part::Part) {
    part.kill();
    part.start();
}

/// An engine on each host, which only reports.
fn engines(fleet: &Fleet) -> Vec<Dagtel> {
    let engine = |spool: &Path| Dagtel::builder("engine").spool(spool).reporter().expect("a new directory");
    fleet.hosts.iter().map(|host| engine(&host.spool)).collect()
}

/// Runs in step, so that each is under way whenever something is killed.
fn spread_over_hosts(
    dag_id: &'static str,
    fleet: &mut Fleet,
    mut kill: impl FnMut(&mut Fleet, usize) -> usize,
) {
    let began = Instant::now();
    let hosts = engines(fleet);
    // The scheduler is on the first host; the tasks of a run change hosts from one to the next.
    let described: Vec<_> = (0..RUNS).map(|n| DagRun::new(dag_id, format!("run-{n}"))).collect();
    let runs: Vec<_> = described.iter().map(|run| hosts[0].start(run.clone())).collect();
    let workers: Vec<Vec<RunHandle>> =
        hosts.iter().map(|host| described.iter().map(|run| host.join(run.clone())).collect()).collect();
    let mut kills = 0;
    for task in 0..TASKS {
        kills += kill(fleet, task);
        for run in 0..RUNS {
            let on = |try_number: usize| &workers[(task + run + try_number) % hosts.len()][run];
            if task == RETRIED {
                on(1).start(instance(task, 1)).failed("the warehouse is closed");
                // The next try is on the other host.
                on(2).start(instance(task, 2)).success();
            } else {
                on(1).start(instance(task, 1)).success();
            }
        }
    }
    runs.iter().for_each(RunHandle::success);

    let (mut spans, mut links, mut warnings) = (0, 0, 0);
    for n in 0..RUNS {
        let key = RunKey::new(dag_id, format!("run-{n}"));
        let id = RunIds::of(&key).trace_id.to_string();
        let trace = fleet.traces().wait_for_trace(&id, |trace| trace.spans.len() > TRIES, SOON);
        links += check(&key, &trace);
        spans += trace.spans.len();
        warnings += trace.spans.iter().map(|span| span.warnings.len()).sum::<usize>();
    }
    let tries = (RUNS * TRIES) as f64;
    let counted = ["airflow_ti_start_total", "airflow_ti_finish_total"]
        .map(|metric| wait_for(metric, tries, SOON, || fleet.sum(metric)));
    let shares = fleet.sums("airflow_ti_finish_total").expect("the gateways answer");
    println!(
        "{dag_id}: {RUNS} runs over {} hosts, {kills} kills: {spans} spans of {}, {links} links of {}, {warnings} \
         warnings; started {}, finished {} of {tries} tries, by gateway {shares:?}; {:.1} s",
        hosts.len(),
        RUNS * (TRIES + 1),
        RUNS * wanted_links().len(),
        counted[0],
        counted[1],
        began.elapsed().as_secs_f64()
    );
    assert_eq!((spans, warnings), (RUNS * (TRIES + 1), 0));
    assert!(shares.iter().all(|tries| *tries > 0.0), "not every gateway had a run");
}

fn instance(task: usize, try_number: u32) -> TaskInstance {
    let task_instance = TaskInstance::new(name(task)).try_number(try_number);
    match task {
        0 => task_instance,
        1 => task_instance.upstream([name(0)]),
        _ => task_instance.upstream([name(0), name(task - 1)]),
    }
}

fn name(task: usize) -> String {
    format!("task_{task}")
}

/// From each try to what it waited for, and from the second try to the first.
fn wanted_links() -> BTreeSet<((usize, u32), (usize, u32))> {
    let last = |task| (task, if task == RETRIED { 2 } else { 1 });
    let mut links = BTreeSet::from([((RETRIED, 2), (RETRIED, 1))]);
    for task in 1..TASKS {
        let tries = if task == RETRIED { 1..=2 } else { 1..=1 };
        for try_number in tries {
            links.extend([((task, try_number), last(0)), ((task, try_number), last(task - 1))]);
        }
    }
    links
}

/// Every span once, and every link there. Returns how many links there are.
fn check(key: &RunKey, trace: &Trace) -> usize {
    let ids: BTreeMap<_, _> = (0..TASKS)
        .flat_map(|task| (1..=2).map(move |try_number| (task, try_number)))
        .map(|(task, try_number)| {
            let key_of_try = TryKey { try_number, ..TryKey::new(name(task)) };
            (task_span_id(key, &key_of_try).to_string(), (task, try_number))
        })
        .collect();
    let distinct: BTreeSet<_> = trace.spans.iter().map(|span| &span.id).collect();
    assert_eq!(distinct.len(), trace.spans.len(), "{}: a span is there twice", key.run_id);
    let links = trace.spans.iter().flat_map(|span| span.links().map(move |link| (&span.id, &link.span_id)));
    let links: Vec<_> = links.map(|(from, to)| (ids[from.as_str()], ids[to.as_str()])).collect();
    let distinct: BTreeSet<_> = links.iter().copied().collect();
    assert_eq!(distinct, wanted_links(), "{}", key.run_id);
    links.len()
}

/// The run ends where the scheduler is, while nothing is heard of the host that ran half of it.
#[test]
fn a_host_that_is_cut_off_is_waited_for() {
    // Longer than a folding agent of these tests waits for a run in which nothing is missing.
    const CUT_OFF: Duration = Duration::from_secs(4);
    let shape = Shape { hosts: 2, gateways: 1, ..Shape::default() };
    let Some(mut fleet) = Fleet::start("cut_off", &shape) else { return };
    let engine = |n: usize| Dagtel::builder("engine").spool(&fleet.hosts[n].spool).reporter();
    let (scheduler, worker) = (engine(0).expect("a new directory"), engine(1).expect("a new directory"));
    fleet.hosts[1].collector.kill();
    let described = DagRun::new("cut_off", "run");
    let run = scheduler.start(described.clone());
    let joined = worker.join(described);
    for task in 0..TASKS {
        let on = if task % 2 == 0 { &run } else { &joined };
        if task == RETRIED {
            joined.start(instance(task, 1)).failed("the warehouse is closed");
        }
        on.start(instance(task, if task == RETRIED { 2 } else { 1 })).success();
    }
    run.success();
    std::thread::sleep(CUT_OFF);
    let key = RunKey::new("cut_off", "run");
    let id = RunIds::of(&key).trace_id.to_string();
    assert!(fleet.traces().trace(&id).is_err(), "it was told before the other host was heard");
    fleet.hosts[1].collector.start();
    let trace = fleet.traces().wait_for_trace(&id, |trace| trace.spans.len() > TRIES, SOON);
    let (spans, links) = (trace.spans.len(), check(&key, &trace));
    println!(
        "cut off for {} s: {spans} spans of {}, {links} links of {}",
        CUT_OFF.as_secs(),
        TRIES + 1,
        wanted_links().len()
    );
    assert_eq!(spans, TRIES + 1);
}

const SAMPLED_RUNS: usize = 1000;
/// One run in so many fails.
const FAILS: usize = 20;
const KEEP_PERCENT: usize = 10;

#[test]
fn every_failed_run_is_kept_and_a_share_of_the_others() {
    let environment = vec![("DAGTEL_KEEP_PERCENT", KEEP_PERCENT.to_string())];
    let shape = Shape { hosts: 2, gateways: 2, environment, ..Shape::default() };
    let Some(fleet) = Fleet::start("sampling", &shape) else { return };
    let began = Instant::now();
    let hosts = engines(&fleet);
    for n in 0..SAMPLED_RUNS {
        let described = DagRun::new("sampling", format!("run-{n}"));
        let run = hosts[0].start(described.clone());
        let task = hosts[n % 2].join(described).start(TaskInstance::new("load"));
        if n % FAILS == 0 {
            task.failed("the warehouse is closed");
            run.failed();
        } else {
            task.success();
            run.success();
        }
    }
    let decided = "otelcol_processor_tail_sampling_global_count_traces_sampled_total";
    wait_for("a decision on every run", SAMPLED_RUNS as f64, SOON, || fleet.own_sum(decided));
    let failed = SAMPLED_RUNS / FAILS;
    let is_failed = |trace: &Trace| trace.spans.iter().any(|span| span.tags.contains_key("error.type"));
    let kept = dagtel_system_tests::wait::until("the failed runs in Jaeger", SOON, || {
        let traces = fleet.traces().traces_of("sampling", 2 * SAMPLED_RUNS)?;
        let whole = traces.iter().filter(|trace| trace.spans.len() == 2).count();
        let kept = traces.iter().filter(|trace| is_failed(trace)).count();
        if whole == traces.len() && kept == failed {
            Ok(traces)
        } else {
            Err(format!("{kept}, {whole} whole"))
        }
    });
    let (others, all) = (kept.len() - failed, SAMPLED_RUNS - failed);
    let share = 100.0 * others as f64 / all as f64;
    println!(
        "kept {failed} of {failed} failed runs and {others} of {all} others: {share:.1} %, configured {KEEP_PERCENT} %; \
         {:.1} s",
        began.elapsed().as_secs_f64()
    );
    // Drawn by trace id, and these are always the same: three standard deviations of 950 draws are 2.9 %.
    assert!((7.0..13.0).contains(&share), "{share} %");
    wait_for("every try counted", SAMPLED_RUNS as f64, SOON, || fleet.sum("airflow_ti_finish_total"));
}
