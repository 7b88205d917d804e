//! Live progress: a line for each task instance, drawn again in place while somebody watches, told as it happens
//! otherwise. It learns of everything as a listener, like any user's code would.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use dagtel::{DagRun, Exception, Listener, TaskInstance};

use super::dag::Dag;
use crate::terminal;

/// Draws the state of every task instance.
pub(super) struct Progress {
    rows: Mutex<Rows>,
    watched: bool,
}

struct Rows {
    rows: Vec<Row>,
    began: Instant,
    drawn: bool,
}

struct Row {
    name: String,
    mark: Mark,
    text: String,
}

#[derive(Clone, Copy)]
enum Mark {
    Waiting,
    Running,
    Success,
    Retry,
    Failed,
    Skipped,
}

impl Mark {
    fn draw(self) -> (&'static str, Style) {
        match self {
            Self::Waiting => ("·", Style::new().dimmed()),
            Self::Running => ("▸", AnsiColor::Cyan.on_default()),
            Self::Success => ("✓", AnsiColor::Green.on_default()),
            Self::Retry => ("↻", AnsiColor::Yellow.on_default()),
            Self::Failed => ("✗", AnsiColor::Red.on_default()),
            Self::Skipped => ("↷", AnsiColor::Yellow.on_default()),
        }
    }
}

impl Progress {
    pub(super) fn new(dag: &Dag) -> Self {
        let rows = dag.instances.iter().map(|instance| Row {
            name: name(instance.task_id, instance.map_index),
            mark: Mark::Waiting,
            text: String::new(),
        });
        let rows = Rows { rows: rows.collect(), began: Instant::now(), drawn: false };
        Self { rows: Mutex::new(rows), watched: terminal::is_watched() }
    }

    fn set(&self, task: &TaskInstance, mark: Mark, text: &str) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let key = task.key();
        let name = name(&key.task_id, (key.map_index >= 0).then_some(key.map_index));
        let elapsed = rows.began.elapsed().as_secs_f64();
        let text =
            if text.is_empty() { format!("{elapsed:6.2} s") } else { format!("{elapsed:6.2} s  {text}") };
        if let Some(row) = rows.rows.iter_mut().find(|row| row.name == name) {
            row.mark = mark;
            row.text = text;
            if !self.watched {
                let line = row.line();
                let _ = writeln!(anstream::stderr().lock(), "{line}");
            }
        }
        if self.watched {
            rows.draw();
        }
    }
}

impl Rows {
    fn draw(&mut self) {
        let mut frame = String::new();
        if self.drawn {
            // Back to the first line of the frame before.
            let _ = write!(frame, "\x1b[{}A", self.rows.len());
        }
        for row in &self.rows {
            let _ = writeln!(frame, "\x1b[2K{}", row.line());
        }
        self.drawn = true;
        let _ = anstream::stderr().lock().write_all(frame.as_bytes());
    }
}

impl Row {
    fn line(&self) -> String {
        let (mark, style) = self.mark.draw();
        format!("  {style}{mark}{style:#} {:<12} {}", self.name, self.text)
    }
}

fn name(task_id: &str, map_index: Option<i32>) -> String {
    match map_index {
        Some(index) => format!("{task_id}[{index}]"),
        None => task_id.to_owned(),
    }
}

impl Listener for Progress {
    fn on_dag_run_running(&self, run: &DagRun) {
        let key = run.key();
        terminal::note(&format!("DAG {}, run {}", key.dag_id, key.run_id));
    }

    fn on_task_instance_running(&self, _: &DagRun, task: &TaskInstance) {
        let try_number = task.key().try_number;
        let text = if try_number > 1 { format!("try {try_number}") } else { String::new() };
        self.set(task, Mark::Running, &text);
    }

    fn on_task_instance_success(&self, _: &DagRun, task: &TaskInstance) {
        self.set(task, Mark::Success, "");
    }

    fn on_task_instance_failed(
        &self,
        _: &DagRun,
        task: &TaskInstance,
        error: Option<&Exception>,
        will_retry: bool,
    ) {
        let text = error.map(|error| format!("{}: {}", error.kind, error.message)).unwrap_or_default();
        self.set(task, if will_retry { Mark::Retry } else { Mark::Failed }, &text);
    }

    fn on_task_instance_skipped(&self, _: &DagRun, task: &TaskInstance) {
        self.set(task, Mark::Skipped, "");
    }
}
