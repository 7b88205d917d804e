//! What a forked child may not share with its parent.

use std::sync::OnceLock;

/// A value of one process. A forked child inherits its parent's memory, with mutexes that threads which it has not got
/// may hold for ever; so it hangs a value of its own onto the one it inherited.
#[derive(Debug)]
pub struct PerProcess<T> {
    pid: u32,
    value: T,
    child: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// The value of the process with this id.
    pub const fn new(pid: u32, value: T) -> Self {
        Self { pid, value, child: OnceLock::new() }
    }

    /// The value of the process with this id, which is made from the inherited one the first time a child asks.
    pub fn get(&self, pid: u32, renew: impl Fn(&T) -> T) -> &T {
        let mut process = self;
        while process.pid != pid {
            process = process.child.get_or_init(|| Box::new(Self::new(pid, renew(&process.value))));
        }
        &process.value
    }
}
