//! What became of a request, by the OTLP specification ("OTLP/gRPC Response", "OTLP/HTTP Response", "Failures").

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use prost::Message;
use tonic::{Code, Status};

use crate::connect::Connector;
use crate::no_answer::explain;

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What the receiver said to one request, or that it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever keeps frames must decide about each verdict")]
pub enum Verdict {
    /// All of it is taken.
    Accepted,
    /// It is taken, but for some items. They must not be sent again.
    Partial {
        /// How many were not taken.
        rejected: u64,
        /// Why.
        reason: String,
    },
    /// Not taken now; the same may be sent later.
    Retry {
        /// Why.
        reason: String,
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
    },
    /// Too large to be taken: half of it may be.
    TooLarge {
        /// What the receiver said.
        reason: String,
    },
    /// Never to be taken.
    Refused {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// Of a gRPC status that the receiver sent.
    pub(crate) fn of_status(status: &Status) -> Self {
        let reason = format!("{}: {}", status.code(), status.message());
        match status.code() {
            // Receivers say "too large" by a code that means "later" (tonic) or "never" (Go): only the words tell.
            Code::OutOfRange | Code::ResourceExhausted if says_too_large(status.message()) => {
                Self::TooLarge { reason }
            }
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Retry { reason, after: retry_info(status) },
            Code::ResourceExhausted => match retry_info(status) {
                Some(after) => Self::Retry { reason, after: Some(after) },
                None => Self::Refused { reason },
            },
            _ => Self::Refused { reason },
        }
    }

    /// Of an HTTP status that is no success. `retry_after` is that header, `body` what the receiver said.
    pub(crate) fn of_http(status: StatusCode, retry_after: Option<&str>, body: &[u8]) -> Self {
        let said = RpcStatus::decode(body).map(|status| status.message).unwrap_or_default();
        let reason = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        match status.as_u16() {
            429 | 502 | 503 | 504 => {
                let seconds = retry_after.and_then(|text| text.trim().parse().ok());
                let after = seconds.map(Duration::from_secs).map(|after| after.min(LONGEST_WAIT));
                Self::Retry { reason, after }
            }
            413 => Self::TooLarge { reason },
            _ => Self::Refused { reason },
        }
    }

    /// Of a request that got no answer over a connection of `connector`.
    pub(crate) fn no_answer(error: &(dyn Error + 'static), connector: &Connector) -> Self {
        Self::Retry { reason: explain(error, connector), after: None }
    }

    /// Of the body of a success. One that cannot be read says nothing against the request.
    pub(crate) fn of_success(body: &[u8]) -> Self {
        ExportResponse::decode(body).unwrap_or_default().verdict()
    }
}

/// Go and this project's receiver write "larger than", tonic "message length too large".
fn says_too_large(message: &str) -> bool {
    message.contains("larger than") || message.contains("length too large")
}

/// `google.rpc.RetryInfo` in the details of a status.
fn retry_info(status: &Status) -> Option<Duration> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let info = details.iter().find(|any| any.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).unwrap_or_default()).min(LONGEST_WAIT))
}

/// `google.rpc.Status`, which OTLP/HTTP answers failures with and gRPC carries in its details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// `Export*ServiceResponse`, which is of one shape for all signals.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl ExportResponse {
    pub(crate) fn verdict(self) -> Verdict {
        match self.partial_success {
            Some(PartialSuccess { rejected, error_message }) if rejected > 0 => {
                Verdict::Partial { rejected: rejected.unsigned_abs(), reason: error_message }
            }
            _ => Verdict::Accepted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_by_the_table_of_the_specification() {
        let verdict = |code, message: &str| Verdict::of_status(&Status::new(code, message));
        for code in [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::Unavailable,
            Code::DataLoss,
            Code::OutOfRange,
        ] {
            assert!(matches!(verdict(code, "later"), Verdict::Retry { .. }), "{code:?}");
        }
        for code in
            [Code::InvalidArgument, Code::Unauthenticated, Code::PermissionDenied, Code::Unimplemented]
        {
            assert!(matches!(verdict(code, "no"), Verdict::Refused { .. }), "{code:?}");
        }
        let large = "grpc: received message larger than max (5 vs. 4)";
        assert!(matches!(verdict(Code::ResourceExhausted, large), Verdict::TooLarge { .. }));
        assert!(matches!(verdict(Code::ResourceExhausted, "quota"), Verdict::Refused { .. }));
    }

    #[test]
    fn grpc_retry_info_makes_exhaustion_retryable() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 2, nanos: 5 }) };
        let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
        let any = Any { type_url, value: info.encode_to_vec() };
        let details = RpcStatus { message: String::new(), details: vec![any] }.encode_to_vec();
        let status = Status::with_details(Code::ResourceExhausted, "quota", details.into());
        let after = Some(Duration::new(2, 5));
        assert!(matches!(Verdict::of_status(&status), Verdict::Retry { after: a, .. } if a == after));
    }

    #[test]
    fn http_by_the_table_of_the_specification() {
        let verdict = |code, after| Verdict::of_http(StatusCode::from_u16(code).unwrap(), after, b"");
        for code in [429, 502, 503, 504] {
            assert!(matches!(verdict(code, None), Verdict::Retry { after: None, .. }), "{code}");
        }
        for code in [400, 401, 403, 404, 500, 501, 301] {
            assert!(matches!(verdict(code, None), Verdict::Refused { .. }), "{code}");
        }
        assert!(matches!(verdict(413, None), Verdict::TooLarge { .. }));
        let wait = |after| match verdict(503, Some(after)) {
            Verdict::Retry { after, .. } => after.map(|after| after.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait("7"), wait("86400"), wait("soon")), (Some(7), Some(300), None));
    }
}
