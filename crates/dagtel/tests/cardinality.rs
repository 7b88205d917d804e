//! More DAGs than the metrics have room for. Alone in its file, because it looks at the memory of its process.

use dagtel::core::catalog::metric::Metric;
use dagtel::core::limits::TAG_SETS;
use dagtel::core::metrics::Point;
use dagtel::{DagRun, Dagtel, TaskInstance};

const DAGS: usize = 100_000;
const MEMORY_KIB: u64 = 128 * 1024;

#[test]
fn a_hundred_thousand_dags_stay_within_the_budget_and_nothing_is_lost_from_the_totals() {
    let (dagtel, mut seen) = Dagtel::builder("many").in_memory();
    let mut spans = 0;
    for number in 0..DAGS {
        let run = dagtel.start(DagRun::new(format!("dag-{number}"), "run"));
        run.start(TaskInstance::new("task").operator("op")).success();
        run.success();
        if number % 1000 == 0 {
            spans += seen.spans().len();
        }
    }
    spans += seen.finish().len();
    assert_eq!(spans, 2 * DAGS);

    let mut total = 0;
    for metric in Metric::ALL {
        let of_metric: Vec<_> = seen.metrics().series().filter(|series| series.metric == *metric).collect();
        let admitted = of_metric.iter().filter(|series| series.tags.is_some()).count();
        assert!(admitted <= TAG_SETS, "{metric:?} has {admitted} series");
        total += of_metric.len();
        if *metric == Metric::TiFinish {
            let count = |overflow: bool| -> u64 {
                let counted = of_metric.iter().filter(|series| series.tags.is_none() == overflow);
                counted.map(|series| if let Point::Counter(n) = series.point { *n } else { 0 }).sum()
            };
            println!(
                "ti.finish: {} in {admitted} series, {} in the overflow series",
                count(false),
                count(true)
            );
            assert_eq!(count(false) + count(true), DAGS as u64);
            assert_eq!(count(true), (DAGS - TAG_SETS) as u64);
        }
    }
    let peak = peak_kib();
    println!("{DAGS} DAG ids: {total} series in all, peak memory {} MiB", peak / 1024);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// The most memory that this process ever had resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells of a process in /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM is among it");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}
