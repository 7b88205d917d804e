//! Usage events of an engine that runs Cosmos: what arrives at the gateway and at the collector, and when nothing does.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod support;

use dagtel::core::catalog::attribute;
use dagtel::core::value::{SmolStr, Value};
use dagtel::usage::{Consent, Gateway, StandardMetrics, UsageOptions};
use dagtel::{Builder, DagRun, Dagtel, Exception, InMemory, Listener, RunHandle, TaskInstance};
use dagtel_testkit::gateway::{Server, says};
use dagtel_testkit::{Collector, Taken, Value as Point, get, text};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use support::{LONG, ManualClock, builder, named, only, spool, value};

const LOCAL: &str = "cosmos.operators.local";
/// The vector of the original's real metadata (374 bytes of JSON).
const METADATA: &str = concat!(
    "eNplj8FqxDAMRH8l+NxrL/sPhVx6FoqtZA2OZSQ5pZT991rplu3So+bNDKOv0JUSYDfe0XKEwphg50ThMpl0eplCrgfHAbn+gpAW",
    "A+m1koTToIalQKKmj9goVqgjAJHrQWLDfJlWLOrUSA0WuuKR2fWA6zAAYbx6pXKXSE+GypUcYbSO5WnouaeoU+MxBfx2VnzPq/dR",
    "oWjj03+kCa+5EKgJGm2fXrdja7lu4Q++SxALqkfDzGqbkL4ryTy0D5Y0/5jfHvGEhgvqObLdE+H2DTgfhGw=",
);

/// What every event begins with.
const STANDARD: &str = "cosmos_version=1.15.1&airflow_version=3.0.2%252Bastro.1&python_version=3.11.7\
                        &platform_system=Linux&platform_machine=x86_64";

fn options(server: &Server, variables: &[(&str, &str)]) -> UsageOptions {
    let mut standard = StandardMetrics::new("1.15.1", "3.0.2+astro.1", "3.11.7");
    (standard.platform_system, standard.platform_machine) = ("Linux".to_owned(), "x86_64".to_owned());
    UsageOptions::new(standard).environment(server.environment(variables))
}

fn both(server: &Server, variables: &[(&str, &str)]) -> UsageOptions {
    options(server, variables).gateway(server.gateway()).collector()
}

fn dag(run_id: &'static str) -> DagRun {
    let modules = [LOCAL, "airflow.operators.bash", "cosmos.operators.watcher", "acme.operators"];
    DagRun::new("basic_cosmos_dag", run_id).task_modules(modules)
}

fn dbt_run() -> TaskInstance {
    TaskInstance::new("stg_orders").operator("DbtRunLocalOperator").operator_module(LOCAL).attributes([
        (attribute::INVOCATION_MODE, Value::from("dbt_runner")),
        (attribute::PROFILE_STRATEGY, "mapping".into()),
        (attribute::PROFILE_MAPPING_CLASS, "PostgresUserPasswordProfileMapping".into()),
        (attribute::DATABASE, "postgres".into()),
        (attribute::DBT_COMMAND, "run --full-refresh".into()),
        (attribute::INSTALL_DEPS, true.into()),
        (attribute::HAS_CALLBACK, false.into()),
    ])
}

fn subclass() -> TaskInstance {
    let task = TaskInstance::new("mine").map_index(2).operator("MyDbt").operator_module("acme.operators");
    task.attribute(attribute::IS_COSMOS_OPERATOR_SUBCLASS, true)
}

/// A run that fails: a task of Cosmos that takes 7 s, one of the user's own kind that is retried, and one that has
/// nothing to do with it.
fn cosmos_run(dagtel: &Dagtel, clock: &ManualClock) -> RunHandle {
    let run = dagtel.start(dag("monday").metadata(METADATA));
    let task = run.start(dbt_run());
    clock.advance(7000);
    task.success();
    run.start(TaskInstance::new("report").operator("Bash").operator_module("airflow.operators.bash"))
        .success();
    let task = run.start(subclass());
    clock.advance(250);
    task.retry("a message with a secret");
    run.failed();
    run
}

/// The events of [`cosmos_run`] as the original sends them, with the duration that it loses.
fn events() -> [String; 3] {
    let task = |event: &str| format!("/cosmos/v3/task_instance?{STANDARD}&{event}");
    [
        task(
            "status=success&operator_name=DbtRunLocalOperator&is_cosmos_operator_subclass=False\
             &invocation_mode=dbt_runner&execution_mode=local&profile_strategy=mapping\
             &profile_mapping_class=PostgresUserPasswordProfileMapping&database=postgres&is_mapped_task=False\
             &dbt_command=run+--full-refresh&install_deps=True&has_callback=False&duration=7.0",
        ),
        task(
            "status=failed&operator_name=MyDbt&is_cosmos_operator_subclass=True&invocation_mode=None\
             &execution_mode=None&profile_strategy=None&profile_mapping_class=None&database=None\
             &is_mapped_task=True&has_callback=False&duration=0.25",
        ),
        format!(
            "/cosmos/v3/dag_run?{STANDARD}&dag_hash=6875b74ab06e3beebabe66286afddf1b&status=failed&task_count=4\
             &cosmos_task_count=2&execution_modes=local__watcher&used_automatic_load_mode=True\
             &invocation_mode=dbt_runner&install_deps=True&uses_node_converter=False&test_behavior=after_each\
             &source_behavior=none&actual_load_mode=dbt_ls&total_dbt_models=5&selected_dbt_models=5\
             &profile_strategy=mapping&profile_mapping_class=PostgresUserPasswordProfileMapping&database=postgres"
        ),
    ]
}

fn targets(server: &Server) -> Vec<String> {
    let heads = server.heads();
    heads.iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
}

/// What came of [`cosmos_run`] on an engine with these options.
fn after(options: Option<UsageOptions>) -> Taken {
    after_run(options, |dagtel, clock| drop(cosmos_run(dagtel, clock)))
}

fn after_run(options: Option<UsageOptions>, run: impl FnOnce(&Dagtel, &ManualClock)) -> Taken {
    let (spool, collector, clock) = (spool(), Collector::start(), ManualClock::new());
    let builder = builder(collector.endpoint(), &spool).clock(clock.reader());
    let builder = match options {
        Some(options) => builder.usage(options),
        None => builder,
    };
    let (dagtel, guard) = builder.install().unwrap();
    run(&dagtel, &clock);
    let report = guard.shutdown().unwrap();
    assert!(report.is_complete(), "{report:?}");
    let stats = dagtel.usage();
    assert_eq!((stats.sent, stats.waiting), (stats.handed, 0));
    let taken = collector.taken();
    assert_eq!(
        (report.logs.produced, report.logs.delivered),
        (taken.logs().count() as u64, report.logs.produced)
    );
    taken
}

fn log_names(taken: &Taken) -> Vec<&str> {
    taken.logs().map(|logged| logged.record.event_name.as_str()).collect()
}

fn counted(taken: &Taken, event: &str) -> Option<Point> {
    taken.value("usage.events", &[("event", event)])
}

#[test]
fn exactly_the_originals_events_arrive_at_the_gateway_with_the_duration() {
    let server = Server::https(says("200 OK"));
    let taken = after(Some(options(&server, &[]).gateway(server.gateway())));
    assert_eq!(targets(&server), events());
    assert_eq!((log_names(&taken).len(), counted(&taken, "dag_run")), (0, None));
}

#[test]
fn the_same_events_arrive_at_the_collector() {
    let server = Server::http(says("200 OK"));
    let taken = after(Some(options(&server, &[]).collector()));
    assert_eq!(server.connections(), 0);
    assert_eq!(log_names(&taken), ["usage.task_instance", "usage.task_instance", "usage.dag_run"]);
    for (logged, event) in taken.logs().zip(events()) {
        let (_, query) = event.split_once('?').unwrap();
        let sent: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let keys: Vec<_> = sent.iter().filter(|(_, value)| *value != "None").map(|(key, _)| *key).collect();
        let attributes = &logged.record.attributes;
        assert_eq!(attributes.iter().map(|attribute| attribute.key.as_str()).collect::<Vec<_>>(), keys);
        assert_eq!(text(logged.resource, "service.name"), Some("engine"));
        assert!(logged.record.trace_id.is_empty() && logged.record.time_unix_nano > 0);
        let status = text(attributes, "status").unwrap();
        let body = logged.record.body.as_ref().and_then(|body| body.value.as_ref());
        let kind = logged.record.event_name.strip_prefix("usage.").unwrap();
        assert_eq!(body, Some(&Any::StringValue(format!("{kind} {status}"))));
    }
    let first = taken.logs().next().unwrap().record;
    assert_eq!(get(&first.attributes, "duration"), Some(&Any::DoubleValue(7.0)));
    assert_eq!(get(&first.attributes, "install_deps"), Some(&Any::BoolValue(true)));
    assert_eq!(first.time_unix_nano, 1_795_208_634_000_000_000);

    let count = |tags: &[(&str, &str)]| taken.value("usage.events", tags);
    let local = [("event", "task_instance"), ("status", "success"), ("execution_mode", "local")];
    assert_eq!(count(&local), Some(Point::Int(1)));
    assert_eq!(count(&[("event", "task_instance"), ("status", "failed")]), Some(Point::Int(1)));
    let run = [("event", "dag_run"), ("status", "failed"), ("execution_mode", "local__watcher")];
    assert_eq!(count(&run), Some(Point::Int(1)));
}

#[test]
fn the_routes_are_switched_one_by_one() {
    let run = |wanted: fn(&Server) -> Option<UsageOptions>| {
        let server = Server::http(says("200 OK"));
        let taken = after(wanted(&server));
        assert_eq!(counted(&taken, "dag_run").is_some(), !log_names(&taken).is_empty());
        (targets(&server).len(), log_names(&taken).len())
    };
    assert_eq!(run(|server| Some(both(server, &[]))), (3, 3));
    assert_eq!(run(|server| Some(options(server, &[]).gateway(server.gateway()))), (3, 0));
    assert_eq!(run(|server| Some(options(server, &[]).collector())), (0, 3));
    assert_eq!(run(|server| Some(options(server, &[]))), (0, 0));
    assert_eq!(run(|_| None), (0, 0));
}

#[test]
fn each_opt_out_alone_means_no_event_anywhere() {
    let server = Server::http(says("200 OK"));
    let off = Consent { enable_telemetry: Some("False".to_owned()), ..Consent::default() };
    let outs = [
        both(&server, &[("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "False")]),
        both(&server, &[("DO_NOT_TRACK", "1")]),
        both(&server, &[("SCARF_NO_ANALYTICS", "true")]),
        both(&server, &[("CI", "true")]),
        both(&server, &[("AIRFLOW__COSMOS__ENABLE_TELEMETRY", "maybe")]),
        both(&server, &[]).consent(off),
    ];
    for out in outs {
        let shown = format!("{out:?}");
        let taken = after(Some(out));
        assert_eq!((log_names(&taken).len(), counted(&taken, "dag_run")), (0, None), "{shown}");
        assert_eq!(taken.named("dag_run.basic_cosmos_dag").len(), 1, "spans are another matter");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn without_cosmos_there_is_no_event() {
    let server = Server::http(says("200 OK"));
    let taken = after_run(Some(both(&server, &[])), |dagtel, _| {
        let run = dagtel.start(DagRun::new("plain", "1").task_modules(["airflow.operators.bash"]));
        run.start(TaskInstance::new("a").operator_module("airflow.operators.bash")).success();
        run.start("b").failed("no");
        run.failed();
        dagtel.start(DagRun::new("plainer", "1")).success();
        // Neither does a run of Cosmos that was skipped end in a way that the original tells.
        let run = dagtel.start(dag("skipped"));
        run.skip(dbt_run());
        run.skipped();
    });
    assert_eq!((server.connections(), log_names(&taken).len()), (0, 0));
}

#[test]
fn what_an_engine_describes_too_freely_is_in_no_event() {
    let server = Server::http(says("200 OK"));
    for secret in
        ["postgres://ada:hunter2@db/prod", "/home/ada/profiles.yml", "C:\\Users\\ada", "ключ-от-квартиры"]
    {
        let taken = after_run(Some(both(&server, &[])), |dagtel, _| {
            let run = DagRun::new(secret, secret).dag_hash(secret).attribute("owner", secret);
            let run = dagtel.start(run.task_modules([LOCAL, &format!("cosmos.operators.{secret}")]));
            let task =
                TaskInstance::new(secret).operator(secret).operator_module(secret).execution_mode(secret);
            let keys = [
                attribute::INVOCATION_MODE,
                attribute::PROFILE_MAPPING_CLASS,
                attribute::DATABASE,
                attribute::DBT_COMMAND,
                "mine".into(),
            ];
            let task = task.attributes(keys.map(|key| (key, Value::from(secret))));
            let task = task.attribute(attribute::PROFILE_STRATEGY, "mapping");
            run.start(task.attribute(attribute::IS_COSMOS_OPERATOR_SUBCLASS, true)).failed(secret);
            run.failed_with(Exception::new(secret, secret));
        });
        assert_eq!(log_names(&taken).len(), 2);
        let records: Vec<_> = taken.logs().map(|logged| logged.record).collect();
        let shown = format!("{records:?} {:?} {:?}", taken.points("usage.events"), server.heads());
        let decoded = shown.replace("%2F", "/").replace("%3A", ":").replace("%5C", "\\").replace("%40", "@");
        for part in ["hunter2", "ada", "ключ", "%D0"] {
            assert!(!decoded.contains(part), "{part} in {decoded}");
        }
    }
    assert_eq!(server.heads().len(), 8);
}

fn in_memory(builder: impl FnOnce(Builder) -> Builder) -> (Dagtel, InMemory, ManualClock) {
    let clock = ManualClock::new();
    let (dagtel, memory) = builder(Dagtel::builder("engine").clock(clock.reader())).in_memory();
    (dagtel, memory, clock)
}

#[test]
fn an_engine_with_hooks_of_its_own_has_the_same_events() {
    let server = Server::http(says("200 OK"));
    let gateway = options(&server, &[]).gateway(server.gateway());
    let (dagtel, _memory, clock) = in_memory(|builder| builder.usage(gateway));
    let run = dag("monday").metadata(METADATA);
    dagtel.on_dag_run_running(&run);
    dagtel.on_task_instance_running(&run, &dbt_run());
    clock.advance(7000);
    dagtel.on_task_instance_success(&run, &dbt_run());
    dagtel.on_task_instance_running(&run, &subclass());
    clock.advance(250);
    dagtel.on_task_instance_failed(&run, &subclass(), None, true);
    dagtel.on_dag_run_failed(&run, None);
    assert!(dagtel.flush(LONG));
    assert_eq!(targets(&server), events());
}

#[test]
fn a_task_that_another_process_took_over_has_its_whole_duration() {
    let server = Server::http(says("200 OK"));
    let gateway = options(&server, &[]).gateway(server.gateway());
    let (scheduler, _scheduler, _) = in_memory(|builder| builder);
    let (worker, _worker, clock) = in_memory(|builder| builder.usage(gateway));
    let context = scheduler.start(dag("monday")).hand_over_task(dbt_run()).unwrap();
    let task = worker.take_over_task(context);
    clock.advance(7000);
    task.success();
    assert!(worker.flush(LONG));
    assert_eq!(targets(&server), events()[..1]);
}

#[test]
fn a_process_that_only_reports_sends_events_by_both_routes() {
    let (spool, server, collector) = (spool(), Server::http(says("200 OK")), Collector::start());
    let clock = ManualClock::new();
    let reporter = builder(collector.endpoint(), &spool).clock(clock.reader());
    let reporter = reporter.usage(both(&server, &[])).reporter().unwrap();
    drop(cosmos_run(&reporter, &clock));
    assert!(reporter.flush(LONG));
    assert_eq!(targets(&server), events());
    let (_dagtel, guard) = builder(collector.endpoint(), &spool).install().unwrap();
    assert!(guard.shutdown().unwrap().is_complete());
    assert_eq!(
        log_names(&collector.taken()),
        ["usage.task_instance", "usage.task_instance", "usage.dag_run"]
    );
}

#[test]
fn a_gateway_that_is_away_disturbs_nobody() {
    let gone: Gateway =
        format!("http://{}/{{event_type}}?{{query_string}}", support::nowhere()).parse().unwrap();
    let server = Server::http(says("200 OK"));
    let (dagtel, mut memory, clock) = in_memory(|builder| builder.usage(options(&server, &[]).gateway(gone)));
    drop(cosmos_run(&dagtel, &clock));
    assert!(dagtel.flush(LONG));
    assert_eq!((dagtel.usage().handed, dagtel.usage().failed), (3, 3));
    assert_eq!(memory.finish().len(), 4);
}

#[test]
fn the_facts_are_on_spans_and_metrics_as_well() {
    let server = Server::http(says("200 OK"));
    let taken = after(Some(options(&server, &[])));
    let root = &taken.named("dag_run.basic_cosmos_dag")[0].span.attributes;
    assert_eq!(get(root, "cosmos_task_count"), Some(&Any::IntValue(2)));
    assert_eq!(text(root, "dag_hash"), Some("6875b74ab06e3beebabe66286afddf1b"));
    assert_eq!(text(root, "dag_metadata"), Some(METADATA));
    assert_eq!(text(root, "dag_metadata.database"), Some("postgres"));
    assert_eq!(get(root, "dag_metadata.total_dbt_models"), Some(&Any::IntValue(5)));
    assert_eq!(get(root, "dag_metadata.used_automatic_load_mode"), Some(&Any::BoolValue(true)));
    assert_eq!(root.iter().filter(|attribute| attribute.key.starts_with("dag_metadata.")).count(), 12);
    // Of what ran, not of what is in the DAG.
    assert_eq!(get(root, "task_count"), Some(&Any::IntValue(3)));

    let task = &taken.named("task_run.stg_orders")[0].span.attributes;
    for (key, known) in [
        ("operator", "DbtRunLocalOperator"),
        ("operator_module", LOCAL),
        ("execution_mode", "local"),
        ("invocation_mode", "dbt_runner"),
        ("profile_mapping_class", "PostgresUserPasswordProfileMapping"),
        ("dbt_command", "run --full-refresh"),
    ] {
        assert_eq!(text(task, key), Some(known), "{key}");
    }
    assert_eq!(get(task, "duration_s"), Some(&Any::DoubleValue(7.0)));
    let tags = [("task_id", "stg_orders"), ("execution_mode", "local")];
    assert_eq!(taken.value("airflow.task.duration", &tags), Some(Point::Histogram(1, 7.0)));
}

#[test]
fn metadata_is_unfolded_typed_and_within_limits() {
    let root = |run: DagRun, by_hooks: bool| {
        let (dagtel, mut memory, _) = in_memory(|builder| builder);
        if by_hooks {
            dagtel.on_dag_run_running(&run);
            dagtel.on_dag_run_success(&run);
        } else {
            dagtel.start(run).success();
        }
        only(&memory.finish(), "dag_run.d").clone()
    };
    let compressed = |json: &str| {
        let metadata = dagtel_usage::metadata::from_json(json).unwrap();
        dagtel_usage::metadata::compress(&metadata).unwrap()
    };
    let json = r#"{"list": ["a", "b"], "mixed": [1, "x"], "none": null, "ratio": 0.5, "big": 123456789012345678901}"#;
    for by_hooks in [false, true] {
        let span = root(DagRun::new("d", "1").metadata(compressed(json)), by_hooks);
        let of = |key: &str| value(&span, &format!("dag_metadata.{key}")).cloned();
        assert_eq!(of("list"), Some(Value::List(vec!["a".into(), "b".into()])));
        assert_eq!((of("mixed"), of("none")), (Some("[1, 'x']".into()), None));
        assert_eq!((of("ratio"), of("big")), (Some(0.5.into()), Some("123456789012345678901".into())));
    }
    let many: Vec<String> = (0..200).map(|n| format!("\"k{n}\": {n}")).collect();
    let span = root(DagRun::new("d", "1").metadata(compressed(&format!("{{{}}}", many.join(", ")))), false);
    assert_eq!(span.attributes.iter().filter(|(key, _)| key.starts_with("dag_metadata.")).count(), 64);
    for (bad, why) in [
        ("invalid_base64_data!", "one character too long"),
        ("WzFd", "no zlib stream"),
        ("eNqLjgUAARUAuQ==", "no object"),
        (&"A".repeat(5000), "more than 4096 bytes"),
    ] {
        let span = root(DagRun::new("d", "1").metadata(bad.to_owned()), false);
        let told = support::text(&span, "dag_metadata.error").unwrap();
        assert!(told.contains(why), "{bad}: {told}");
        assert_eq!(support::text(&span, "dag_metadata"), Some(&bad[..bad.len().min(4096)]));
    }
}

#[test]
fn what_is_said_plainly_goes_before_what_follows_from_it() {
    let (dagtel, mut memory, _) = in_memory(|builder| builder);
    let run = dagtel.start(dag("1").dag_hash("0c7b"));
    run.start(TaskInstance::new("before").execution_mode("virtualenv").operator_module(LOCAL)).success();
    run.start(TaskInstance::new("after").operator_module(LOCAL).execution_mode("virtualenv")).success();
    run.start(TaskInstance::new("follows").operator_module("cosmos.operators.docker.x")).success();
    run.start(TaskInstance::new("other").operator_module("acme.operators")).success();
    run.success();
    let spans = memory.finish();
    let mode = |task: &str| support::text(only(&spans, task), "execution_mode");
    assert_eq!((mode("task_run.before"), mode("task_run.after")), (Some("virtualenv"), Some("virtualenv")));
    assert_eq!((mode("task_run.follows"), mode("task_run.other")), (Some("docker"), None));
    let root = named(&spans, "dag_run.basic_cosmos_dag")[0];
    assert_eq!(support::text(root, "dag_hash"), Some("0c7b"));
    let modes: Vec<SmolStr> = vec!["docker".into(), "virtualenv".into()];
    assert_eq!(value(root, "execution_modes"), Some(&Value::List(modes)));
}
