//! What became of a request, by the OTLP specification ("OTLP/gRPC Response", "Failures", "Retryable").

use tonic::{Code, Status};

/// What the receiver said to one request, or that it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    pub(crate) fn of_status(status: &Status) -> Self {
        let reason = reason(status);
        match status.code() {
            // Receivers say "too large" by a code that means "later" (tonic) or "never" (Go): only the words tell.
            Code::OutOfRange | Code::ResourceExhausted if status.message().contains("larger than") => {
                Self::TooLarge { reason }
            }
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => Self::Retry { reason },
            // tonic reports a connection that broke under the request as Unknown.
            Code::Unknown if std::error::Error::source(status).is_some() => Self::Retry { reason },
            Code::ResourceExhausted if !status.details().is_empty() => Self::Retry { reason },
            _ => Self::Refused { reason },
        }
    }
}

/// The innermost cause, which is what a person needs ("Connection refused"), or the receiver's own words.
fn reason(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    let mut depth = 0;
    while let Some(next) = cause.source().filter(|_| depth < 16) {
        cause = next;
        depth += 1;
    }
    if depth > 0 { cause.to_string() } else { format!("{}: {}", status.code(), status.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        let verdict = |code, message: &str| Verdict::of_status(&Status::new(code, message));
        for code in
            [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::Unavailable, Code::DataLoss]
        {
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
        let with_info = Status::with_details(Code::ResourceExhausted, "quota", vec![1].into());
        assert!(matches!(Verdict::of_status(&with_info), Verdict::Retry { .. }));
    }
}
