//! The commands, one file each.

pub(crate) mod id;
pub(crate) mod replay;
pub(crate) mod view;
