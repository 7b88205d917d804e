//! Handles: a run or a try that the engine has started.

mod log;
mod run;
mod task;

pub use log::TaskLogger;
pub use run::RunHandle;
pub(crate) use run::panicked;
pub use task::TaskHandle;
