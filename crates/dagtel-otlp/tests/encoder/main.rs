//! The encoder, seen through the messages of `opentelemetry-proto`: what is decoded is what was told.
//!
//! Spans come by the public way only: events, the guard, the fold, the mapping.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod events;
mod frames;
mod hostile;
mod logs;
mod metrics;
mod naming;
mod resources;
mod spans;
mod story;
