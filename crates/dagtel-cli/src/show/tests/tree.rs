//! Trees as they look.

use insta::assert_snapshot;

use super::{
    input::{Sketch, request, span, stored},
    plain,
};
use crate::show::{Store, Theme, all_traces};

fn normal_run() -> Vec<Sketch> {
    vec![
        span(1, 0, "dag_run.shop", 0, 12_340).state("success"),
        span(2, 1, "task_run.extract", 300, 2_500).state("success").attempt(1),
        span(3, 1, "task_run.shell", 320, 332).state("success").attempt(1),
        span(4, 1, "task_run.transform", 2_700, 8_000)
            .state("success")
            .attempt(1)
            .link("dependency", 2)
            .link("dependency", 3),
        span(5, 1, "task_run.load", 8_100, 12_300).state("success").attempt(1).link("dependency", 4),
    ]
}

fn troubled_run() -> Vec<Sketch> {
    vec![
        span(1, 0, "dag_run.mixed_etl", 0, 60_000).state("failed"),
        span(2, 1, "task_run.raw_payments_seed", 500, 9_000)
            .state("failed")
            .attempt(1)
            .error("ValueError", "upstream API said 503"),
        span(3, 1, "task_run.raw_payments_seed", 20_000, 31_000)
            .state("failed")
            .attempt(2)
            .link("retry_of", 2)
            .error("ValueError", "upstream API said 503"),
        span(4, 1, "task_run.stg_payments", 31_500, 31_500)
            .state("upstream_failed")
            .link("dependency", 3)
            .link("culprit", 3),
        span(5, 1, "task_run.weekly_report", 32_000, 32_000).state("skipped"),
        span(6, 1, "task_run.cleanup", 33_000, 59_000).state("removed"),
    ]
}

#[test]
fn a_normal_run() {
    let store = stored("shop", normal_run());
    assert_snapshot!(all_traces(&store, &plain(120)), @"
    shop · dag_run.shop · trace abababababababababababababababab · 12.34 s · 5 spans · 0 errors
    ✓ shop           12.34 s  ████████████████████████████████████████████████████████████
    ├─ ✓ extract     2.200 s   ███████████▏
    ├─ ✓ shell         12 ms   ▏
    ├─ ✓ transform   5.300 s               █████████████████████████▉                       after extract, shell
    └─ ✓ load        4.200 s                                         ████████████████████▊  after transform
    ");
    assert_snapshot!(all_traces(&store, &plain(80)), @"
    shop · dag_run.shop · trace abababababababababababababababab
      12.34 s · 5 spans · 0 errors
    ✓ shop           12.34 s  ████████████████████████████████
    ├─ ✓ extract     2.200 s  ██████▍
    ├─ ✓ shell         12 ms  ▏
    ├─ ✓ transform   5.300 s         █████████████▋             after extract, shell
    └─ ✓ load        4.200 s                       ██████████▉  after transform
    ");
    assert_snapshot!(all_traces(&store, &plain(60)), @"
    shop · dag_run.shop · trace abababababababababababababababab
      12.34 s · 5 spans · 0 errors
    ✓ shop           12.34 s  ████████████
    ├─ ✓ extract     2.200 s  ██▍
    ├─ ✓ shell         12 ms  ▏
    ├─ ✓ transform   5.300 s    █████▊      after extract, shell
    └─ ✓ load        4.200 s         ████▉  after transform
    ");
}

#[test]
fn retries_skips_and_what_failed_because_of_others() {
    let store = stored("mixed_etl", troubled_run());
    assert_snapshot!(all_traces(&store, &plain(120)), @"
    mixed_etl · dag_run.mixed_etl · trace abababababababababababababababab · 1m 00s · 6 spans · 3 errors
    ✗ mixed_etl                     1m 00s  ██████████████████████████
    ├─ ✗ raw_payments_seed try 1   8.500 s  ███▉                        ValueError: upstream API said 503
    ├─ ✗ raw_payments_seed try 2   11.00 s          █████▍              ValueError: upstream API said 503 · retry of try 1
    ├─ ⊘ stg_payments                 0 ns               ▏              because of raw_payments_seed · after raw_payments_s…
    ├─ ↷ weekly_report                0 ns               ▏
    └─ ? cleanup                   26.00 s                ███████████▌
    ");
    assert_snapshot!(all_traces(&store, &plain(80)), @"
    mixed_etl · dag_run.mixed_etl · trace abababababababababababababababab
      1m 00s · 6 spans · 3 errors
    ✗ mixed_etl                     1m 00s  █████████████
    ├─ ✗ raw_payments_seed try 1   8.500 s  █▉             ValueError: upstream API…
    ├─ ✗ raw_payments_seed try 2   11.00 s      ██▋        ValueError: upstream API…
    ├─ ⊘ stg_payments                 0 ns        ▏        because of raw_payments_…
    ├─ ↷ weekly_report                0 ns        ▏
    └─ ? cleanup                   26.00 s         █████▊
    ");
    assert_snapshot!(all_traces(&store, &plain(60)), @"
    mixed_etl · dag_run.mixed_etl
      trace abababababababababababababababab
      1m 00s · 6 spans · 3 errors
    ✗ mixed_etl                 1m 00s  ██████████
    ├─ ✗ raw_payments… try 1   8.500 s  █▌          ValueError:…
    ├─ ✗ raw_payments… try 2   11.00 s     ██▏      ValueError:…
    ├─ ⊘ stg_payments             0 ns       ▏      because of …
    ├─ ↷ weekly_report            0 ns       ▏
    └─ ? cleanup               26.00 s       ████▊
    ");
}

#[test]
fn without_unicode() {
    let store = stored("mixed_etl", troubled_run());
    assert_snapshot!(all_traces(&store, &Theme { unicode: false, ..plain(100) }), @"
    mixed_etl | dag_run.mixed_etl | trace abababababababababababababababab | 1m 00s | 6 spans | 3 errors
    x mixed_etl                     1m 00s  ####################
    |- x raw_payments_seed try 1   8.500 s  ###                   ValueError: upstream API said 503
    |- x raw_payments_seed try 2   11.00 s        ####.           ValueError: upstream API said 503 |...
    |- / stg_payments                 0 ns            .           because of raw_payments_seed | afte...
    |- - weekly_report                0 ns            .
    `- ? cleanup                   26.00 s             #########
    ");
}

#[test]
fn with_color_only_color_is_added() {
    let store = stored("mixed_etl", troubled_run());
    let colored = all_traces(&store, &Theme { color: true, ..plain(100) });
    let row = colored.lines().find(|line| line.contains("stg_payments")).unwrap();
    assert_snapshot!(row.replace('\u{1b}', "ESC"), @"ESC[2m├─ ESC[0mESC[2mESC[35m⊘ESC[0m stg_payments                 0 ns  ESC[2mESC[35m          ▏         ESC[0m  ESC[2mbecause of raw_payments_seedESC[0mESC[2m · ESC[0mESC[2mafter …ESC[0m");
    assert_eq!(without_color(&colored), all_traces(&store, &plain(100)));
}

/// Takes out `ESC [ … m`, and nothing else.
fn without_color(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

#[test]
fn a_missing_parent_is_said() {
    let spans = vec![
        span(9, 7, "GET /orders", 0, 40).status(1),
        span(8, 9, "SELECT", 10, 30),
        span(6, 7, "late", 50, 60),
    ];
    assert_snapshot!(all_traces(&stored("web", spans), &plain(80)), @"
    web · GET /orders · trace abababababababababababababababab
      60 ms · 3 spans · 0 errors
    ✓ GET /orders     40 ms  ██████████████         parent 07070707 was not received
    └─ · SELECT       20 ms     ███████▌
    · late            10 ms                   ████  parent 07070707 was not received
    ");
}

#[test]
fn any_sender_with_nested_spans() {
    let spans = vec![
        span(1, 0, "checkout", 0, 900),
        span(2, 1, "POST /pay", 100, 800).status(2).with(|span| {
            if let Some(status) = &mut span.status {
                status.message = "card declined".to_owned();
            }
        }),
        span(3, 2, "authorize", 110, 400).status(1),
        span(4, 3, "DNS", 110, 111),
        span(5, 2, "capture", 420, 790),
        span(6, 1, "render", 805, 890).link("", 3).link("", 0x77),
    ];
    assert_snapshot!(all_traces(&stored("", spans), &plain(100)), @"
    unknown service · checkout · trace abababababababababababababababab · 900 ms · 6 spans · 1 error
    · checkout           900 ms  ████████████████████████████████████████
    ├─ ✗ POST /pay       700 ms      ███████████████████████████████▌      card declined
    │  ├─ ✓ authorize    290 ms      █████████████▊
    │  │  └─ · DNS         1 ms      ▏
    │  └─ · capture      370 ms                    █████████████████
    └─ · render           85 ms                                     ████▌  linked to authorize, 77777777
    ");
}

#[test]
fn links_that_lead_elsewhere() {
    let spans = vec![
        span(1, 0, "dag_run.late", 0, 100).state("running").link("trigger", 0x55).with(|span| {
            span.links[0].trace_id = vec![0xcd; 16];
        }),
        span(2, 1, "task_run.join", 0, 100)
            .state("success")
            .link("dependency", 0x61)
            .link("dependency", 0x62)
            .link("dependency", 0x63)
            .link("dependency", 0x64)
            .with(|span| span.dropped_links_count = 10),
    ];
    assert_snapshot!(all_traces(&stored("late", spans), &plain(100)), @"
    late · dag_run.late · trace abababababababababababababababab · 100 ms · 2 spans · 0 errors
    ? late       100 ms  ███████████████████████████████████████  triggered by trace cdcdcdcd
    └─ ✓ join    100 ms  ███████████████████████████████████████  after 61616161, 62626262, 63636363 +11
    ");
}

#[test]
fn two_traces_oldest_first() {
    let mut store = stored("shop", normal_run().into_iter().take(2).collect());
    let other = vec![span(1, 0, "dag_run.next", 0, 5).with(|span| span.trace_id = vec![1; 16])];
    store.add_traces(&request("next", other));
    assert_snapshot!(all_traces(&store, &plain(80)), @"
    shop · dag_run.shop · trace abababababababababababababababab
      12.34 s · 2 spans · 0 errors
    ✓ shop         12.34 s  ██████████████████████████████████████████████████████
    └─ ✓ extract   2.200 s   █████████▉

    next · dag_run.next · trace 01010101010101010101010101010101
      5 ms · 1 span · 0 errors
    · next      5 ms  ████████████████████████████████████████████████████████████
    ");
}

#[test]
fn an_empty_store() {
    assert_snapshot!(all_traces(&Store::default(), &plain(80)), @"(no spans received)");
}

#[test]
fn bars_begin_where_the_waiting_ends() {
    let spans = vec![
        span(1, 0, "dag_run.queued", 0, 60_000).state("success"),
        span(2, 1, "task_run.extract", 50_000, 55_000).state("success"),
        span(3, 1, "task_run.load", 55_000, 60_000).state("success"),
    ];
    assert_snapshot!(all_traces(&stored("queued", spans), &plain(100)), @"
    queued · dag_run.queued · trace abababababababababababababababab
      1m 00s · 3 spans · 0 errors · bars begin after 50.00 s
    ✓ queued        1m 00s  ████████████████████████████████████████████████████████████
    ├─ ✓ extract   5.000 s  ██████████████████████████████
    └─ ✓ load      5.000 s                                ██████████████████████████████
    ");
}
