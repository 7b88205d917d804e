//! What becomes of frames by what their receiver answers: against servers whose answers are scripted, byte by byte where
//! it takes that.

mod destinations;
mod grpc;
mod http;
mod outbox;
mod raw;
mod server;
mod statsd;
mod tls;
