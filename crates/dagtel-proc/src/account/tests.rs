//! Sums of made-up looks.

use std::collections::BTreeMap;

use super::*;

const MB: u64 = 1 << 20;

/// A process of the look to be made: id, parent, megabytes held, megabytes of its mark, ticks of its own and inherited.
type Line = (u32, u32, u64, u64, u64, u64);

fn ticks(count: u64) -> Duration {
    Duration::from_millis(10 * count)
}

fn reading((pid, parent, rss, mark, own, waited): Line) -> Reading {
    let (own, waited) = (ticks(own), ticks(waited));
    Reading { pid, start: 1, parent, rss: rss * MB, pss: None, mark: Some(mark * MB), own, waited }
}

fn look(account: &mut Account, lines: &[Line]) {
    account.begin(false);
    let waited: BTreeMap<u32, Duration> = lines.iter().map(|line| (line.0, ticks(line.5))).collect();
    lines.iter().for_each(|line| account.process(reading(*line)));
    account.end(true, |pid| waited.get(&pid).copied());
}

fn after(looks: &[&[Line]]) -> Usage {
    let mut account = Account::new(1, false, false);
    looks.iter().for_each(|lines| look(&mut account, lines));
    account.usage()
}

fn megabytes(usage: &Usage, method: Method) -> u64 {
    usage.peaks.get(method).unwrap_or(0) / MB
}

#[test]
fn a_spike_of_one_counts_beside_what_the_others_kept() {
    let usage = after(&[
        &[(1, 0, 100, 100, 0, 0), (2, 1, 10, 10, 0, 0), (3, 1, 50, 50, 0, 0)],
        &[(1, 0, 100, 100, 0, 0), (2, 1, 10, 310, 0, 0), (3, 1, 20, 50, 0, 0)],
    ]);
    assert_eq!(megabytes(&usage, Method::VmHwm), 100 + 310 + 20);
    assert_eq!(megabytes(&usage, Method::SampledRss), 160);
}

#[test]
fn an_old_mark_is_not_added_to_what_came_later() {
    let usage = after(&[&[(1, 0, 10, 300, 0, 0)], &[(1, 0, 10, 300, 0, 0), (2, 1, 200, 200, 0, 0)]]);
    assert_eq!(megabytes(&usage, Method::VmHwm), 300, "210 at the second look, never 500");
}

#[test]
fn a_new_program_begins_with_a_new_mark() {
    let usage = after(&[&[(1, 0, 200, 200, 0, 0)], &[(1, 0, 5, 40, 0, 0)], &[(1, 0, 5, 40, 0, 0)]]);
    assert_eq!(megabytes(&usage, Method::VmHwm), 200);
    assert_eq!(usage.current / MB, 5);
}

#[test]
fn marks_from_before_the_task_do_not_count() {
    let mut account = Account::new(1, true, false);
    look(&mut account, &[(1, 0, 50, 900, 70, 30)]);
    look(&mut account, &[(1, 0, 60, 900, 75, 30), (2, 1, 5, 400, 1000, 0)]);
    assert_eq!(megabytes(&account.usage(), Method::VmHwm), 65);
    assert_eq!(account.usage().cpu, ticks(5), "the child was there before too");
    look(&mut account, &[(1, 0, 60, 901, 75, 30), (2, 1, 5, 400, 1010, 0)]);
    assert_eq!(megabytes(&account.usage(), Method::VmHwm), 906);
    assert_eq!(account.usage().cpu, ticks(15));
}

#[test]
fn shares_count_instead_of_resident_sets() {
    let mut account = Account::new(1, false, true);
    let siblings = || (1..=11).map(|pid| reading((pid, u32::from(pid > 1), 310, 310, 0, 0)));
    account.begin(true);
    siblings().for_each(|sibling| account.process(Reading { pss: Some(33 * MB), ..sibling }));
    account.end(true, |_| None);
    // The last look brings none, and must not mix them.
    account.begin(false);
    siblings().for_each(|sibling| account.process(sibling));
    account.end(true, |_| None);
    let usage = account.usage();
    assert_eq!(megabytes(&usage, Method::SampledRss), 3410);
    assert_eq!(megabytes(&usage, Method::SampledPss), 363);
    assert_eq!(megabytes(&usage, Method::VmHwm), 363);
    assert_eq!(usage.current / MB, 363);
}

#[test]
fn time_of_the_dead_counts_once() {
    let running: &[Line] = &[(1, 0, 1, 1, 5, 0), (2, 1, 1, 1, 10, 0), (3, 2, 1, 1, 50, 0)];
    for (what, next, expected) in [
        ("nobody has ended", running, 65),
        ("waited for by its parent", &[(1, 0, 1, 1, 5, 0), (2, 1, 1, 1, 10, 52)], 67),
        ("its parent waited, and was waited for", &[(1, 0, 1, 1, 5, 62)], 67),
        ("not waited for", &[(1, 0, 1, 1, 5, 0), (2, 1, 1, 1, 10, 0)], 65),
        ("the whole branch not waited for", &[(1, 0, 1, 1, 6, 0)], 66),
        ("its parent ended, and it lives on elsewhere", &[(1, 0, 1, 1, 5, 10), (3, 99, 1, 1, 51, 0)], 66),
        ("all ended", &[], 65),
    ] as [(&str, &[Line], u64); 7]
    {
        let usage = after(&[running, next, next]);
        assert_eq!(usage.cpu, ticks(expected), "{what}");
    }
}

#[test]
fn time_of_the_dead_counts_once_though_their_parent_ended_during_the_look() {
    let mut account = Account::new(1, false, false);
    look(&mut account, &[(1, 0, 1, 1, 5, 0), (2, 1, 1, 1, 50, 0), (3, 2, 1, 1, 25, 0)]);
    account.begin(false);
    account.process(reading((1, 0, 1, 1, 5, 0)));
    account.process(reading((2, 1, 1, 1, 50, 0)));
    // The last one is gone, and by now so is its parent.
    account.end(true, |pid| (pid != 2).then_some(Duration::ZERO));
    look(&mut account, &[(1, 0, 1, 1, 5, 76)]);
    assert_eq!(account.usage().cpu, ticks(81), "the root has waited for both");
}

#[test]
fn whoever_loses_its_parent_has_escaped_once() {
    let usage = after(&[
        &[(1, 0, 1, 1, 0, 0), (2, 1, 1, 1, 0, 0), (3, 2, 7, 7, 0, 0)],
        &[(1, 0, 1, 1, 0, 0), (3, 99, 7, 7, 0, 0)],
        &[(1, 0, 1, 1, 0, 0), (3, 99, 7, 7, 0, 0), (4, 3, 1, 1, 0, 0)],
    ]);
    assert_eq!((usage.processes.seen, usage.processes.most, usage.processes.escaped), (4, 3, 1));
    assert_eq!(usage.current / MB, 9);
}

#[test]
fn an_id_that_is_used_again_is_another_process() {
    let mut account = Account::new(1, false, false);
    look(&mut account, &[(1, 0, 1, 1, 0, 0), (2, 1, 10, 100, 30, 0)]);
    account.begin(false);
    account.process(reading((1, 0, 1, 1, 0, 0)));
    account.process(Reading { start: 2, ..reading((2, 1, 20, 20, 4, 0)) });
    account.end(true, |_| Some(Duration::ZERO));
    let usage = account.usage();
    assert_eq!((usage.processes.seen, usage.cpu), (3, ticks(34)));
    assert_eq!(usage.current / MB, 21);
}

#[test]
fn a_look_that_was_cut_short_tells_of_single_processes_only() {
    let mut account = Account::new(1, false, false);
    look(&mut account, &[(1, 0, 10, 10, 1, 0), (2, 1, 10, 10, 1, 0)]);
    account.begin(false);
    account.process(reading((1, 0, 15, 70, 9, 0)));
    account.end(false, |_| None);
    let usage = account.usage();
    assert_eq!(megabytes(&usage, Method::VmHwm), 70);
    assert_eq!(megabytes(&usage, Method::SampledRss), 20);
    assert_eq!(usage.cpu, ticks(2));
}
