//! Sends what is in an outbox, and says what became of it.
//!
//! An OTLP receiver is sent a frame as the bytes that it is, without decoding it (unless it wants Airflow's
//! [`LegacyNames`]): neighbours are merged by writing one behind the other. [`Statsd`] and standard output are told what
//! stands in the same frames. The answer becomes a [`Verdict`] by the table of the OTLP specification, and the verdict
//! decides: delivered, to be sent again later (without a deadline), to be taken apart, or to be kept aside as a dead letter.
//!
//! [`lines`] gives a [`Line`] for each destination, to be run as a future; [`Shipper`] runs them on threads of their own.
//! [`Exporter`] sends single requests.

mod backoff;
mod connect;
mod delivery;
mod endpoint;
mod exporter;
mod grpc;
mod http;
mod legacy;
mod line;
mod no_answer;
mod receiver;
mod shipper;
mod statsd;
mod status;
mod stdout;
mod tls;
mod verdict;
mod work;

pub use delivery::{Delivery, HeaderError};
pub use endpoint::{Endpoint, EndpointError, Protocol, ProtocolError};
pub use exporter::Exporter;
pub use legacy::LegacyNames;
pub use line::{Destination, Line, lines};
pub use receiver::Receiver;
pub use shipper::Shipper;
pub use statsd::{Statsd, TagStyle};
pub use status::{Seen, Status};
pub use tls::{TlsError, TlsFiles};
pub use verdict::Verdict;
