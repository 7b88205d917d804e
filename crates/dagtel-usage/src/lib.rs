//! The anonymous usage events of astronomer-cosmos 1.15: whether they may be sent, what they say, and how they get
//! there.
//!
//! [`Emitter`] puts the parts together. They stand alone as well: [`Consent`] says whether anything may be sent,
//! [`listener`] makes the metrics of a run or a task instance, [`UsageEvent`] adds the standard ones, [`url`] is the
//! request, [`Sender`] sends it, and [`metadata`] reads and writes the compressed metadata of a DAG.
//!
//! # What is kept of the original, because receivers and users depend on it
//!
//! - The truth tables of `enable_telemetry`, `DO_NOT_TRACK` and `SCARF_NO_ANALYTICS`.
//! - The five standard metrics, every metric of the events `dag_run` and `task_instance`, their order, and when one is
//!   absent; additional metrics win over standard ones.
//! - The URL byte for byte: version `v3`, `quote_plus`, Python's `str` of each value (`None`, `True`, `7.0`), and the
//!   version of the engine quoted twice.
//! - The request: `GET`, the same headers in the same order. Only `User-Agent` says that it is not httpx.
//! - The JSON text of metadata byte for byte, its lenient base64, bytes behind the zlib stream ignored, `NaN` and the
//!   infinities, the last of equal keys. With the feature `zlib` the compressed text is the same as well.
//! - A DAG's hash is the MD5 of its id where the engine has no content hash: receivers count DAGs by it.
//!
//! # What is repaired, because it hurt
//!
//! - **The caller never waits.** The original sends in the caller's thread with a timeout for each phase, which a
//!   slow resolver or a dripping server stretches without end. Here a call puts the event into a bounded queue; a
//!   thread sends it over one kept connection and gives each event one second altogether.
//! - **Nothing reaches the caller as an error**: a bad switch, URL, proxy or certificate file is a reason not to send.
//!   The original breaks the import of its settings on a bad `enable_telemetry`.
//! - **Consent comes first**: switches are read when asked, not at import, and metrics are collected only after a
//!   yes. Off in CI unless forced.
//! - **No gateway is built in.** Only `https` is spoken, except to this machine; redirects are followed on the
//!   gateway's own host only; an answer is read up to a limit.
//! - **A warning has no values.** The original logs the whole URL and the answer.
//! - **Only known metrics of the right shape are sent** ([`allowed`]): of a dbt command line only dbt's own words and
//!   the names of flags, of metadata only the twelve known keys, which thus cannot override the run's own metrics.
//! - An event's type is quoted, so that it cannot cut the URL. A module of fewer than three parts has no execution mode
//!   and a map index that is missing is no mapped task, where the original raises an exception.
//! - A task's duration is sent whenever the engine knows it; Airflow 3's task object does not, so the original loses
//!   it.
//! - Decompression stops at a limit, and metadata that is no object is an error of its own.
//!
//! # What differs otherwise
//!
//! Half of a surrogate pair, which only Python's texts can hold, is read as U+FFFD. Texts inside lists are escaped in
//! URLs by this Rust's version of Unicode instead of Python's. There are no `bytes` among the values.

pub mod allowed;
mod consent;
mod emitter;
mod environment;
mod event;
pub mod json;
pub mod limits;
pub mod listener;
pub mod metadata;
mod sender;
mod transport;
mod url;

pub use consent::{Consent, DO_NOT_TRACK, ENABLE_TELEMETRY, Refusal, SCARF_NO_ANALYTICS};
pub use emitter::{Emitter, NotSent};
pub use environment::Environment;
pub use event::{StandardMetrics, UsageEvent};
pub use sender::{Sender, Stats};
pub use transport::Failure;
pub use url::{Gateway, GatewayError, TELEMETRY_VERSION, url};
