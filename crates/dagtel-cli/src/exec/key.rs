//! Of which run and which try a command is: by its options, and by what an outer `dagtel` left in the environment.

use std::ffi::OsString;

use clap::Args;
use dagtel::core::id::{RunIds, task_span_id, traceparent};
use dagtel::core::key::{DEFAULT_NAMESPACE, RunKey, TryKey};

/// The variables that carry the keys to child processes. `TRACEPARENT` and `TRACESTATE` are those of the W3C's and
/// OpenTelemetry's convention for processes.
pub(crate) const NAMESPACE: &str = "DAGTEL_NAMESPACE";
pub(crate) const DAG_ID: &str = "DAGTEL_DAG_ID";
pub(crate) const RUN_ID: &str = "DAGTEL_RUN_ID";
pub(crate) const ATTEMPT: &str = "DAGTEL_ATTEMPT";
pub(crate) const TASK_ID: &str = "DAGTEL_TASK_ID";
pub(crate) const MAP_INDEX: &str = "DAGTEL_MAP_INDEX";
pub(crate) const TRY_NUMBER: &str = "DAGTEL_TRY_NUMBER";
pub(crate) const TRACEPARENT: &str = "TRACEPARENT";
pub(crate) const TRACESTATE: &str = "TRACESTATE";

/// What names a run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// The deployment [env: DAGTEL_NAMESPACE]
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// The DAG [env: DAGTEL_DAG_ID]
    #[arg(long)]
    pub(crate) dag_id: Option<String>,
    /// The run [env: DAGTEL_RUN_ID]
    #[arg(long)]
    pub(crate) run_id: Option<String>,
    /// How many times the run was cleared before [env: DAGTEL_ATTEMPT]
    #[arg(long)]
    pub(crate) attempt: Option<u32>,
}

/// Looks up a variable of the environment; passed in, so that tests need not change their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Which run, and who opens it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) key: RunKey,
    /// Whether nobody else opens and closes it.
    pub(crate) own: bool,
    /// The span in which this process was started.
    pub(crate) outer: Option<String>,
}

impl RunArgs {
    /// The options first; what they leave open is taken from the environment, as far as that is about the same DAG.
    pub(crate) fn resolve(&self, env: Environment<'_>) -> Result<Run, String> {
        let outer_dag = env(DAG_ID);
        let dag_id = self.dag_id.clone().or_else(|| outer_dag.clone());
        let dag_id = dag_id.ok_or("which DAG? Say --dag-id, or set DAGTEL_DAG_ID.")?;
        let same = outer_dag.is_none_or(|outer| outer == dag_id);
        let inherited = |name| if same { env(name) } else { None };
        let run_id = self.run_id.clone().or_else(|| inherited(RUN_ID));
        // Set by `dagtel` itself; should it be something else, that is no reason not to run a command.
        let attempt = self.attempt.or_else(|| inherited(ATTEMPT)?.parse().ok()).unwrap_or(0);
        let namespace = self.namespace.clone().or_else(|| env(NAMESPACE)).map(Into::into);
        let key = RunKey {
            namespace: namespace.unwrap_or(DEFAULT_NAMESPACE),
            dag_id: dag_id.into(),
            run_id: run_id.clone().unwrap_or_else(new_run_id).into(),
            attempt,
        };
        Ok(Run {
            key: key.clipped().0,
            own: run_id.is_none(),
            outer: env(TRACEPARENT).filter(|_| propagates(env)),
        })
    }
}

/// Whether the trace context goes from process to process: of the propagators of `OTEL_PROPAGATORS` dagtel knows
/// `tracecontext`, which is the default. Keys of runs and tries are passed on in any case.
fn propagates(env: Environment<'_>) -> bool {
    let named = env("OTEL_PROPAGATORS").filter(|named| !named.trim().is_empty());
    named.is_none_or(|named| named.split(',').any(|name| name.trim() == "tracecontext"))
}

/// An id for a run that nobody has named: two that begin in one microsecond on two hosts still differ.
fn new_run_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let now = dagtel::core::time::Timestamp::from(std::time::SystemTime::now());
    let mut chance = std::collections::hash_map::RandomState::new().build_hasher();
    chance.write_u32(std::process::id());
    format!("manual__{now}_{:08x}", chance.finish() & u64::from(u32::MAX))
}

/// What a command inside this run, and this try, finds in its environment. `None` as a value: the variable is removed.
pub(crate) fn for_child(
    run: &RunKey,
    task: Option<&TryKey>,
    env: Environment<'_>,
) -> Vec<(&'static str, Option<OsString>)> {
    let ids = RunIds::of(run);
    let span_id = task.map_or(ids.span_id, |task| task_span_id(run, task));
    let set = |name, value: &str| (name, Some(OsString::from(value)));
    let mut variables = vec![
        set(NAMESPACE, &run.namespace),
        set(DAG_ID, &run.dag_id),
        set(RUN_ID, &run.run_id),
        set(ATTEMPT, &run.attempt.to_string()),
    ];
    if let Some(task) = task {
        variables.push(set(TASK_ID, &task.task_id));
        variables.push(set(MAP_INDEX, &task.map_index.to_string()));
        variables.push(set(TRY_NUMBER, &task.try_number.to_string()));
    }
    if !propagates(env) {
        return variables;
    }
    variables.push(set(TRACEPARENT, &traceparent(ids.trace_id, span_id)));
    // The state belongs to the trace that it came with.
    let same_trace = env(TRACEPARENT).is_some_and(|outer| outer.contains(&ids.trace_id.to_string()));
    if !same_trace {
        variables.push((TRACESTATE, None));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_context_is_passed_on_where_its_propagator_is_named() {
        let run = RunKey::new("d", "r");
        for (named, passed) in [
            (None, true),
            (Some(""), true),
            (Some("baggage, tracecontext"), true),
            (Some("b3"), false),
            (Some("none"), false),
        ] {
            let env = |name: &str| (name == "OTEL_PROPAGATORS").then(|| named.map(str::to_owned)).flatten();
            let variables = for_child(&run, None, &env);
            assert_eq!(variables.iter().any(|(name, _)| *name == TRACEPARENT), passed, "{named:?}");
            assert!(variables.iter().any(|(name, _)| *name == RUN_ID));
        }
    }

    fn resolve(args: &RunArgs, env: &[(&str, &str)]) -> Result<Run, String> {
        args.resolve(&|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn dag(dag_id: &str) -> RunArgs {
        RunArgs { dag_id: Some(dag_id.to_owned()), ..RunArgs::default() }
    }

    #[test]
    fn options_come_before_the_environment() {
        let env = [(DAG_ID, "d"), (RUN_ID, "r"), (ATTEMPT, "3"), (TRACEPARENT, "00-…")];
        let run = resolve(&RunArgs { run_id: Some("x".into()), ..dag("d") }, &env).unwrap();
        assert_eq!((&*run.key.run_id, run.key.attempt, run.own), ("x", 3, false));
        let run = resolve(&RunArgs::default(), &env).unwrap();
        assert_eq!((&*run.key.dag_id, &*run.key.run_id, run.own), ("d", "r", false));
        assert_eq!(run.outer.as_deref(), Some("00-…"));
    }

    #[test]
    fn another_dag_does_not_join_the_run_around_it() {
        let run = resolve(&dag("other"), &[(DAG_ID, "d"), (RUN_ID, "r"), (ATTEMPT, "3")]).unwrap();
        assert!(run.own && run.key.run_id != "r" && run.key.attempt == 0);
    }

    #[test]
    fn runs_that_nobody_named_differ() {
        let [a, b] = [(); 2].map(|()| resolve(&dag("d"), &[]).unwrap().key.run_id);
        assert_ne!(a, b);
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(resolve(&RunArgs::default(), &[]).unwrap_err().contains("--dag-id"));
    }

    #[test]
    fn the_state_of_another_trace_is_not_passed_on() {
        let run = RunKey::new("d", "r");
        let own = traceparent(RunIds::of(&run).trace_id, RunIds::of(&run).span_id);
        let passed = |outer: &str| {
            let variables = for_child(&run, None, &|name| (name == TRACEPARENT).then(|| outer.to_owned()));
            !variables.contains(&(TRACESTATE, None))
        };
        assert!(passed(&own));
        assert!(!passed("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    }
}
