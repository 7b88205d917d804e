//! `cargo xtask bench`: every benchmark that has a peer, in one go, and the page of their ratios.

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::{self, Command},
    thread,
};

use crate::{
    airflow,
    command::{cargo, output, run_through},
    failure::{Failure, Result, at},
    source_root,
};

/// Where the benchmarks put their rows; see `crates/dagtel/benches/cost/ratio.rs`.
const ROWS: &str = "DAGTEL_BENCH_ROWS";
/// The interpreter that has psutil; see `crates/dagtel-proc/benches/poll.rs`.
const PSUTIL: &str = "PSUTIL_PYTHON";
/// Package and benchmark.
const BENCHES: [(&str, &str); 4] =
    [("dagtel", "cost"), ("dagtel-usage", "cost"), ("dagtel-proc", "poll"), ("dagtel-cli", "exec")];
/// What the rows of a group are about, by what stands before the colon.
const GROUPS: [(&str, &str); 14] = [
    (
        "off",
        "A task's start and end when telemetry is off, beside a span of OpenTelemetry's without a provider.",
    ),
    (
        "engine_thread",
        "What a task costs the engine's thread, beside a span with the same twelve attributes through the SDK's batch \
         processor. `paced` and `burst` keep events in memory, as the SDK does; `sent` is dagtel as it is installed, through \
         the disk, folded, encoded and sent meanwhile, while the SDK exports to nobody.",
    ),
    (
        "journal",
        "A task's start and end appended to the journal on disk, beside a span handed to the SDK's processor in memory. \
         `two bare writes` is what the kernel alone takes for as many bytes.",
    ),
    ("event_to_otlp", "From events to OTLP bytes, beside the SDK's span data through its encoder."),
    ("drain_rate", "From disk to a receiver, beside the SDK's exporter from memory; gzip on both sides."),
    ("counter", "A step of a counter with three tags, beside the SDK's counter, and Airflow's as published."),
    ("histogram", "A duration counted in a histogram, beside the SDK's."),
    (
        "guard",
        "Holding an event to its limits and masking secrets in it, beside the append to disk that it is a part of.",
    ),
    ("loop", "A pass of an engine's loop with four steps, beside five spans of the SDK."),
    ("usage", "The end of a Cosmos task with usage events, beside the same without."),
    (
        "usage event",
        "A usage event handed to the thread that sends it, beside the blocking request of the original.",
    ),
    ("metadata", "Cosmos's compressed metadata, beside Python's zlib and json."),
    ("poll", "A look at the memory of a tree of processes, beside psutil as Cosmos uses it."),
    ("exec", "A command that does nothing as a task, beside the same command by itself."),
];
/// Runs all and writes `docs/performance.md`.
pub(crate) fn run() -> Result<()> {
    let rows_file = env::temp_dir().join(format!("dagtel-bench-{}.tsv", process::id()));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // Airflow needs it, so its environment has it.
    let psutil = env::var_os(PSUTIL)
        .map(PathBuf::from)
        .map_or_else(|| Ok(airflow::build()?.join(airflow::NAME)), Ok)?;
    for (package, bench) in BENCHES {
        let mut cargo = cargo(&["bench", "--package", package, "--bench", bench]);
        run_through(cargo.env(ROWS, &rows_file).env(PSUTIL, &psutil))?;
    }
    let rows =
        fs::read_to_string(&rows_file).map_err(at("Reading the rows of the benchmarks", &rows_file))?;
    // What is left of it would be in nobody's way.
    let _ = fs::remove_file(&rows_file);
    let page = source_root().join("docs/performance.md");
    fs::write(&page, document(&rows, &Machine::here(&load)?)?).map_err(at("Writing", &page))?;
    eprintln!("  {} is written", page.display());
    Ok(())
}

/// Where and when it was measured.
struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    rustc: String,
    date: String,
    load: String,
}

impl Machine {
    fn here(load: &str) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let said = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.current_dir(source_root()).args(arguments);
            output(&mut command).map(|text| text.trim().to_owned())
        };
        Ok(Self {
            processor: model.map_or("an unknown processor", |(_, model)| model.trim()).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            rustc: said(&env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()), &["--version"])?,
            date: said("date", &["-u", "+%F"])?,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }
}

/// A row as a benchmark wrote it.
struct Row<'a> {
    what: &'a str,
    dagtel: &'a str,
    peer: &'a str,
    ratio: &'a str,
    spread: &'a str,
    target: &'a str,
    note: &'a str,
}

fn document(rows: &str, machine: &Machine) -> Result<String> {
    let mut groups: Vec<&str> = Vec::new();
    let mut of_group: BTreeMap<&str, Vec<Row<'_>>> = BTreeMap::new();
    for line in rows.lines() {
        let [name, dagtel, peer, ratio, spread, target, note] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            return Err(Failure(format!("A benchmark wrote a row that is none: {line}")));
        };
        // A figure without a peer says nothing on another machine.
        if peer.is_empty() {
            continue;
        }
        let (group, what) = name.split_once(": ").unwrap_or(("other", name));
        if !groups.contains(&group) {
            groups.push(group);
        }
        of_group.entry(group).or_default().push(Row { what, dagtel, peer, ratio, spread, target, note });
    }
    let mut page = head(machine);
    for group in groups {
        let about = GROUPS.iter().find(|(known, _)| *known == group).map_or("", |(_, about)| about);
        let _ = writeln!(page, "\n## {group}\n\n{about}\n");
        page.push_str(
            "| what | ratio | spread | target | dagtel | peer | note |\n|---|---|---|---|---|---|---|\n",
        );
        for row in of_group.remove(group).unwrap_or_default() {
            let Row { what, dagtel, peer, ratio, spread, target, note } = row;
            let what = what.replace('|', "\\|");
            let missed = if is_missed(ratio, target) { ", missed" } else { "" };
            let _ = writeln!(
                page,
                "| {what} | **{ratio}** | {spread} | {target}{missed} | {dagtel} | {peer} | {note} |"
            );
        }
    }
    Ok(page)
}

/// Whether a ratio is above its target, which a table of ratios writes as `<= 1.3`.
fn is_missed(ratio: &str, target: &str) -> bool {
    let most = target.strip_prefix("<= ").and_then(|most| most.parse::<f64>().ok());
    most.zip(ratio.parse::<f64>().ok()).is_some_and(|(most, ratio)| ratio > most)
}

fn head(machine: &Machine) -> String {
    let Machine { processor, cores, kernel, rustc, date, load } = machine;
    format!(
        "# What it costs\n\n\
         Written by `cargo xtask bench`, which runs every benchmark that has a peer, each beside its peer: the two sides take \
         turns in short rounds, so whatever else the machine does disturbs both. A ratio is dagtel's median by the peer's; \
         below 1 dagtel is the cheaper one. The spread is that of single rounds, 10 % to 90 %. The figures beside a ratio are \
         of this machine and this hour, and mean nothing without their peer. What a row is, and against what: \
         `crates/*/benches`.\n\n\
         | | |\n|---|---|\n\
         | processor | {processor}, {cores} cores |\n\
         | kernel | {kernel} |\n\
         | compiler | {rustc} |\n\
         | date | {date} |\n\
         | load before | {load} |\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let text = |text: &str| text.to_owned();
        let (processor, kernel, rustc) = (text("P"), text("6"), text("rustc 1"));
        Machine { processor, cores: 2, kernel, rustc, date: text("2026"), load: text("0.1") }
    }

    #[test]
    fn rows_stand_in_their_groups_and_those_without_a_peer_are_left_out() {
        let rows = "counter: kept / SDK\t2.0 ns\t40.0 ns\t0.05\t0.04..0.06\t<= 1.3\t\n\
                    counter: far / SDK\t80.0 ns\t40.0 ns\t2.00\t1.9..2.1\t<= 1.3\t\n\
                    fold_rate: tries\t9 /s\t\t\t\t>= 5\t\n\
                    counter: looked up / SDK\t50.0 ns\t40.0 ns\t1.25\t1.2..1.3\t<= 2\tx\n";
        let page = document(rows, &machine()).unwrap_or_else(|Failure(error)| panic!("{error}"));
        assert_eq!((page.matches("## counter").count(), page.matches("fold_rate").count()), (1, 0));
        assert!(
            page.contains("| kept / SDK | **0.05** | 0.04..0.06 | <= 1.3 | 2.0 ns | 40.0 ns |  |\n"),
            "{page}"
        );
        assert!(page.contains("| far / SDK | **2.00** | 1.9..2.1 | <= 1.3, missed | 80.0 ns |"), "{page}");
        assert!(document("half a row", &machine()).is_err());
    }
}
