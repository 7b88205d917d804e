//! The two body formats and the three signals: bytes to requests.

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use prost::Message;
use serde::de::DeserializeOwned;

use super::response::Refusal;
use crate::{
    sink::Received,
    status::{Code, RpcStatus},
};

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// Which of the three routes a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Format {
    /// Reads the content type; parameters such as `charset` change nothing.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case(Self::Protobuf.content_type()) {
            Ok(Self::Protobuf)
        } else if essence.eq_ignore_ascii_case(Self::Json.content_type()) {
            Ok(Self::Json)
        } else {
            let message = format!(
                "the content type {given:?} is not OTLP; send application/x-protobuf or application/json"
            );
            let status = RpcStatus::new(Code::InvalidArgument, message);
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, status))
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    fn decode<M: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<M, String> {
        match self {
            Self::Protobuf => M::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        }
    }

    /// What senders of this format get wrong most often, as the mend in an error text.
    const fn hint(self) -> &'static str {
        match self {
            Self::Protobuf => "check that the body is one Export request and that the route fits the signal",
            // Gaps of opentelemetry-proto's reader: real OTLP/JSON may have the first and the last two.
            Self::Json => {
                "enums must be numbers, ids hexadecimal, and attributes or arrayValue must not be null or empty \
                 objects; protobuf has no such limits"
            }
        }
    }
}

impl Signal {
    /// Reads one request of this signal.
    pub(crate) fn decode(self, format: Format, body: &[u8]) -> Result<Received, Refusal> {
        match self {
            Self::Traces => format.decode(body).map(Received::Traces),
            Self::Metrics => format.decode(body).map(Received::Metrics),
            Self::Logs => format.decode(body).map(Received::Logs),
        }
        .map_err(|reason| self.undecodable(format, &reason))
    }

    /// The signal's word in paths and texts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    fn undecodable(self, format: Format, reason: &str) -> Refusal {
        let message = format!(
            "the body is not an OTLP {} request in {}: {reason}; {}",
            self.name(),
            format.content_type(),
            format.hint()
        );
        Refusal::new(StatusCode::BAD_REQUEST, RpcStatus::new(Code::InvalidArgument, message))
    }
}
