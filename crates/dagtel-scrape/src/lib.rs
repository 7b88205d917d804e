//! A page of metrics for Prometheus.
//!
//! [`Page`] writes families in the text formats, [`Server`] serves pages on a thread of its own and counts what it does
//! ([`Traffic`]). Whoever can reach the port may be hostile: everything has a bound in [`limits`].

mod check;
mod family;
mod histogram;
pub mod limits;
mod page;
mod process;
mod seats;
mod server;
mod traffic;

pub use family::{Family, Labels, Sample, Value};
pub use histogram::Buckets;
pub use page::{Format, Page};
pub use process::process_families;
pub use server::{Parts, Server, Source, StartError};
pub use traffic::Traffic;
