//! Where readings of processes come from.

#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
mod parse;
#[cfg(all(test, target_os = "linux"))]
mod tests;

#[cfg(target_os = "linux")]
pub(crate) use self::{
    files::Budget,
    linux::{Source, own_mark},
};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Budget, Source, own_mark};
