//! Keys of attributes.

use smol_str::SmolStr;

macro_rules! attributes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: SmolStr = SmolStr::new_static($text);)*

        /// Every key, in the order of declaration.
        pub const ALL: &[SmolStr] = &[$($name),*];

        /// Every key and what it says, in the order of declaration.
        pub const DESCRIBED: &[(&str, &str)] = &[$(($text, concat!($($doc),*))),*];

        /// The keys as plain texts, for comparing.
        #[expect(dead_code, reason = "not every key is compared with")]
        pub(crate) mod text {
            $(pub(crate) const $name: &str = $text;)*
        }
    };
}

attributes! {
    /// The DAG.
    DAG_ID = "dag_id";
    /// The run.
    RUN_ID = "run_id";
    /// How many times the run was cleared before.
    ATTEMPT = "attempt";
    /// The task.
    TASK_ID = "task_id";
    /// The index of a mapped task instance, -1 when it is not mapped.
    MAP_INDEX = "map_index";
    /// The try, from 1; 0 when the task instance never ran.
    TRY_NUMBER = "try_number";
    /// The state at the end.
    STATE = "state";
    /// What kind of run: `manual`, `scheduled`, `backfill`, `asset_triggered`.
    RUN_TYPE = "run_type";
    /// The date that the run is for, RFC 3339.
    LOGICAL_DATE = "logical_date";
    /// Start of the data interval, RFC 3339.
    DATA_INTERVAL_START = "data_interval_start";
    /// End of the data interval, RFC 3339. `dagrun.schedule_delay` counts from it.
    DATA_INTERVAL_END = "data_interval_end";
    /// When the run was created, RFC 3339.
    QUEUED_AT = "queued_at";
    /// Task instances in the run, tries not counted apart.
    TASK_COUNT = "task_count";
    /// Tasks of the DAG whose operator is one of Cosmos; a mapped one counts once.
    COSMOS_TASK_COUNT = "cosmos_task_count";
    /// The hash by which usage events name the DAG.
    DAG_HASH = "dag_hash";
    /// What Cosmos says about the DAG, compressed as it was put there. What is in it stands beside it as
    /// `dag_metadata.<key>`.
    DAG_METADATA = "dag_metadata";
    /// Why that could not be read.
    DAG_METADATA_ERROR = "dag_metadata.error";
    /// Distinct execution modes of the run's tasks.
    EXECUTION_MODES = "execution_modes";
    /// What triggered the run, in the engine's word.
    TRIGGERED_BY = "triggered_by";
    /// The class that does the work.
    OPERATOR = "operator";
    /// Where the work is done: Cosmos's `local`, `virtualenv`, `kubernetes`, …, or the engine's own word.
    EXECUTION_MODE = "execution_mode";
    /// The Python module of the operator's class: `cosmos.operators.local`.
    OPERATOR_MODULE = "operator_module";
    /// Whether the operator is a user's own class that derives from Cosmos's base class of dbt operators.
    IS_COSMOS_OPERATOR_SUBCLASS = "is_cosmos_operator_subclass";
    /// How Cosmos calls dbt: `dbt_runner`, `subprocess`.
    INVOCATION_MODE = "invocation_mode";
    /// Where dbt's connection comes from: `mapping`, `yaml_file`.
    PROFILE_STRATEGY = "profile_strategy";
    /// The class that makes dbt's connection of an Airflow connection.
    PROFILE_MAPPING_CLASS = "profile_mapping_class";
    /// The type of the database: `postgres`.
    DATABASE = "database";
    /// The words of the dbt command: `run --full-refresh`.
    DBT_COMMAND = "dbt_command";
    /// Whether `dbt deps` runs first.
    INSTALL_DEPS = "install_deps";
    /// The pool.
    POOL = "pool";
    /// The queue.
    QUEUE = "queue";
    /// The executor that a try was given to, by its class.
    EXECUTOR = "executor";
    /// The host it ran on.
    HOSTNAME = "hostname";
    /// Whether the task is mapped.
    IS_MAPPED = "is_mapped";
    /// Whether the task has call-backs.
    HAS_CALLBACK = "has_callback";
    /// Seconds from start to end.
    DURATION = "duration_s";
    /// Seconds from queued to start.
    QUEUED_DURATION = "queued_duration_s";
    /// Seconds from scheduled to queued.
    SCHEDULED_DURATION = "scheduled_duration_s";
    /// Ids of upstream tasks to which no link could be made, because none of their tries is known.
    UPSTREAM_TASK_IDS = "upstream_task_ids";
    /// The kind of a link: `dependency`, `retry_of`, `culprit`, `trigger`.
    LINK_TYPE = "link.type";
    /// Which way a dependency link points: always `upstream`.
    LINK_DIRECTION = "link.direction";
    /// The class of an error, of low cardinality.
    ERROR_TYPE = "error.type";
    /// The type of an exception.
    EXCEPTION_TYPE = "exception.type";
    /// The message of an exception.
    EXCEPTION_MESSAGE = "exception.message";
    /// The stack trace of an exception.
    EXCEPTION_STACKTRACE = "exception.stacktrace";
    /// The most memory that all processes of the try had together, in bytes.
    MEMORY_PEAK_BYTES = "memory_peak_bytes";
    /// How that was measured: `cgroup`, `vmhwm`, `rusage`, `sampled_rss`, `sampled_pss`.
    MEMORY_PEAK_METHOD = "memory_peak_method";
    /// The memory that all processes of the running try have together, in bytes: for `task.memory.usage`, not for spans.
    MEMORY_USAGE_BYTES = "memory_usage_bytes";
    /// How that was measured.
    MEMORY_USAGE_METHOD = "memory_usage_method";
    /// User and system time of all processes of the try together, in seconds.
    CPU_TIME = "cpu_time_s";
    /// How a metric was measured.
    METHOD = "method";
    /// The W3C `traceparent` of the span in which a try was started. In the run's own trace it becomes the parent of the
    /// try's span, from another one a link (`trigger`); it is no attribute of the span.
    TRACEPARENT = "traceparent";
    /// Steps of a pass that were more than a pass has room for, and are not told.
    DROPPED_STEPS = "dropped_steps";
    /// The host of the process that logged a line: of its resource.
    HOST_NAME = "host.name";
    /// What tells a line that comes twice from another one that is alike. Lines that an agent forwards have it.
    LOG_RECORD_UID = "log.record.uid";
    /// `stdout` or `stderr`: where a line was written to.
    LOG_IOSTREAM = "log.iostream";
    /// The module of a line that was logged through `tracing`.
    LOG_TARGET = "log.target";
    /// How bad a line is that is an event of a span.
    LOG_SEVERITY = "log.severity";
    /// The text of a line that is an event of a span.
    LOG_MESSAGE = "log.message";
    /// How many bytes a line had before it was cut.
    BODY_BYTES = "body_bytes";
    /// The process that ran it.
    PROCESS_PID = "process.pid";
    /// Its program, without the directory.
    PROCESS_EXECUTABLE_NAME = "process.executable.name";
    /// Its arguments, the program first; only on request.
    PROCESS_COMMAND_ARGS = "process.command_args";
    /// Its exit code; 128 and the signal when a signal ended it.
    PROCESS_EXIT_CODE = "process.exit.code";
    /// OpenTelemetry's name for the DAG.
    CICD_PIPELINE_NAME = "cicd.pipeline.name";
    /// OpenTelemetry's name for the run.
    CICD_PIPELINE_RUN_ID = "cicd.pipeline.run.id";
    /// OpenTelemetry's word for how the run ended.
    CICD_PIPELINE_RESULT = "cicd.pipeline.result";
    /// OpenTelemetry's name for the task.
    CICD_PIPELINE_TASK_NAME = "cicd.pipeline.task.name";
    /// OpenTelemetry's name for the try: `<run_id>/<task_id>/<map_index>/<try_number>`.
    CICD_PIPELINE_TASK_RUN_ID = "cicd.pipeline.task.run.id";
    /// OpenTelemetry's word for how the try ended.
    CICD_PIPELINE_TASK_RUN_RESULT = "cicd.pipeline.task.run.result";
}
