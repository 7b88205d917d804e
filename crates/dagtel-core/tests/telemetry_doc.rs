//! The published list of everything that dagtel emits is the one of the catalogue.
//!
//! `DAGTEL_WRITE_DOCS=1 cargo test -p dagtel-core --test telemetry_doc` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use dagtel_core::catalog::metric::{BOUNDS, DEFAULT_PREFIX, Kind};
use dagtel_core::catalog::registry::{self, Entry, Source};
use dagtel_core::catalog::{attribute, drop_reason, error_type, event, lifecycle, link, log, span};
use dagtel_core::limits::{self, TAG_SETS};

#[test]
fn the_published_list_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
    let expected = document();
    if std::env::var_os("DAGTEL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/ can be written to");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == expected,
        "{} is not what the catalogue says: write it anew with `DAGTEL_WRITE_DOCS=1 cargo test -p dagtel-core --test \
         telemetry_doc`",
        path.display()
    );
}

#[test]
fn it_has_a_row_for_everything() {
    let document = document();
    let words = [
        span::DESCRIBED,
        event::DESCRIBED,
        link::DESCRIBED,
        log::DESCRIBED,
        lifecycle::DESCRIBED,
        error_type::DESCRIBED,
        attribute::DESCRIBED,
    ];
    let names = words.concat().into_iter().map(|(name, _)| name);
    for name in names.chain(registry::entries().map(|entry| entry.definition.name)) {
        assert!(document.contains(&format!("| `{name}")), "{name}");
    }
    let columns = |line: &str| line.matches('|').count();
    for table in document.split("\n\n").filter(|part| part.starts_with('|')) {
        let wide = table.lines().next().map(columns);
        assert!(table.lines().all(|line| Some(columns(line)) == wide), "{table}");
    }
}

fn document() -> String {
    let mut out = String::from(
        "# What dagtel emits\n\nMade from the catalogue (`crates/dagtel-core/src/catalog`); a test fails when it is not \
         up to date.\n\n",
    );
    words(&mut out, "Spans", "span", span::DESCRIBED);
    words(&mut out, "Events of spans", "event", event::DESCRIBED);
    words(&mut out, "Links of spans", "`link.type`", link::DESCRIBED);
    words(&mut out, "Values of `error.type`", "value", error_type::DESCRIBED);
    out.push_str("All others come from the engine.\n\n");
    words(&mut out, "Log records", "event name", log::DESCRIBED);
    words(&mut out, "Log records of runs and tries", "event name", lifecycle::DESCRIBED);
    out.push_str(
        "Lines that tasks log are records without an event name. All have the ids of the run's or the try's span, and \
         `dag_id`, `run_id`; those of a try also `task_id`, `map_index`, `try_number`.\n\n",
    );
    words(&mut out, "Attributes", "key", attribute::DESCRIBED);
    metrics(&mut out);
    let count = |what: fn(&Source) -> bool| registry::entries().filter(|entry| what(&entry.source)).count();
    let (fold, engine) = (count(|s| matches!(s, Source::Fold(_))), count(|s| matches!(s, Source::Engine(_))));
    let _ = writeln!(
        out,
        "## Counted by dagtel\n\n{fold} metrics that dagtel counts from what it is told of runs and tries.\n"
    );
    table(&mut out, |entry| matches!(entry.source, Source::Fold(_)));
    let _ = writeln!(
        out,
        "## Reported by engines\n\n{engine} metrics that only an engine can count: `dagtel.metrics().<method>(…)`. Its \
         arguments are the tags, but for the `status` of `executor.*`, which is fixed, and `team_name`, which `.team(…)` says.\n"
    );
    table(&mut out, |entry| matches!(entry.source, Source::Engine(_)));
    out.push_str("## Of dagtel itself\n\nWithout prefix. Items are spans, points and log records.\n\n");
    table(&mut out, |entry| entry.source == Source::Own);
    words(&mut out, "Values of `reason` of `dagtel.dropped`", "value", drop_reason::DESCRIBED);
    words(&mut out, "Tags that are no attributes of spans", "tag", registry::TAGS);
    out.push_str("## Limits\n\n| of | most | beyond |\n|---|---|---|\n");
    for limit in limits::TABLE {
        let _ = writeln!(out, "| {} | {} {} | {} |", limit.what, limit.most, limit.unit, limit.beyond);
    }
    out
}

fn metrics(out: &mut String) {
    let bounds: Vec<_> = BOUNDS.iter().map(f64::to_string).collect();
    let airflow = registry::entries().filter(|entry| entry.airflow.is_some()).count();
    let _ = writeln!(
        out,
        "## Metrics\n\nNames begin with `{DEFAULT_PREFIX}` unless the deployment has another prefix. All {airflow} metrics \
         of Airflow 3.3's registry are among them, under their names there. Durations are in seconds, where Airflow's \
         timers are in milliseconds; histograms have the upper bounds {}. A tag that is not known is left out. Each \
         metric has room for {TAG_SETS} tag sets; the rest is one series with `overflow=\"true\"`. A legacy name is that \
         of Airflow, in which `.` of a value is `__`.\n",
        bounds.join(", ")
    );
}

fn words(out: &mut String, title: &str, head: &str, words: &[(&str, &str)]) {
    let _ = writeln!(out, "## {title}\n\n| {head} | what it says |\n|---|---|");
    for (word, says) in words {
        let _ = writeln!(out, "| `{word}` | {} |", plain(says));
    }
    out.push('\n');
}

fn table(out: &mut String, wanted: impl Fn(&Entry) -> bool) {
    out.push_str("| metric | kind | unit | tags | in Airflow | legacy name | what it says |\n|---|---|---|---|---|---|---|\n");
    for entry in registry::entries().filter(wanted) {
        let definition = entry.definition;
        let legacy = entry.airflow.and_then(|airflow| airflow.legacy);
        let _ = writeln!(
            out,
            "| `{}` | {} | `{}` | {} | {} | {} | {} |",
            definition.name,
            kind(definition.kind),
            definition.unit,
            list(definition.tags),
            in_airflow(&entry),
            legacy.map_or_else(|| "-".to_owned(), |legacy| format!("`{legacy}`")),
            plain(definition.description),
        );
    }
    out.push('\n');
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down counter",
        Kind::Gauge | Kind::Last => "gauge",
        Kind::Histogram => "histogram",
        _ => "?",
    }
}

/// Airflow's kind, its unit, and its tags where they are others.
fn in_airflow(entry: &Entry) -> String {
    let Some(airflow) = entry.airflow else { return "-".to_owned() };
    let unit = if entry.definition.kind == Kind::Histogram { ", ms" } else { "" };
    let other = match airflow.tags == entry.definition.tags {
        true => String::new(),
        false => format!(", {}", list(airflow.tags)),
    };
    format!("{}{unit}{other}", entry.definition.kind.in_airflow())
}

fn list(tags: &[&str]) -> String {
    if tags.is_empty() {
        return "-".to_owned();
    }
    tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(" ")
}

/// A description as a cell of a table: one line, and no link to items of the code.
fn plain(text: &str) -> String {
    text.trim().trim_end_matches('.').replace("[`", "`").replace("`]", "`")
}
