//! One encoded OTLP request.

/// What a request carries: one of the three signals of OTLP, or events, which travel as logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a further signal must not be overlooked anywhere")]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
    /// `ExportLogsServiceRequest` with events for an agent that folds ([`crate::events`]): a destination of their own, and
    /// not to be dropped as readily as logs.
    Events,
}

impl Signal {
    /// The word for it, as it is counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Events => "events",
        }
    }

    /// The word in OTLP/HTTP's paths.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Events => Self::Logs.as_str(),
            signal => signal.as_str(),
        }
    }
}

/// One encoded OTLP request, and how many spans, points or records it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Which signal it carries.
    pub signal: Signal,
    /// The request in protobuf, neither compressed nor framed.
    pub body: Vec<u8>,
    /// Spans, metric points or log records in it.
    pub items: usize,
}

impl Frame {
    /// A frame of what is encoded already.
    pub fn new(signal: Signal, body: Vec<u8>, items: usize) -> Self {
        Self { signal, body, items }
    }
}
