//! What is left to send of the frames that were read together: a pure state machine over verdicts.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use dagtel_core::catalog::drop_reason;
use dagtel_otlp::{Frame, Signal, halves};

use crate::Verdict;

/// Frames merged into one request, which is also how many may arrive twice when the sender is killed.
pub(crate) const FRAMES: usize = 4;
/// Bytes of a merged request: below what receivers take by default (4 MiB).
const REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// One request to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) signal: Signal,
    pub(crate) body: Bytes,
    pub(crate) items: u64,
    /// The frames that it was merged of; empty when it cannot be taken apart that way.
    parts: Vec<(Bytes, u64)>,
}

/// What a verdict came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This many items were delivered and this many rejected.
    Done { delivered: u64, rejected: u64 },
    /// It is to be sent again, later.
    Again,
    /// It was taken apart; the parts are to be sent now.
    TakenApart,
    /// It can never be delivered.
    Dead { request: Request, reason: &'static str },
}

/// The requests that are left, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work(VecDeque<Request>);

impl Work {
    /// Merges frames of one signal, in their order. Requests of OTLP that are written one behind the other are read as
    /// one (repeated fields, <https://protobuf.dev/programming-guides/encoding/#last-one-wins>).
    pub(crate) fn merge(frames: Vec<(Signal, Bytes, u64)>) -> Self {
        let mut work = Self::default();
        for (signal, body, items) in frames {
            match work.0.back_mut() {
                Some(last)
                    if last.signal == signal
                        && last.parts.len() < FRAMES
                        && last.body.len() + body.len() <= REQUEST_BYTES =>
                {
                    last.items += items;
                    last.parts.push((body, items));
                }
                _ => work.0.push_back(Request {
                    signal,
                    body: body.clone(),
                    items,
                    parts: vec![(body, items)],
                }),
            }
        }
        work.0.iter_mut().for_each(Request::join);
        work
    }

    /// The next request.
    pub(crate) fn next(&self) -> Option<&Request> {
        self.0.front()
    }

    /// Takes in what became of the next request.
    pub(crate) fn settle(&mut self, verdict: &Verdict) -> Option<Outcome> {
        if matches!(verdict, Verdict::Retry { .. }) {
            return Some(Outcome::Again);
        }
        let request = self.0.pop_front()?;
        Some(match verdict {
            Verdict::Accepted => Outcome::Done { delivered: request.items, rejected: 0 },
            Verdict::Partial { rejected, .. } => {
                let rejected = (*rejected).min(request.items);
                Outcome::Done { delivered: request.items - rejected, rejected }
            }
            Verdict::TooLarge { .. } if self.take_apart(&request) || self.halve(&request) => {
                Outcome::TakenApart
            }
            Verdict::TooLarge { .. } => Outcome::Dead { request, reason: drop_reason::TOO_LARGE },
            // One bad frame must not take the others with it.
            Verdict::Refused { .. } if self.take_apart(&request) => Outcome::TakenApart,
            Verdict::Refused { .. } | Verdict::Retry { .. } => {
                Outcome::Dead { request, reason: drop_reason::REFUSED }
            }
        })
    }

    fn take_apart(&mut self, request: &Request) -> bool {
        if request.parts.len() < 2 {
            return false;
        }
        for (body, items) in request.parts.iter().rev() {
            let parts = vec![(body.clone(), *items)];
            self.0.push_front(Request { signal: request.signal, body: body.clone(), items: *items, parts });
        }
        true
    }

    fn halve(&mut self, request: &Request) -> bool {
        let Some(halves) = halves(request.signal, &request.body) else { return false };
        for Frame { signal, body, items, .. } in halves.into_iter().rev() {
            let request = Request { signal, body: body.into(), items: items as u64, parts: Vec::new() };
            self.0.push_front(request);
        }
        true
    }
}

impl Request {
    fn join(&mut self) {
        if self.parts.len() < 2 {
            return;
        }
        let mut body = BytesMut::with_capacity(self.parts.iter().map(|(body, _)| body.len()).sum());
        self.parts.iter().for_each(|(part, _)| body.extend_from_slice(part));
        self.body = body.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(n: u8) -> Vec<(Signal, Bytes, u64)> {
        (0..n).map(|i| (Signal::Traces, Bytes::from(vec![i]), 10)).collect()
    }

    fn verdict_too_large() -> Verdict {
        Verdict::TooLarge { reason: String::new() }
    }

    fn refused() -> Verdict {
        Verdict::Refused { reason: String::new() }
    }

    fn bodies(work: &Work) -> Vec<Vec<u8>> {
        work.0.iter().map(|request| request.body.to_vec()).collect()
    }

    #[test]
    fn merges_neighbours_of_one_signal_up_to_the_limit() {
        let mut all = frames(5);
        all.push((Signal::Metrics, Bytes::from_static(b"m"), 3));
        let work = Work::merge(all);
        assert_eq!(bodies(&work), [vec![0, 1, 2, 3], vec![4], b"m".to_vec()]);
        assert_eq!(work.next().map(|request| request.items), Some(40));
    }

    #[test]
    fn a_poison_frame_is_found_and_the_others_are_delivered() {
        let mut work = Work::merge(frames(3));
        assert_eq!(work.settle(&refused()), Some(Outcome::TakenApart));
        assert_eq!(work.settle(&Verdict::Accepted), Some(Outcome::Done { delivered: 10, rejected: 0 }));
        assert!(matches!(work.settle(&refused()), Some(Outcome::Dead { reason: "refused", .. })));
        assert_eq!(work.settle(&Verdict::Accepted), Some(Outcome::Done { delivered: 10, rejected: 0 }));
        assert_eq!(work.settle(&Verdict::Accepted), None);
    }

    #[test]
    fn what_cannot_be_halved_is_dead() {
        let mut work = Work::merge(frames(1));
        assert!(matches!(work.settle(&verdict_too_large()), Some(Outcome::Dead { reason: "too_large", .. })));
    }

    #[test]
    fn a_retry_keeps_the_request_and_a_partial_success_ends_it() {
        let mut work = Work::merge(frames(1));
        let retry = Verdict::Retry { reason: String::new(), after: None };
        assert_eq!(work.settle(&retry), Some(Outcome::Again));
        let partial = Verdict::Partial { rejected: 99, reason: String::new() };
        assert_eq!(work.settle(&partial), Some(Outcome::Done { delivered: 0, rejected: 10 }));
    }
}
