//! The metrics that only an engine can count: a method of the facade's `Metrics` for each.

/// Calls a macro with every metric that is offered to engines. A row is
///
/// `method: Handle "name" "unit" { tags to give } (tags = "that are fixed") + team_name "legacy name" "description";`
///
/// where `+ team_name` stands on those that Airflow tags so in a deployment of several teams, and `-` for no legacy
/// name, as in Airflow's registry. The facade makes its methods of the same rows.
#[doc(hidden)]
#[macro_export]
macro_rules! offered_metrics {
    ($generate:ident) => { $generate! {
        job_start: Counter "job_start" "{job}" {} () "-"
            "Jobs (scheduler, triggerer, DAG processor) that started";
        job_end: Counter "job_end" "{job}" {} () "-"
            "Jobs that came to their end";
        job_heartbeat_failure: Counter "job_heartbeat_failure" "{heartbeat}" {} () "-"
            "Heartbeats that a job could not write down";
        local_task_job_task_exit: Counter "local_task_job.task_exit" "{task}"
            { job_id, dag_id, task_id, return_code } ()
            "local_task_job.task_exit.{job_id}.{dag_id}.{task_id}.{return_code}"
            "Task processes that ended, by exit code";
        resumable_job_fresh_submit: Counter "resumable_job.fresh_submit" "{job}" { operator } () + team_name "-"
            "Outside jobs that were submitted because none was known";
        resumable_job_already_succeeded: Counter "resumable_job.already_succeeded" "{job}" { operator } ()
            + team_name "-" "Outside jobs that had succeeded when their task came back to them";
        resumable_job_terminal_resubmit: Counter "resumable_job.terminal_resubmit" "{job}" { operator } ()
            + team_name "-" "Outside jobs that were submitted again because the known one had failed";
        resumable_job_reconnect_attempt: Counter "resumable_job.reconnect_attempt" "{attempt}" { operator } ()
            + team_name "-" "Attempts of a retried task to take up its outside job again";
        resumable_job_reconnect_success: Counter "resumable_job.reconnect_success" "{attempt}" { operator } ()
            + team_name "-" "Outside jobs that a retried task took up again while they ran";
        previously_succeeded: Counter "previously_succeeded" "{task}" { dag_id, task_id } () + team_name "-"
            "Task instances that had succeeded before they were to run";
        task_instances_without_heartbeats_killed: Counter "task_instances_without_heartbeats_killed" "{task}"
            { dag_id, task_id } () + team_name "-" "Task instances that were killed because they gave no sign of life";
        scheduler_heartbeat: Counter "scheduler_heartbeat" "{heartbeat}" {} () "-"
            "Signs of life of the scheduler";
        dag_processor_heartbeat: Counter "dag_processor_heartbeat" "{heartbeat}" {} () "-"
            "Signs of life of the DAG processor";
        triggerer_heartbeat: Counter "triggerer_heartbeat" "{heartbeat}" {} () + team_name "-"
            "Signs of life of the triggerer";
        dag_processing_processes: UpDownCounter "dag_processing.processes" "{process}" { file_path, action } ()
            + team_name "-" "Processes that parse DAG files: up at the start of one, down at its end";
        dag_processing_processor_timeouts: Counter "dag_processing.processor_timeouts" "{process}" { file_path } ()
            + team_name "-" "Processes that were killed because a DAG file took too long to parse";
        dag_processing_other_callback_count: Counter "dag_processing.other_callback_count" "{callback}" {} ()
            + team_name "-" "Call-backs that the DAG processor was asked to run";
        dag_processing_callback_only_count: Counter "dag_processing.callback_only_count" "{process}" {} ()
            + team_name "-" "Processes that ran call-backs of a DAG file and did not parse it whole";
        dag_processing_file_path_queue_update_count: Counter "dag_processing.file_path_queue_update_count" "{scan}"
            {} () "-" "Times that the DAG folder was scanned and its files were queued";
        dag_file_processor_timeouts: Counter "dag_file_processor_timeouts" "{process}" {} () "-"
            "Old name of dag_processing.processor_timeouts; Airflow 3.3 no longer emits it";
        dag_processing_manager_stalls: Counter "dag_processing.manager_stalls" "{stall}" {} () "-"
            "Times that the DAG processor stood still; Airflow 3.3 no longer emits it";
        dag_file_refresh_error: Counter "dag_file_refresh_error" "{file}" {} () "-"
            "DAG files that could not be loaded; Airflow 3.3 no longer emits it";
        scheduler_tasks_killed_externally: Counter "scheduler.tasks.killed_externally" "{task}" { dag_id, task_id } ()
            + team_name "-" "Task instances that somebody other than the engine ended";
        scheduler_orphaned_tasks_cleared: Counter "scheduler.orphaned_tasks.cleared" "{task}" {} () "-"
            "Task instances that were left behind by a dead scheduler and begin anew";
        scheduler_orphaned_tasks_adopted: Counter "scheduler.orphaned_tasks.adopted" "{task}" {} () "-"
            "Task instances that were left behind by a dead scheduler and go on under this one";
        scheduler_critical_section_busy: Counter "scheduler.critical_section_busy" "{attempt}" {} () "-"
            "Times that the scheduler found its critical section locked by another";
        dag_callback_exceptions: Counter "dag.callback_exceptions" "{exception}" { dag_id } () + team_name "-"
            "Exceptions in call-backs of a DAG";
        celery_task_timeout_error: Counter "celery.task_timeout_error" "{task}" {} () + team_name "-"
            "Tasks that could not be handed to the Celery broker in time";
        celery_execute_command_failure: Counter "celery.execute_command.failure" "{task}" {} () "-"
            "Celery tasks whose command ended with another exit code than 0";
        task_removed_from_dag: Counter "task_removed_from_dag" "{task}" { dag_id, run_type } () + team_name
            "task_removed_from_dag.{dag_id}" "Task instances whose task is no longer in the DAG";
        task_restored_to_dag: Counter "task_restored_to_dag" "{task}" { dag_id, run_type } () + team_name
            "task_restored_to_dag.{dag_id}" "Task instances whose task is in the DAG again";
        task_instance_created: Counter "task_instance_created" "{task}" { dag_id, run_type, task_type } () + team_name
            "task_instance_created_{task_type}" "Task instances that were created";
        triggers_blocked_main_thread: Counter "triggers.blocked_main_thread" "{trigger}" {} () "-"
            "Times that a trigger held up the triggerer's event loop";
        triggers_failed: Counter "triggers.failed" "{trigger}" {} () + team_name "-"
            "Triggers that failed before they fired";
        triggers_succeeded: Counter "triggers.succeeded" "{trigger}" {} () + team_name "-"
            "Triggers that fired";
        asset_updates: Counter "asset.updates" "{asset}" {} () + team_name "-"
            "Updates of assets";
        asset_triggered_dagruns: Counter "asset.triggered_dagruns" "{run}" {} () + team_name "-"
            "DAG runs that an update of an asset triggered";
        asset_orphaned: Gauge "asset.orphaned" "{asset}" {} () "-"
            "Assets to which no DAG refers any more";
        deadline_alerts_deadline_created: Counter "deadline_alerts.deadline_created" "{deadline}" { dag_id } ()
            + team_name "-" "Deadlines that were set for DAG runs";
        deadline_alerts_deadline_missed: Counter "deadline_alerts.deadline_missed" "{deadline}" { dag_id, dagrun_id } ()
            + team_name "-" "DAG runs that missed their deadline";
        deadline_alerts_deadline_not_missed: Counter "deadline_alerts.deadline_not_missed" "{deadline}"
            { dag_id, dagrun_id } () + team_name "-" "DAG runs that kept their deadline";
        ol_emit_failed: Counter "ol.emit.failed" "{event}" {} () + team_name "-"
            "OpenLineage events that could not be emitted";
        api_server_dag_bag_cache_hit: Counter "api_server.dag_bag.cache_hit" "{lookup}" {} () "-"
            "DAGs that the API server found in its cache";
        api_server_dag_bag_cache_miss: Counter "api_server.dag_bag.cache_miss" "{lookup}" {} () "-"
            "DAGs that the API server did not find in its cache";
        api_server_dag_bag_cache_clear: Counter "api_server.dag_bag.cache_clear" "{clear}" {} () "-"
            "Times that the API server emptied its cache of DAGs";
        api_server_dag_bag_cache_size: Gauge "api_server.dag_bag.cache_size" "{dag}" {} () "-"
            "DAGs in the cache of the API server";
        scheduler_dag_bag_cache_hit: Counter "scheduler.dag_bag.cache_hit" "{lookup}" {} () "-"
            "DAGs that the scheduler found in its cache";
        scheduler_dag_bag_cache_miss: Counter "scheduler.dag_bag.cache_miss" "{lookup}" {} () "-"
            "DAGs that the scheduler did not find in its cache";
        scheduler_dag_bag_cache_clear: Counter "scheduler.dag_bag.cache_clear" "{clear}" {} () "-"
            "Times that the scheduler emptied its cache of DAGs";
        scheduler_dag_bag_cache_size: Gauge "scheduler.dag_bag.cache_size" "{dag}" {} () "-"
            "DAGs in the cache of the scheduler";
        connection_test_success: Counter "connection_test.success" "{test}" {} () "-"
            "Tests of connections that succeeded";
        connection_test_failed: Counter "connection_test.failed" "{test}" {} () "-"
            "Tests of connections that failed";
        connection_test_reaped: Counter "connection_test.reaped" "{test}" { prior_state } () "-"
            "Tests of connections that were given up, by the state they were in";
        connection_test_active: Gauge "connection_test.active" "{test}" {} () "-"
            "Tests of connections that are queued or run";
        connection_test_pending: Gauge "connection_test.pending" "{test}" {} () "-"
            "Tests of connections that wait to be queued";
        connection_test_dispatch_duration: Histogram "connection_test.dispatch_duration" "s" {} () "-"
            "Time to hand a test of a connection to a worker";
        connection_test_hook_duration: Histogram "connection_test.hook_duration" "s" {} () "-"
            "Time that a test of a connection took in its hook";
        dagbag_size: Gauge "dagbag_size" "{dag}" {} () "-"
            "DAGs that were found at the last scan";
        dag_processing_import_errors: Gauge "dag_processing.import_errors" "{error}" {} () "-"
            "DAG files that could not be parsed at the last scan";
        dag_processing_total_parse_time: DurationGauge "dag_processing.total_parse_time" "s" {} () "-"
            "Time that the last scan took to parse all DAG files";
        dag_processing_file_path_queue_size: Gauge "dag_processing.file_path_queue_size" "{file}" {} () "-"
            "DAG files that wait to be parsed";
        dag_processing_last_run_seconds_ago: DurationGauge "dag_processing.last_run.seconds_ago" "s"
            { file_path, bundle_name, file_name } () + team_name "dag_processing.last_run.seconds_ago.{file_name}"
            "Time since a DAG file was parsed last";
        dag_processing_last_num_of_db_queries: Gauge "dag_processing.last_num_of_db_queries" "{query}" { dag_file } ()
            "dag_processing.last_num_of_db_queries.{dag_file}"
            "Database queries of the last parsing of a DAG file; Airflow 3.3 no longer emits it";
        dag_processing_last_duration: Histogram "dag_processing.last_duration" "s" { bundle_name, file_name } ()
            + team_name "dag_processing.last_duration.{bundle_name}.{file_name}" "Time to parse a DAG file";
        collect_db_dags: Histogram "collect_db_dags" "s" {} () "-"
            "Time to fetch all DAGs from the database; Airflow 3.3 no longer emits it";
        scheduler_tasks_starving: Gauge "scheduler.tasks.starving" "{task}" {} () "-"
            "Task instances that cannot run because their pool has no free slot";
        scheduler_tasks_executable: Gauge "scheduler.tasks.executable" "{task}" {} () "-"
            "Task instances that may be queued now, all limits considered";
        scheduler_dagruns_running: Gauge "scheduler.dagruns.running" "{run}" {} () "-"
            "DAG runs in the state running";
        scheduler_critical_section_duration: Histogram "scheduler.critical_section_duration" "s" {} () "-"
            "Time that the scheduler spent in its critical section";
        scheduler_critical_section_query_duration: Histogram "scheduler.critical_section_query_duration" "s" {} () "-"
            "Time of the query for task instances in the critical section";
        scheduler_scheduler_loop_duration: Histogram "scheduler.scheduler_loop_duration" "s" {} () "-"
            "Time of one pass of the scheduler's loop";
        scheduler_executor_heartbeat_duration: Histogram "scheduler.executor_heartbeat_duration" "s" { executor } ()
            "-" "Time that an executor took in one pass of the scheduler's loop";
        executor_open_slots: Gauge "executor.open_slots" "{slot}" { executor_class_name } (status = "open") + team_name
            "executor.open_slots.{executor_class_name}" "Task instances that an executor would still take";
        executor_queued_tasks: Gauge "executor.queued_tasks" "{task}" { executor_class_name } (status = "queued")
            + team_name "executor.queued_tasks.{executor_class_name}" "Task instances that wait in an executor";
        executor_running_tasks: Gauge "executor.running_tasks" "{task}" { executor_class_name } (status = "running")
            + team_name "executor.running_tasks.{executor_class_name}" "Task instances that an executor runs";
        pool_open_slots: Gauge "pool.open_slots" "{slot}" { pool_name } () + team_name
            "pool.open_slots.{pool_name}" "Free slots of a pool";
        pool_queued_slots: Gauge "pool.queued_slots" "{slot}" { pool_name } () + team_name
            "pool.queued_slots.{pool_name}" "Slots of a pool that queued task instances hold";
        pool_running_slots: Gauge "pool.running_slots" "{slot}" { pool_name } () + team_name
            "pool.running_slots.{pool_name}" "Slots of a pool that running task instances hold";
        pool_deferred_slots: Gauge "pool.deferred_slots" "{slot}" { pool_name } () + team_name
            "pool.deferred_slots.{pool_name}" "Slots of a pool that deferred task instances hold";
        pool_scheduled_slots: Gauge "pool.scheduled_slots" "{slot}" { pool_name } () + team_name
            "pool.scheduled_slots.{pool_name}" "Slots of a pool for which scheduled task instances wait";
        pool_starving_tasks: Gauge "pool.starving_tasks" "{task}" { pool_name } () + team_name
            "pool.starving_tasks.{pool_name}" "Task instances that found no free slot in their pool";
        triggers_running: Gauge "triggers.running" "{trigger}" { hostname } () + team_name
            "triggers.running.{hostname}" "Triggers that a triggerer runs";
        triggerer_capacity_left: Gauge "triggerer.capacity_left" "{trigger}" { hostname } () + team_name
            "triggerer.capacity_left.{hostname}" "Triggers that a triggerer would still take";
        ti_scheduled: Gauge "ti.scheduled" "{task}" { queue, dag_id, task_id } () + team_name
            "ti.scheduled.{queue}.{dag_id}.{task_id}" "Task instances in the state scheduled";
        ti_queued: Gauge "ti.queued" "{task}" { queue, dag_id, task_id } () + team_name
            "ti.queued.{queue}.{dag_id}.{task_id}" "Task instances in the state queued";
        ti_running: Gauge "ti.running" "{task}" { queue, dag_id, task_id } () + team_name
            "ti.running.{queue}.{dag_id}.{task_id}" "Task instances in the state running";
        ti_deferred: Gauge "ti.deferred" "{task}" { queue, dag_id, task_id } () + team_name
            "ti.deferred.{queue}.{dag_id}.{task_id}" "Task instances in the state deferred";
        dagrun_dependency_check: Histogram "dagrun.dependency-check" "s" { dag_id, run_type } () + team_name
            "dagrun.dependency-check.{dag_id}" "Time to find out which tasks of a DAG run may go on";
        dagrun_first_task_scheduling_delay: Histogram "dagrun.first_task_scheduling_delay" "s" { dag_id, run_type } ()
            + team_name "dagrun.{dag_id}.first_task_scheduling_delay"
            "Time from when a DAG run was expected to start to the start of its first task";
        ol_event_size: Gauge "ol.event.size" "By" { event_type, operator_name } () + team_name
            "ol.event.size.{event_type}.{operator_name}" "Size of an OpenLineage event";
        ol_emit_attempts: Histogram "ol.emit.attempts" "s" { event_type, transport_type } () + team_name
            "ol.emit.attempts.{event_type}.{transport_type}" "Time of an attempt to emit an OpenLineage event";
        ol_extract: Histogram "ol.extract" "s" { event_type, operator_name } () + team_name
            "ol.extract.{event_type}.{operator_name}" "Time to find out what an OpenLineage event says";
        edge_worker_status: Gauge "edge_worker.status" "1" { worker_name } () + team_name
            "edge_worker.status.{worker_name}" "State of an edge worker, as the number of a Python log level";
        edge_worker_connected: Gauge "edge_worker.connected" "1" { worker_name } () + team_name
            "edge_worker.connected.{worker_name}" "1 when an edge worker is connected, else 0";
        edge_worker_maintenance: Gauge "edge_worker.maintenance" "1" { worker_name } () + team_name
            "edge_worker.maintenance.{worker_name}" "1 when an edge worker is in maintenance, else 0";
        edge_worker_jobs_active: Gauge "edge_worker.jobs_active" "{job}" { worker_name } () + team_name
            "edge_worker.jobs_active.{worker_name}" "Jobs that an edge worker runs";
        edge_worker_concurrency: Gauge "edge_worker.concurrency" "{job}" { worker_name } () + team_name
            "edge_worker.concurrency.{worker_name}" "Jobs that an edge worker can run side by side";
        edge_worker_free_concurrency: Gauge "edge_worker.free_concurrency" "{job}" { worker_name } () + team_name
            "edge_worker.free_concurrency.{worker_name}" "Jobs that an edge worker would still take";
        edge_worker_num_queues: Gauge "edge_worker.num_queues" "{queue}" { worker_name, queues } () + team_name
            "edge_worker.num_queues.{worker_name}" "Queues that an edge worker serves";
        edge_worker_heartbeat_count: Counter "edge_worker.heartbeat_count" "{heartbeat}" { worker_name } () + team_name
            "edge_worker.heartbeat_count.{worker_name}" "Signs of life of an edge worker";
        edge_worker_ti_start: Counter "edge_worker.ti.start" "{try}" { queue, dag_id, task_id } () + team_name
            "edge_worker.ti.start.{queue}.{dag_id}.{task_id}" "Tries that started on an edge worker";
        edge_worker_ti_finish: Counter "edge_worker.ti.finish" "{try}" { queue, state, dag_id, task_id } () + team_name
            "edge_worker.ti.finish.{queue}.{state}.{dag_id}.{task_id}" "Tries that ended on an edge worker, by state";
        kubernetes_executor_pod_creation_status: Counter "kubernetes_executor.pod_creation_status" "{request}"
            { status } () + team_name "-" "Requests to create a pod, by HTTP status";
        kubernetes_executor_pod_deletion_status: Counter "kubernetes_executor.pod_deletion_status" "{request}"
            { status } () + team_name "-" "Requests to delete a pod, by HTTP status";
        kubernetes_executor_pod_patching_status: Counter "kubernetes_executor.pod_patching_status" "{request}"
            { status } () + team_name "-" "Requests to change a pod, by HTTP status";
        kubernetes_executor_pod_creation: Histogram "kubernetes_executor.pod_creation" "s" {} () + team_name "-"
            "Time of a request to create a pod";
        kubernetes_executor_pod_deletion: Histogram "kubernetes_executor.pod_deletion" "s" {} () + team_name "-"
            "Time of a request to delete a pod";
        kubernetes_executor_pod_patching: Histogram "kubernetes_executor.pod_patching" "s" {} () + team_name "-"
            "Time of a request to change a pod";
        kubernetes_executor_adopt_task_instances_duration: Histogram
            "kubernetes_executor.adopt_task_instances.duration" "s" {} () + team_name "-"
            "Time that the Kubernetes executor took to take over task instances";
        batch_executor_adopt_task_instances_duration: Histogram "batch_executor.adopt_task_instances.duration" "s" {} ()
            + team_name "-" "Time that the AWS Batch executor took to take over task instances";
        ecs_executor_adopt_task_instances_duration: Histogram "ecs_executor.adopt_task_instances.duration" "s" {} ()
            + team_name "-" "Time that the AWS ECS executor took to take over task instances";
        lambda_executor_adopt_task_instances_duration: Histogram "lambda_executor.adopt_task_instances.duration" "s"
            {} () + team_name "-" "Time that the AWS Lambda executor took to take over task instances";
        edge_executor_sync_duration: Histogram "edge_executor.sync.duration" "s" {} () + team_name "-"
            "Time of one pass of the edge executor";
        airflow_io_load_filesystems: Histogram "airflow.io.load_filesystems" "s" {} () "-"
            "Time to load the file systems of object storage";
        serde_load_serializers: Histogram "serde.load_serializers" "s" {} () "-"
            "Time to load the serializers";
    } };
}
