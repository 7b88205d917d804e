//! From attributes of a description to the facts that events are made of.

use std::time::Duration;

use dagtel_core::catalog::attribute as key;
use dagtel_core::event::{Event, Fact, RunChange, RunState, TaskChange, TaskState};
use dagtel_core::key::{RunKey, TryKey, UNMAPPED};
use dagtel_core::value::{Attribute, SmolStr, Value};
use dagtel_usage::json::Dict;
use dagtel_usage::listener::{
    DAG_RUN, DagRunFacts, DagTasks, Profile, Status, TASK_INSTANCE, TaskInstanceFacts, dag_run_metrics,
    is_cosmos, task_instance_metrics,
};

/// The attributes of a description; of equal keys the first counts, as on spans.
#[derive(Clone, Copy)]
struct Known<'a>(&'a [Attribute]);

impl<'a> Known<'a> {
    fn get(self, key: SmolStr) -> Option<&'a Value> {
        self.0.iter().find_map(|(name, value)| (*name == key).then_some(value))
    }

    fn text(self, key: SmolStr) -> Option<&'a str> {
        self.get(key)?.as_str()
    }

    fn flag(self, key: SmolStr) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    fn count(self, key: SmolStr) -> usize {
        match self.get(key) {
            Some(Value::Int(count)) => usize::try_from(*count).unwrap_or_default(),
            _ => 0,
        }
    }

    fn list(self, key: SmolStr) -> &'a [SmolStr] {
        match self.get(key) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    fn seconds(self, key: SmolStr) -> Option<Duration> {
        match self.get(key)? {
            Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
            Value::Int(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            _ => None,
        }
    }

    fn profile(self) -> Option<Profile<'a>> {
        let (class, database) = (self.text(key::PROFILE_MAPPING_CLASS), self.text(key::DATABASE));
        match self.text(key::PROFILE_STRATEGY) {
            Some("mapping") => Some(Profile::Mapping { class, database }),
            Some("yaml_file") => Some(Profile::YamlFile { database }),
            _ => None,
        }
    }
}

/// Whether the DAG of which these are the attributes has tasks of Cosmos.
pub(super) fn concerns_run(attributes: &[Attribute]) -> bool {
    Known(attributes).count(key::COSMOS_TASK_COUNT) > 0
}

/// Whether the task of which these are the attributes is one of Cosmos.
pub(super) fn concerns_task(attributes: &[Attribute]) -> bool {
    let known = Known(attributes);
    known.text(key::OPERATOR_MODULE).is_some_and(is_cosmos)
        || known.flag(key::IS_COSMOS_OPERATOR_SUBCLASS) == Some(true)
}

pub(super) fn of_run(run: &RunKey, attributes: &[Attribute], status: Status) -> Option<Dict> {
    let known = Known(attributes);
    dag_run_metrics(&DagRunFacts {
        dag_id: &run.dag_id,
        dag_hash: known.text(key::DAG_HASH),
        status,
        tasks: DagTasks {
            count: known.count(key::TASK_COUNT),
            cosmos: known.count(key::COSMOS_TASK_COUNT),
            execution_modes: known.list(key::EXECUTION_MODES).iter().map(SmolStr::as_str).collect(),
        },
        metadata: known.text(key::DAG_METADATA),
    })
}

pub(super) fn of_task(task: &TryKey, attributes: &[Attribute], status: Status) -> Option<Dict> {
    let known = Known(attributes);
    let mapped = task.map_index != UNMAPPED || known.flag(key::IS_MAPPED) == Some(true);
    let module = known.text(key::OPERATOR_MODULE).unwrap_or_default();
    let command = known.text(key::DBT_COMMAND).unwrap_or_default();
    task_instance_metrics(&TaskInstanceFacts {
        status,
        operator_name: known.text(key::OPERATOR).unwrap_or_default(),
        module,
        // Those of Cosmos's own operators that are none have neither a command nor a callback to be described.
        is_dbt_operator: is_cosmos(module) || known.flag(key::IS_COSMOS_OPERATOR_SUBCLASS) == Some(true),
        invocation_mode: known.text(key::INVOCATION_MODE),
        execution_mode: known.text(key::EXECUTION_MODE),
        profile: known.profile(),
        map_index: mapped.then(|| task.map_index.max(0)),
        dbt_command: &[command],
        install_deps: known.flag(key::INSTALL_DEPS),
        has_callback: known.flag(key::HAS_CALLBACK) == Some(true),
        duration: known.seconds(key::DURATION),
    })
}

/// The type and the metrics of the usage event that the end of a run or a try makes. `None` when it is no end of which
/// the original would tell, or Cosmos is not concerned.
pub fn event_metrics(event: &Event) -> Option<(&'static str, Dict)> {
    match &event.fact {
        Fact::Run { change: RunChange::Finished(state), details } => {
            let status = match state {
                RunState::Success => Status::Success,
                RunState::Failed => Status::Failed,
                _ => return None,
            };
            let metrics = concerns_run(&details.attributes)
                .then(|| of_run(&event.run, &details.attributes, status))??;
            Some((DAG_RUN, metrics))
        }
        Fact::Task { key, change: TaskChange::Finished(state), details } => {
            let status = match state {
                TaskState::Success => Status::Success,
                TaskState::Failed | TaskState::UpForRetry => Status::Failed,
                _ => return None,
            };
            let metrics =
                concerns_task(&details.attributes).then(|| of_task(key, &details.attributes, status))??;
            Some((TASK_INSTANCE, metrics))
        }
        _ => None,
    }
}
