//! A whole Airflow: scheduler, DAG processor, API server and triggerer on ports and in a directory of their own, with the
//! plugin of this checkout and the DAGs of `tests/airflow`.

mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

pub use self::rows::{Rows, RunRow, TryRow};
use crate::part::{Part, Probe};
use crate::parts::{self, Binary};
use crate::ports::free;
use crate::{http, wait};

pub(crate) const PYTHON: Binary = Binary { name: "airflow-python", variable: "DAGTEL_AIRFLOW_PYTHON" };
/// The DAGs of `tests/airflow/dags`.
const DAGS: usize = 6;
const READY: Duration = Duration::from_secs(120);

/// A running Airflow. Everything that it started ends when it is dropped.
#[derive(Debug)]
pub struct Airflow {
    /// Decides what runs, and runs it (LocalExecutor).
    pub scheduler: Part,
    /// Reads the DAG files.
    pub dag_processor: Part,
    /// Answers tasks and people.
    pub api_server: Part,
    /// Waits for what deferred tasks wait for.
    pub triggerer: Part,
    environment: Vec<(&'static str, String)>,
    home: PathBuf,
    url: String,
    token: String,
}

impl Airflow {
    /// Starts one in `directory`, with these variables besides its own, and waits until it knows all DAGs.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(directory: &Path, variables: &[(&'static str, String)]) -> Self {
        let home = directory.join("airflow");
        fs::create_dir_all(home.join("config")).expect("its directory can be made");
        for name in ["airflow_local_settings.py", "patient_sqlite.py"] {
            let from = source("tests/airflow/config").join(name);
            fs::copy(from, home.join("config").join(name)).expect("settings can be copied");
        }
        let port = free();
        let mut environment = environment(&home, port);
        environment.extend(variables.iter().cloned());
        let plugin = install_plugin(directory);
        environment.push(("PYTHONPATH", plugin.display().to_string()));
        let part = |name, probes| Part {
            name,
            program: parts::find(&PYTHON),
            arguments: vec!["-m".into(), "airflow".into(), name.into()],
            environment: environment.clone(),
            directory: directory.to_owned(),
            probes,
            child: None,
        };
        let url = format!("http://127.0.0.1:{port}");
        let mut airflow = Self {
            scheduler: part("scheduler", Vec::new()),
            dag_processor: part("dag-processor", Vec::new()),
            api_server: part("api-server", vec![Probe::Http(format!("{url}/api/v2/version"))]),
            triggerer: part("triggerer", Vec::new()),
            environment: environment.clone(),
            home,
            url,
            token: String::new(),
        };
        airflow.command(&environment, &["db", "migrate"]);
        airflow.let_readers_and_writers_be();
        airflow.start_parts();
        airflow.token = airflow.ask_for_token();
        wait::until("all DAGs", READY, || {
            let known = airflow.rows().edges.len();
            if known == DAGS { Ok(()) } else { Err(format!("{known} DAGs are known")) }
        });
        airflow
    }

    fn start_parts(&mut self) {
        // It reads DAG files while the API server, which takes longest, comes up.
        self.dag_processor.start();
        self.api_server.start();
        self.scheduler.start();
        self.triggerer.start();
    }

    /// Ends all of its processes and starts them again, with the same database.
    ///
    /// # Panics
    /// When they do not start.
    #[track_caller]
    pub fn restart(&mut self) {
        for part in self.parts() {
            part.ask_to_end();
        }
        for part in self.parts() {
            part.stop();
        }
        self.start_parts();
    }

    /// Ends the scheduler and what it runs, and starts it again, with these variables in place of those that it had at
    /// first.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn restart_scheduler(&mut self, variables: &[(&'static str, String)]) {
        self.scheduler.stop();
        self.scheduler.environment.clone_from(&self.environment);
        self.scheduler.environment.extend(variables.iter().cloned());
        self.scheduler.start();
    }

    fn parts(&mut self) -> [&mut Part; 4] {
        [&mut self.scheduler, &mut self.dag_processor, &mut self.api_server, &mut self.triggerer]
    }

    fn command(&self, environment: &[(&'static str, String)], arguments: &[&str]) {
        let mut command = Command::new(parts::find(&PYTHON));
        command.args(["-m", "airflow"]).args(arguments).envs(environment.iter().cloned());
        let Output { status, stdout, stderr } = command.output().expect("Python can be started");
        assert!(
            status.success(),
            "airflow {arguments:?} ended with {status}.\n{}\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    }

    /// With a write-ahead log SQLite answers readers while somebody writes.
    fn let_readers_and_writers_be(&self) {
        let pragma = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('pragma journal_mode = wal')";
        let mut python = Command::new(parts::find(&PYTHON));
        let status = python.args(["-c", pragma]).arg(self.home.join("airflow.db")).status();
        assert!(status.is_ok_and(|status| status.success()), "the database can be opened");
    }

    fn ask_for_token(&self) -> String {
        let answer: Value = http::json(&http::agent(), &format!("{}/auth/token", self.url), &[])
            .expect("the API server gives everybody a token");
        answer["access_token"].as_str().expect("it is a text").to_owned()
    }

    /// Starts a run.
    ///
    /// # Panics
    /// When Airflow refuses.
    #[track_caller]
    pub fn trigger(&self, dag_id: &str, run_id: &str) {
        self.post(&format!("dags/{dag_id}/dagRuns"), &json!({"dag_run_id": run_id, "logical_date": null}));
    }

    /// Clears the failed task instances of a run and what is behind them, so that they run again.
    ///
    /// # Panics
    /// When Airflow refuses.
    #[track_caller]
    pub fn clear_failed(&self, dag_id: &str, run_id: &str) {
        let body = json!({"dry_run": false, "only_failed": true});
        self.post(&format!("dags/{dag_id}/dagRuns/{run_id}/clear"), &body);
    }

    /// Clears these tasks of a run, as a person does who wants them to run again.
    ///
    /// # Panics
    /// When Airflow refuses.
    #[track_caller]
    pub fn clear_tasks(&self, dag_id: &str, run_id: &str, task_ids: &[&str]) {
        let body =
            json!({"dry_run": false, "only_failed": false, "dag_run_id": run_id, "task_ids": task_ids});
        self.post(&format!("dags/{dag_id}/clearTaskInstances"), &body);
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) {
        // SQLite lets one write at a time, and Airflow does not wait long: it answers with an error, and nothing was done.
        wait::until(&format!("POST {path}"), READY, || {
            let request = http::agent()
                .post(format!("{}/api/v2/{path}", self.url))
                .header("Authorization", format!("Bearer {}", self.token));
            let mut response = request.send_json(body).map_err(|error| error.to_string())?;
            let text = response.body_mut().read_to_string().unwrap_or_default();
            // A request whose answer was lost was heard all the same.
            let heard = response.status().is_success() || response.status().as_u16() == 409;
            if heard { Ok(()) } else { Err(format!("{}: {text}", response.status())) }
        });
    }

    /// Its directory.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

impl Drop for Airflow {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for part in self.parts() {
                eprintln!("{}: {}", part.name, part.log_tail());
            }
        }
        for part in self.parts() {
            part.kill();
        }
        end_all_of(&self.home);
    }
}

/// Kills whatever runs with this home: workers and tasks outlive a killed scheduler. (Those that name themselves write the
/// name over their environment, but work where they were started.)
fn end_all_of(home: &Path) {
    let mark = format!("AIRFLOW_HOME={}", home.display());
    let is_of = |pid: &str| {
        let works_there =
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| home.parent() == Some(&*cwd));
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        works_there || environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().into_string().ok());
    for pid in pids.filter(|pid| is_of(pid)).filter_map(|pid| pid.parse().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Installs the plugin of this checkout as pip does, where nothing else is, and returns where.
fn install_plugin(directory: &Path) -> PathBuf {
    let target = directory.join("plugin");
    // pip builds in the source tree: several tests may install at a time.
    let copy = directory.join("plugin-source");
    let status = Command::new("cp").arg("-r").arg(source("integrations/airflow")).arg(&copy).status();
    assert!(status.is_ok_and(|status| status.success()), "the plugin can be copied");
    let mut pip = Command::new(parts::find(&PYTHON));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]);
    pip.args(["--disable-pip-version-check", "--target"]).arg(&target).arg(&copy);
    let output = pip.output().expect("Python can be started");
    assert!(output.status.success(), "pip: {}", String::from_utf8_lossy(&output.stderr));
    target
}

fn environment(home: &Path, port: u16) -> Vec<(&'static str, String)> {
    let text = |name, value: &str| (name, value.to_owned());
    vec![
        ("AIRFLOW_HOME", home.display().to_string()),
        ("AIRFLOW__CORE__DAGS_FOLDER", source("tests/airflow/dags").display().to_string()),
        text("AIRFLOW__CORE__EXECUTOR", "LocalExecutor"),
        text("AIRFLOW__CORE__PARALLELISM", "2"),
        text("AIRFLOW__CORE__LOAD_EXAMPLES", "False"),
        text("AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION", "False"),
        ("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", format!("http://127.0.0.1:{port}/execution/")),
        text("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True"),
        text("AIRFLOW__API__HOST", "127.0.0.1"),
        ("AIRFLOW__API__PORT", port.to_string()),
        text("AIRFLOW__API__WORKERS", "1"),
        text("AIRFLOW__API_AUTH__JWT_SECRET", "only this test's processes talk to each other with this"),
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", format!("sqlite:///{}", home.join("airflow.db").display())),
        text("AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS", "patient_sqlite.CONNECT_ARGS"),
        ("AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", free().to_string()),
        ("AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT", free().to_string()),
        text("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0.2"),
        text("AIRFLOW__COSMOS__ENABLE_CACHE", "False"),
        text("PYTHONDONTWRITEBYTECODE", "1"),
        ("DAGTEL_TEST_DBT_PROJECT", source("tests/airflow/dbt").display().to_string()),
        ("DAGTEL_TEST_DUCKDB", home.display().to_string()),
        ("DAGTEL_TEST_MENDED", home.join("mended").display().to_string()),
        ("DAGTEL_TEST_RELEASED", home.join("released").display().to_string()),
        ("DAGTEL_TEST_PROGRAM", parts::built("dagtel").display().to_string()),
    ]
}

/// Python of the environment that has Airflow, in the folder of the plugin.
pub fn python() -> Command {
    let mut python = Command::new(parts::find(&PYTHON));
    python.current_dir(source("integrations/airflow")).env("PYTHONDONTWRITEBYTECODE", "1");
    // Importing Airflow makes its home.
    python.env("AIRFLOW_HOME", std::env::temp_dir().join("dagtel-airflow-home"));
    python
}

/// A path in the checkout whose tests are running.
fn source(path: &str) -> PathBuf {
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).parent().expect("tests lie one below the root").join(path)
}
