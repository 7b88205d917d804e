//! Airflow whose inbox is missing, read-only or full: DAGs run, and there is one warning.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::deployment::{Deployment, SOON, spool};
use crate::shown::row;
use crate::{RUNS_END, slow};

const DAG: &str = "twins";
const WARNING: &str = "dagtel cannot record what Airflow does";

/// What is wrong with the place of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It is not there and cannot be made: a file has its name.
    Missing,
    /// Its file system is mounted read-only.
    ReadOnly,
    /// Its file system has no block left.
    Full,
}

#[test]
fn dags_run_and_one_warning_is_said_without_an_inbox_that_can_be_written() {
    if !slow("dags_run_and_one_warning_is_said_without_an_inbox_that_can_be_written") {
        return;
    }
    let made = |stack: &dagtel_system_tests::Stack| {
        fs::write(spool(stack.directory()), "in the way").expect("a file can be made");
        Vec::new()
    };
    let Some(mut deployment) = Deployment::without_agent("airflow_straits", made) else { return };
    let place = spool(deployment.stack.directory());
    deployment.runs_with_one_warning(Wrong::Missing);
    fs::remove_file(&place).expect("the file in the way can be removed");
    fs::create_dir(&place).expect("a directory can be made");
    for wrong in [Wrong::ReadOnly, Wrong::Full] {
        let Some(_mounted) = Mounted::at(&place, wrong) else { return };
        deployment.airflow.restart();
        deployment.runs_with_one_warning(wrong);
        if wrong == Wrong::Full {
            deployment.tells_again_when_there_is_room(&place);
        }
    }
}

impl Deployment {
    /// Two runs, one after the other, come to success, and all processes together say once what is wrong.
    fn runs_with_one_warning(&self, wrong: Wrong) {
        let ids = ["one", "two"].map(|run| format!("{wrong:?}_{run}"));
        for id in &ids {
            self.airflow.trigger(DAG, id);
            let rows = self.airflow.wait_for_run(DAG, id, RUNS_END);
            assert_eq!(row(&rows, DAG, id).state, "success", "{id}");
            let done = |try_row: &&dagtel_system_tests::airflow::TryRow| {
                try_row.run_id == *id && try_row.state.as_deref() == Some("success")
            };
            assert_eq!(rows.instances.iter().filter(done).count(), 2, "{id}");
        }
        let warnings = self.warnings(wrong.reason());
        println!("{wrong:?}: 2 runs, 4 tasks to success, {} warning: {warnings:?}", warnings.len());
        let [(log, _)] = &warnings[..] else { panic!("one process says it once") };
        assert_eq!(log, "scheduler.log");
    }

    /// What is written once there is room says what could not be written, and is told whole.
    fn tells_again_when_there_is_room(&mut self, place: &Path) {
        fs::remove_file(filler(place)).expect("what fills the disk can be removed");
        let port = self.stack.agent_port().to_string();
        let page =
            [("DAGTEL_AGENT_HTTP_SERVER__ON", "true".into()), ("DAGTEL_AGENT_HTTP_SERVER__PORT", port)];
        self.start_agent_with(&page);
        self.airflow.trigger(DAG, "room");
        let rows = self.airflow.wait_for_run(DAG, "room", RUNS_END);
        self.check(&rows, row(&rows, DAG, "room"), &[]);
        let query = r#"sum(dagtel_dropped_total{reason="not_written"})"#;
        let samples =
            self.stack.series().wait_for(query, |samples| samples.iter().any(|s| s.value > 0.0), SOON);
        println!("with room again: not_written = {}", samples[0].value);
        self.agent = None;
    }

    /// Every line in which a process of Airflow says that it cannot record for this reason, behind the log that has it.
    fn warnings(&self, reason: &str) -> Vec<(String, String)> {
        let directory = self.stack.directory();
        let mut logs = Vec::new();
        files(directory, &|path| path.extension().is_some_and(|end| end == "log"), &mut logs);
        let said = logs.into_iter().flat_map(|path| {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            let is_wanted = |line: &&str| line.contains(WARNING) && line.contains(reason);
            text.lines().filter(is_wanted).map(|line| (name.clone(), line.to_owned())).collect::<Vec<_>>()
        });
        said.collect()
    }
}

impl Wrong {
    /// The system's words for it.
    fn reason(self) -> &'static str {
        match self {
            Self::Missing => "Not a directory",
            Self::ReadOnly => "Read-only file system",
            Self::Full => "No space left on device",
        }
    }
}

/// A small file system in memory. Unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Nothing where mounting is not permitted.
    fn at(place: &Path, wrong: Wrong) -> Option<Self> {
        let options = format!("size=8m,mode=0700,{}", if wrong == Wrong::ReadOnly { "ro" } else { "rw" });
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place).output();
        if !mount.is_ok_and(|done| done.status.success()) {
            println!("{wrong:?}: not shown, because mounting is not permitted here (it takes root)");
            return None;
        }
        let mounted = Self(place.to_owned());
        if wrong == Wrong::Full {
            let mut file = File::create(filler(place)).expect("an empty file can be made");
            while file.write_all(&[0; 4096]).is_ok() {}
        }
        Some(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: Airflow has files open there.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn filler(place: &Path) -> PathBuf {
    place.join("filler")
}

fn files(directory: &Path, wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), wanted, found),
            Ok(kind) if kind.is_file() && wanted(&entry.path()) => found.push(entry.path()),
            _ => {}
        }
    }
}
