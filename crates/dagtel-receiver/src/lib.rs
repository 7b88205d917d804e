//! An OpenTelemetry receiver that fits into a program: OTLP/gRPC and OTLP/HTTP on loopback, requests to a [`Sink`].
//!
//! It is made for viewers, demos, tests and for an agent that takes the events of others from a collector beside it, not as
//! a collector: no authentication, no TLS, nothing is stored. What it does take seriously is hostile input. Everything it holds has a bound in [`limits`], compressed bodies included, and
//! every refusal says what to change.
//!
//! ```
//! use std::sync::mpsc;
//! use dagtel_receiver::{Answer, Received, ReceiverOptions, ReceiverThread};
//!
//! let (send, arrived) = mpsc::channel();
//! let receiver = ReceiverThread::start(ReceiverOptions::any_port(), move |request: Received| {
//!     if send.send(request).is_ok() {
//!         Answer::Accept
//!     } else {
//!         Answer::Refuse { message: "nobody is looking any more".to_owned() }
//!     }
//! })?;
//! println!("send OTLP to http://{:?}", receiver.http_addr());
//! drop(receiver); // stops
//! assert!(arrived.recv().is_err());
//! # Ok::<(), dagtel_receiver::BindError>(())
//! ```
//!
//! [`Receiver`] is the same thing for a program that has a tokio runtime.

mod grpc;
mod http;
pub mod limits;
mod listener;
mod receiver;
mod reply;
mod sink;
mod status;
mod thread;

pub use receiver::{BindError, Receiver, ReceiverOptions, ServeError};
pub use sink::{Answer, Received, Sink};
pub use thread::ReceiverThread;
