//! The commands, one file each.

pub(crate) mod cardinality;
pub(crate) mod doctor;
pub(crate) mod id;
pub(crate) mod metadata;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod spool;
pub(crate) mod usage;
pub(crate) mod view;
