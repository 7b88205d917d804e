//! Handles: a run or a try that the engine has started.

mod run;
mod task;

pub use run::RunHandle;
pub(crate) use run::panicked;
pub use task::TaskHandle;
