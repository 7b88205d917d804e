//! One encoded OTLP request.

/// The three signals of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a fourth signal must not be overlooked anywhere")]
pub enum Signal {
    /// `ExportTraceServiceRequest`.
    Traces,
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
}

impl Signal {
    /// The word for it, as in OTLP/HTTP's paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
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
