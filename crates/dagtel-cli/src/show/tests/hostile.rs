//! Input that wants to do harm: the two promises hold for it as well.

use insta::assert_snapshot;

use super::{
    input::{Sketch, metric, metrics, span, stored, text},
    plain,
};
use crate::show::{Store, Theme, all_traces, metric_table, text::width};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, NumberDataPoint, metric::Data, number_data_point::Value,
};

const NAMES: [&str; 9] = [
    "line\nbreak\r\n\ttab",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "nul\0 and c1 \u{9b}31m",
    "emoji 👩‍👩‍👧‍👦 ❤️ 🇩🇪 done",
    "right \u{202e}to left\u{202c} \u{2066}iso\u{2069}",
    "z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}",
    "hidden \u{200b}\u{feff}\u{ad} and \u{2028} lines",
    "全角の名前はとても広い全角の名前はとても広い",
    "",
];

fn hostile_spans() -> Vec<Sketch> {
    let long = "x".repeat(4096);
    let names = NAMES.iter().copied().chain([long.as_str()]);
    let children = (2_u8..).zip(names).map(|(id, name)| {
        span(id, 1, name, u64::from(id), 90).state(name).error(name, name).link("dependency", id - 1)
    });
    std::iter::once(span(1, 0, "\u{1b}c", 0, 100)).chain(children).collect()
}

/// Both promises: narrow lines, and nothing but printable characters and line ends.
fn check(output: &str, theme: &Theme) {
    for line in output.lines() {
        assert!(width(line) <= theme.width, "{} columns of {}: {line}", width(line), theme.width);
        assert!(!line.ends_with(' '), "{line:?}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(theme.unicode || line.is_ascii(), "{line:?}");
    }
}

#[test]
fn hostile_names_are_written_out() {
    let store = stored("evil\u{1b}[31m", hostile_spans());
    assert_snapshot!(all_traces(&store, &plain(100)), @r"
    evil\u{1b}[31m · \u{1b}c · trace abababababababababababababababab · 100 ms · 11 spans · 0 errors
    · \u{1b}c                                   100 ms  ████████████████
    ├─ ? line\nbreak\r\n\ttab                    88 ms  ██████████████▍   line\nbreak\r\n\ttab: line\nb…
    ├─ ? \u{1b}[2J\u{1b}]0;title\u{7}            87 ms  ██████████████▍   \u{1b}[2J\u{1b}]0;title\u{7}:…
    ├─ ? nul\u{0} and c1 \u{9b}31m               86 ms  ██████████████▍   nul\u{0} and c1 \u{9b}31m: nu…
    ├─ ? emoji 👩‍👩‍👧‍👦 ❤️ 🇩🇪 done                     85 ms  ██████████████▍   emoji 👩‍👩‍👧‍👦 ❤️ 🇩🇪 done: emoji 👩‍👩‍👧‍👦…
    ├─ ? right \u{202e}to left\u{202c} \u{2…     84 ms  ██████████████▍   right \u{202e}to left\u{202c}…
    ├─ ? z̀́̂̃                                       83 ms   █████████████▍   z̀́̂̃: z̀́̂̃ · after right \u{202e}to…
    ├─ ? hidden \u{200b}\u{feff}\u{ad} and …     82 ms   █████████████▍   hidden \u{200b}\u{feff}\u{ad}…
    ├─ ? 全角の名前はとても広い全角の名前は…     81 ms   █████████████▍   全角の名前はとても広い全角の…
    ├─ ?                                         80 ms   █████████████▍   after 全角の名前はとても広い…
    └─ ? xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…     79 ms   █████████████▍   xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    ");
}

#[test]
fn both_promises_hold_at_any_width() {
    let store = stored("evil\nservice", hostile_spans());
    for unicode in [true, false] {
        for width in (0..=130).chain([500, 5000]) {
            let theme = Theme { color: false, unicode, width };
            check(&all_traces(&store, &theme), &theme);
        }
    }
}

#[test]
fn both_promises_hold_for_metrics() {
    let points = NAMES.iter().map(|name| NumberDataPoint {
        attributes: vec![text(name, name), text("other", &"y".repeat(4096))],
        value: Some(Value::AsDouble(1e300)),
        ..Default::default()
    });
    let gauge = Data::Gauge(Gauge { data_points: points.collect() });
    let mut store = Store::default();
    let sent = NAMES.iter().map(|name| metric(name, "\u{1b}s", gauge.clone())).collect();
    store.add_metrics(&metrics("evil\nservice", sent));
    for unicode in [true, false] {
        for width in (0..=130).chain([500]) {
            let theme = Theme { color: false, unicode, width };
            check(&metric_table(&store, 20, &theme), &theme);
        }
    }
}

#[test]
fn times_from_the_edge_of_the_world() {
    let at = |id, start, end| {
        span(id, 0, "edge", 0, 0).with(|span| {
            span.start_time_unix_nano = start;
            span.end_time_unix_nano = end;
        })
    };
    let spans = vec![at(1, 0, 0), at(2, u64::MAX, 0), at(3, 1, u64::MAX), at(4, u64::MAX, 1), at(5, 5, 5)];
    assert_snapshot!(all_traces(&stored("edge", spans), &plain(80)), @"
    edge · edge · trace abababababababababababababababab
      213503d 23h · 5 spans · 0 errors
    · edge      0 ns  ▏
    · edge  213503d…  ███████████████████████████████████████
    · edge      0 ns  ▏
    · edge      0 ns                                        ▏  ends before it starts
    · edge      0 ns                                        ▏  ends before it starts
    ");
}

#[test]
fn circles_end() {
    let spans = vec![span(1, 2, "hen", 0, 10), span(2, 1, "egg", 5, 10), span(3, 3, "self", 2, 3)];
    assert_snapshot!(all_traces(&stored("circle", spans), &plain(80)), @"
    circle · hen · trace abababababababababababababababab
      10 ms · 3 spans · 0 errors
    · hen        10 ms  ███████████████████████████████████████  is its own ancestor
    └─ · egg      5 ms                     ████████████████████
    · self        1 ms         ████▋                             is its own ancestor
    ");
}

#[test]
fn a_very_deep_trace_is_shown_and_does_not_overflow_the_stack() {
    let id = |level: u64| level.to_be_bytes().to_vec();
    let spans = (1..=9_999).map(|level| {
        span(1, 0, &format!("level {level}"), level, 10_000).with(|span| {
            span.span_id = id(level);
            span.parent_span_id = if level == 1 { Vec::new() } else { id(level - 1) };
        })
    });
    let store = stored("deep", spans.collect());
    let theme = plain(80);
    let output = all_traces(&store, &theme);
    check(&output, &theme);
    assert_eq!(output.lines().filter(|line| line.contains("level ")).count(), 10_000);
    assert_snapshot!(output.lines().skip(4).step_by(3).take(5).collect::<Vec<_>>().join("\n"), @"
       └─ · level 3                   9.997 s  ███████████████████████████████████
                └─ · level 6          9.994 s  ███████████████████████████████████
    …               └─ · level 9      9.991 s  ███████████████████████████████████
    …               └─ · level 12     9.988 s  ███████████████████████████████████
    …               └─ · level 15     9.985 s  ███████████████████████████████████
    ");
}
