//! The sender against servers that answer, refuse, hang and lie; the opt-outs against one that counts.

mod gateway;
mod opt_outs;
mod privacy;
mod request;
mod warnings;
