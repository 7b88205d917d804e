//! Events of `tracing` in the context of a try are its lines.
#![cfg(feature = "tracing")]

use dagtel::core::value::Value;
use dagtel::tracing::TaskLayer;
use dagtel::{DagRun, Dagtel, Severity, TaskInstance};
use opentelemetry::trace::FutureExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

#[test]
fn events_in_the_context_of_a_try_are_its_lines() {
    let subscriber = tracing_subscriber::registry().with(TaskLayer::default());
    let _default = tracing::subscriber::set_default(subscriber);
    let (dagtel, mut memory) = Dagtel::builder("engine").in_memory();
    let run = dagtel.start(DagRun::new("sales", "r"));
    let (load, send) = (run.start(TaskInstance::new("load")), run.start(TaskInstance::new("send")));
    tracing::info!("of no task");
    {
        let _in_task = load.context().attach();
        tracing::warn!(rows = 17, table = "orders", "loaded {}", "slowly");
        let span = tracing::info_span!("inner");
        span.in_scope(|| tracing::debug!(ok = true, "in a span"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let future = async {
        tokio::task::yield_now().await;
        tracing::error!(error = ?std::fmt::Error, "sent");
    };
    runtime.block_on(future.with_context(send.context()));
    load.success();
    send.success();
    let lines = memory.logs();
    let told: Vec<_> = lines.iter().map(|line| (line.severity, line.body.as_str())).collect();
    let wanted =
        [(Severity::Warn, "loaded slowly"), (Severity::Debug, "in a span"), (Severity::Error, "sent")];
    assert_eq!(told, wanted);
    let value = |line: usize, key: &str| {
        lines[line].attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    assert_eq!((value(0, "rows"), value(0, "table")), (Some(Value::Int(17)), Some("orders".into())));
    assert_eq!(value(0, "log.target"), Some("tracing".into()));
    assert_eq!((value(1, "ok"), value(1, "task_id")), (Some(Value::Bool(true)), Some("load".into())));
    assert_eq!((value(2, "error"), value(2, "task_id")), (Some("Error".into()), Some("send".into())));
}
