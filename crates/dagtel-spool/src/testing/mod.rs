//! A file system in memory that loses power, fills up and fails on demand, and a clock that stands still: for the tests
//! of this crate and of those that build on it.

mod clock;
mod disk;
mod file;
mod mem;

pub use clock::ManualClock;
pub use mem::{Fault, MemFs};
