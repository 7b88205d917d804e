//! What the database has of a run, beside what Jaeger shows of it.

use std::collections::{BTreeMap, BTreeSet};

use dagtel::core::id::{RunIds, task_span_id};
use dagtel::core::key::{RunKey, TryKey};
use dagtel_system_tests::airflow::{Rows, RunRow, TryRow};
use dagtel_system_tests::jaeger::{Span, Trace};

/// One attempt of a run, as the database has it.
pub(crate) struct Attempt {
    pub(crate) key: RunKey,
    pub(crate) run: RunRow,
    pub(crate) tries: BTreeMap<TryKey, TryRow>,
    pub(crate) edges: Vec<(String, String)>,
}

impl Attempt {
    /// The rows of the attempt that is the run's last: those that began after the run was cleared, if it was.
    pub(crate) fn of(rows: &Rows, run: &RunRow) -> Self {
        let since = run.queued_at.filter(|_| run.clear_number > 0).unwrap_or(0);
        let mut attempt = Self::between(rows, run, since, u64::MAX);
        // A run that is on when it is cleared keeps its start; what is new begins where it is queued again.
        attempt.run.start_date = run.start_date.max(Some(since));
        attempt
    }

    /// The rows of the attempt that was ended by clearing tasks while it was on: `before` is the run as it was then, `after`
    /// as it went on.
    pub(crate) fn that_was_cleared(rows: &Rows, before: &RunRow, after: &RunRow) -> Self {
        let cleared = after.queued_at.expect("clearing queues it again");
        let mut attempt = Self::between(rows, before, 0, cleared);
        attempt.run.state = "cancelled".into();
        attempt.run.end_date = Some(cleared);
        attempt
    }

    fn between(rows: &Rows, run: &RunRow, since: u64, until: u64) -> Self {
        let is_of = |row: &&TryRow| {
            let began = row.start_date.or(row.end_date).unwrap_or(u64::MAX);
            row.dag_id == run.dag_id && row.run_id == run.run_id && (since..=until).contains(&began)
        };
        let earlier = rows.history.iter().filter(is_of).cloned().map(|mut row| {
            // The history has no word for a try that another one followed.
            if row.state.as_deref() == Some("failed") {
                row.state = Some("up_for_retry".into());
            }
            row
        });
        let tries = earlier.chain(rows.instances.iter().filter(is_of).cloned());
        let key = |row: &TryRow| TryKey {
            task_id: row.task_id.as_str().into(),
            map_index: row.map_index,
            try_number: row.try_number,
        };
        Self {
            key: RunKey {
                namespace: "default".into(),
                dag_id: run.dag_id.as_str().into(),
                run_id: run.run_id.as_str().into(),
                attempt: run.clear_number,
            },
            run: run.clone(),
            tries: tries.map(|row| (key(&row), row)).collect(),
            edges: rows.edges[&run.dag_id].clone(),
        }
    }

    pub(crate) fn span_id(&self, key: &TryKey) -> String {
        task_span_id(&self.key, key).to_string()
    }

    /// The last try of each instance of a task.
    pub(crate) fn last_tries(&self, task_id: &str) -> Vec<&TryKey> {
        let of = self.tries.keys().filter(|key| key.task_id == task_id);
        of.map(|key| (key.map_index, key)).collect::<BTreeMap<_, _>>().into_values().collect()
    }
}

/// An attempt beside what Jaeger shows of it.
pub(crate) struct Shown {
    pub(crate) attempt: Attempt,
    pub(crate) trace: Trace,
}

impl Shown {
    /// Every row is one span with its state and its times, every dependency is a link, and there is nothing else but the
    /// spans named in `also`.
    #[track_caller]
    pub(crate) fn agrees(&self, also: &[&str]) {
        let Self { attempt, trace } = self;
        let mut spans = BTreeMap::<&str, Vec<&Span>>::new();
        for span in &trace.spans {
            spans.entry(&span.id).or_default().push(span);
            assert_eq!(span.warnings, [""; 0], "{}", span.operation);
        }
        let mut only = |id: &str, what: &str| match spans.remove(id).as_deref() {
            Some([span]) => (*span).clone(),
            Some(more) => panic!("{what} has {} spans", more.len()),
            None => panic!("{what} has no span"),
        };
        let root = only(&RunIds::of(&attempt.key).span_id.to_string(), "the run");
        let run = &attempt.run;
        assert_eq!((root.parent(), text(&root, "state")), (None, run.state.as_str()));
        assert_eq!(
            Some(root.start_us),
            run.queued_at.min(run.start_date),
            "the run starts when it is queued"
        );
        assert_eq!(Some(root.start_us + root.duration_us), run.end_date, "the run ends as the database says");
        for (key, row) in &attempt.tries {
            let span = only(&attempt.span_id(key), &format!("{key:?}"));
            assert_eq!(span.parent(), Some(&*root.id), "{key:?}");
            assert_eq!(Some(text(&span, "state")), row.state.as_deref(), "{key:?}");
            // Airflow may give up on a task before it has a start.
            assert_eq!(Some(span.start_us), row.start_date.or(row.end_date), "the start of {key:?}");
            // What took no time is shown as a microsecond.
            let length = row.end_date.expect("it has ended") - span.start_us;
            assert_eq!(span.duration_us, length.max(1), "the length of {key:?}");
            let failed = matches!(row.state.as_deref(), Some("failed" | "up_for_retry"));
            assert_eq!(span.tags.contains_key("error"), failed, "{key:?} is an error if it failed");
            self.links(key, &span);
        }
        let more: BTreeSet<_> = spans.values().flatten().map(|span| span.operation.as_str()).collect();
        assert_eq!(more, also.iter().copied().collect(), "besides the rows");
    }

    #[track_caller]
    pub(crate) fn links(&self, key: &TryKey, span: &Span) {
        let linked: BTreeSet<_> = span.links().map(|link| link.span_id.as_str()).collect();
        let ups = self.attempt.edges.iter().filter(|(_, below)| *below == *key.task_id);
        for to in ups.flat_map(|(up, _)| self.attempt.last_tries(up)) {
            assert!(linked.contains(&*self.attempt.span_id(to)), "{key:?} is linked to {to:?}");
        }
        let before = TryKey { try_number: key.try_number.saturating_sub(1), ..key.clone() };
        if key.try_number > 1 && self.attempt.tries.contains_key(&before) {
            assert!(linked.contains(&*self.attempt.span_id(&before)), "{key:?} is linked to the try before");
        }
    }

    pub(crate) fn span(&self, operation: &str) -> &Span {
        self.trace.span(operation)
    }
}

pub(crate) fn text<'a>(span: &'a Span, key: &str) -> &'a str {
    span.tags.get(key).and_then(|value| value.as_str()).unwrap_or_default()
}

pub(crate) fn row<'a>(rows: &'a Rows, dag_id: &str, run_id: &str) -> &'a RunRow {
    let mut runs = rows.runs.iter();
    runs.find(|run| run.dag_id == dag_id && run.run_id == run_id).expect("the run is in the database")
}

pub(crate) fn events(span: &Span) -> Vec<&str> {
    span.logs.iter().filter_map(|log| log.fields.get("event")?.as_str()).collect()
}
