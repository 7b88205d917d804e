//! A sink's answer in the terms both transports share.

use std::time::Duration;

use crate::{
    sink::Answer,
    status::{Code, RpcStatus},
};

/// The part of a request that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) count: i64,
    pub(crate) message: String,
}

/// Taken, wholly or in part, or refused.
#[derive(Debug)]
pub(crate) enum Reply {
    Taken(Option<Rejected>),
    Refused { status: RpcStatus, retry_after: Option<Duration> },
}

pub(crate) fn reply_to(answer: Answer) -> Reply {
    match answer {
        Answer::Accept => Reply::Taken(None),
        Answer::Partial { rejected, message } => {
            let count = i64::try_from(rejected).unwrap_or(i64::MAX);
            Reply::Taken(Some(Rejected { count, message }))
        }
        Answer::Busy { retry_after } => {
            Reply::Refused { status: RpcStatus::busy(retry_after), retry_after: Some(retry_after) }
        }
        Answer::Refuse { message } => {
            Reply::Refused { status: RpcStatus::new(Code::InvalidArgument, message), retry_after: None }
        }
    }
}
