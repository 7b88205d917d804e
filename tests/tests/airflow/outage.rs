//! Agent and collector dead: no DAG run takes longer for it, and what is to be told of it arrives later.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use dagtel::core::id::RunIds;
use dagtel_system_tests::agent::Agent;
use dagtel_system_tests::airflow::Rows;

use crate::deployment::{Deployment, Variable};
use crate::shown::{Attempt, row};
use crate::{RUNS_END, slow};

const DAG: &str = "twins";
const ROUNDS: usize = 5;
/// Measured runs of a way in each round.
const EACH: usize = 2;
/// By how much two medians of the same differ now and then on a machine that does nothing else.
const LEAST_NOISE_SECONDS: f64 = 0.1;

/// By how much the quickest run of ten varies where other programs run too.
const QUICKEST_SECONDS: f64 = 0.4;

/// What a run finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Agent and collector live, and Airflow has no plugin.
    WithoutPlugin,
    Alive,
    Dead,
}

/// Seconds that a run took: from its start to its end in the database, and from the request until its end could be read.
struct Took {
    own: f64,
    wall: f64,
}

#[test]
fn runs_take_no_longer_while_agent_and_collector_are_dead() {
    if !slow("runs_take_no_longer_while_agent_and_collector_are_dead") {
        return;
    }
    let Some(mut deployment) = Deployment::start("airflow_outage", |_| Vec::new()) else { return };
    let mut took = BTreeMap::<Way, Vec<Took>>::new();
    let (mut spans, mut runs) = (0, 0);
    for round in 0..ROUNDS {
        let mut ways = [Way::WithoutPlugin, Way::Alive, Way::Dead];
        // Each way is as often the first as the others, and as often before another one as behind it.
        ways.rotate_left(round % 3);
        if round % 2 == 1 {
            ways.reverse();
        }
        for way in ways {
            deployment.bring_about(way);
            let ids: Vec<_> = (0..=EACH).map(|number| format!("{way:?}_{round}_{number}")).collect();
            // The first run after a start finds nothing warm.
            deployment.measure(&ids[0]);
            took.entry(way).or_default().extend(ids[1..].iter().map(|id| deployment.measure(id)));
            let rows = deployment.airflow.rows();
            if way == Way::Dead {
                // Nothing of it can be there yet.
                ids.iter().for_each(|id| deployment.is_untold(&rows, id));
                deployment.revive();
            }
            for id in ids {
                if way == Way::WithoutPlugin {
                    deployment.is_untold(&rows, &id);
                } else {
                    let shown = deployment.check(&rows, row(&rows, DAG, &id), &[]);
                    spans += if way == Way::Dead { shown.trace.spans.len() } else { 0 };
                    runs += usize::from(way == Way::Dead);
                }
            }
        }
    }
    report(&took);
    println!("{runs} runs while agent and collector were dead: {spans} spans arrived afterwards");
    assert_eq!(spans, runs * 3, "a run has a span, and so has each of its two tasks");
    takes_no_longer("own", &took, |took| took.own);
    takes_no_longer("wall", &took, |took| took.wall);
}

/// The difference of the medians with everything dead and alive is not above what chance makes of runs that vary so much:
/// twice the standard error of that difference. (Airflow lets some runs wait 3 s, without the plugin too.) The quickest runs,
/// which waited for nothing, are compared as they are.
#[track_caller]
fn takes_no_longer(name: &str, took: &BTreeMap<Way, Vec<Took>>, of: fn(&Took) -> f64) {
    let [alive, dead] = [Way::Alive, Way::Dead].map(|way| sorted(&took[&way], of));
    // The median of a normal distribution varies by a quarter more than the mean.
    let noise = 2.0 * 1.25 * (error_of_mean(&alive) + error_of_mean(&dead)).sqrt();
    let longer = middle(&dead) - middle(&alive);
    println!("{name}: {longer:+.2} s with agent and collector dead; noise {noise:.2} s");
    println!("{name}: {:+.2} s for the quickest", dead[0] - alive[0]);
    assert!(longer <= noise.max(LEAST_NOISE_SECONDS), "runs take longer while agent and collector are dead");
    assert!(dead[0] <= alive[0] + QUICKEST_SECONDS, "no run is as quick while agent and collector are dead");
}

/// The square of the standard error of the mean.
fn error_of_mean(all: &[f64]) -> f64 {
    let count = all.len() as f64;
    let mean = all.iter().sum::<f64>() / count;
    all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0) / count
}

impl Deployment {
    /// Every way has a scheduler that was started just before, and nothing left to tell.
    fn bring_about(&mut self, way: Way) {
        let no_plugin: [Variable; 1] = [("PYTHONPATH", String::new())];
        self.airflow.restart_scheduler(if way == Way::WithoutPlugin { &no_plugin } else { &[] });
        if way == Way::Dead {
            self.agent.take().into_iter().for_each(Agent::kill);
            self.stack.collector.kill();
        }
    }

    fn revive(&mut self) {
        self.stack.collector.start();
        self.start_agent();
    }

    fn measure(&self, run_id: &str) -> Took {
        let began = Instant::now();
        self.airflow.trigger(DAG, run_id);
        let rows = self.airflow.wait_for_run(DAG, run_id, RUNS_END);
        let wall = began.elapsed().as_secs_f64();
        let run = row(&rows, DAG, run_id);
        assert_eq!(run.state, "success");
        let micros = run.end_date.expect("it ended") - run.start_date.expect("it started");
        Took { own: micros as f64 / 1e6, wall }
    }

    #[track_caller]
    fn is_untold(&self, rows: &Rows, run_id: &str) {
        let id = RunIds::of(&Attempt::of(rows, row(rows, DAG, run_id)).key).trace_id.to_string();
        let told = self.stack.traces().trace(&id);
        assert!(told.is_err(), "{run_id} is told already: {told:?}");
    }
}

/// Prints what the runs took.
fn report(took: &BTreeMap<Way, Vec<Took>>) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("seconds of a run (load {})", load.trim());
    println!("{:14} {:>5} {:>24} {:>24}", "", "runs", "own: median (min … max)", "wall: median (min … max)");
    for (way, took) in took {
        let column = |of: fn(&Took) -> f64| {
            let sorted = sorted(took, of);
            format!("{:.2} ({:.2} … {:.2})", middle(&sorted), sorted[0], sorted[sorted.len() - 1])
        };
        let (own, wall) = (column(|took| took.own), column(|took| took.wall));
        println!("{:14} {:>5} {own:>24} {wall:>24}", format!("{way:?}"), took.len());
        let each: Vec<_> = took.iter().map(|took| format!("{:.2}", took.own)).collect();
        println!("{:14} own, in turn: {}", "", each.join(" "));
    }
}

fn sorted(took: &[Took], of: fn(&Took) -> f64) -> Vec<f64> {
    let mut all: Vec<_> = took.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    (sorted[half] + sorted[(sorted.len() - 1) / 2]) / 2.0
}
