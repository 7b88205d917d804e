//! A guide from its beginning to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use dagtel_system_tests::{parts, wait};

use crate::markdown::{Block, Kind, Needs, blocks, root};
use crate::output::missing;
use crate::terminal::Terminal;

/// After this long a block has hung; one that builds dagtel may take longer.
const HUNG: Duration = Duration::from_secs(120);
const SLOW: Duration = Duration::from_secs(1800);
/// How long what a guide shows may take to appear.
const SHOWN: Duration = Duration::from_secs(60);

pub(crate) fn play(guide: &str) {
    let (blocks, began) = (blocks(guide), Instant::now());
    check_files(&blocks);
    check_rust(guide, &blocks);
    let mut terminal = Terminal::open();
    let needed =
        |wanted: Needs| parts::requested() && blocks.iter().any(|block| needs(block) == Some(wanted));
    if needed(Needs::OpenTelemetryPython) {
        terminal.add_program("python3", &parts::opentelemetry_python());
    }
    if needed(Needs::Kafka) {
        add_kafka(&terminal);
    }
    let (mut from, mut skipped, mut run) = (0, false, 0);
    for block in &blocks {
        match &block.kind {
            Kind::File(name) => write(&terminal.work(), name, &block.text),
            Kind::Shell { needs, fails } => {
                skipped = !is_met(*needs);
                if skipped {
                    println!("{}: not in this run: {needs:?}", block.place);
                } else {
                    from = terminal.run(&block.place, &block.text, *fails, limit(*needs));
                    run += 1;
                }
            }
            Kind::Crontab => {
                from = terminal.run(&block.place, &as_cron_runs(&block.text), false, HUNG);
                run += 1;
            }
            // It shows what the block before it printed.
            Kind::Output if skipped => {}
            Kind::Output => wait::until(&format!("the output at {}", block.place), SHOWN, || {
                let printed = terminal.log().split_off(from);
                missing(&block.text, &printed)
                    .map_or(Ok(()), |line| Err(format!("no {line:?} in:\n{printed}")))
            }),
            Kind::Rust => {}
        }
    }
    println!("{guide}: {} blocks, {run} of them run in {:.1} s", blocks.len(), began.elapsed().as_secs_f64());
}

/// The programs that Kafka's distribution has, which are classes of its jars.
fn add_kafka(terminal: &Terminal) {
    terminal.add_program("kafka-java", &parts::kafka());
    let programs = [
        ("kafka-storage.sh", "kafka.tools.StorageTool"),
        ("kafka-server-start.sh", "kafka.Kafka"),
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
    ];
    for (name, class) in programs {
        terminal.add_script(name, &format!("exec kafka-java {class} \"$@\""));
    }
}

fn needs(block: &Block) -> Option<Needs> {
    match block.kind {
        Kind::Shell { needs, .. } => Some(needs),
        _ => None,
    }
}

fn limit(needs: Needs) -> Duration {
    if needs == Needs::Time { SLOW } else { HUNG }
}

fn is_met(needs: Needs) -> bool {
    let slow = std::env::var_os("RUN_SLOW_TESTS").is_some_and(|value| value == "1");
    match needs {
        Needs::Nothing => true,
        Needs::RealParts | Needs::Kafka | Needs::OpenTelemetryPython => parts::requested(),
        Needs::Time => slow,
    }
}

fn write(work: &Path, name: &str, text: &str) {
    let path = work.join(name);
    let parent = path.parent().expect("it is below the directory");
    std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text)).expect("it can be written");
}

/// A file that a guide shows is used by a block after it.
fn check_files(blocks: &[Block]) {
    for (place, block) in blocks.iter().enumerate() {
        let Kind::File(name) = &block.kind else { continue };
        let used = blocks[place + 1..].iter().any(|later| {
            matches!(later.kind, Kind::Shell { .. } | Kind::Crontab | Kind::File(_))
                && later.text.contains(name.as_str())
        });
        assert!(used, "{}: no block after it uses {name}", block.place);
    }
}

/// Rust is run by the doctests of the crate, which must know the guide.
fn check_rust(guide: &str, blocks: &[Block]) {
    let Some(first) = blocks.iter().find(|block| block.kind == Kind::Rust) else { return };
    let library = std::fs::read_to_string(root().join("crates/dagtel/src/lib.rs")).expect("it is there");
    let included = library.contains(&format!("include_str!(\"../../../docs/guides/{guide}\")"));
    assert!(included, "{}: crates/dagtel/src/lib.rs does not include {guide}", first.place);
}

/// Cron gives a command a poor environment, in the home directory. The time is not waited for.
fn as_cron_runs(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let lines = lines.map(|line| {
        let mut rest = line;
        // `@daily`, or five fields.
        for _ in 0..if line.starts_with('@') { 1 } else { 5 } {
            rest = rest.trim_start().split_once(' ').expect("a line has a time and a command").1;
        }
        // The PATH is the one of the crontab's first lines on a real machine.
        format!(
            "env -i HOME=\"$HOME\" PATH=\"$PATH\" USER=\"$USER\" sh -c '{}'\n",
            rest.replace('\'', "'\\''")
        )
    });
    lines.collect()
}
