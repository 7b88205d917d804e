//! What stands where in a spool directory of dagtel.

use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variable that names the directory, for every command and for engines.
pub const DIR_VARIABLE: &str = "DAGTEL_SPOOL_DIR";

/// A spool directory of dagtel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// In this directory, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Where the environment says: `DAGTEL_SPOOL_DIR`, else `dagtel/spool` in the user's state directory
    /// (`XDG_STATE_HOME`, else `~/.local/state`). `None` when there is neither.
    pub fn from_environment() -> Option<Self> {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(dir) = path(DIR_VARIABLE) {
            return Some(Self(dir));
        }
        let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")))?;
        Some(Self(state.join("dagtel/spool")))
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The spool of events.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// The spool of encoded requests.
    pub fn outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }

    /// The spool of requests that a receiver will never take.
    pub fn dead_letters(&self) -> PathBuf {
        self.0.join("dead")
    }

    /// Event lines of processes in other languages, a file each.
    pub fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    /// The state of the fold.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Locked by whoever drains.
    pub fn drain_lock(&self) -> PathBuf {
        self.0.join("drain.lock")
    }

    /// How far a destination has got. The file is named after its address, with a dash for everything but letters, digits
    /// and dots, so that whoever ships to one destination, engine or agent, goes on where the last one stopped.
    pub fn shipped(&self, destination: &impl fmt::Display) -> PathBuf {
        let address = destination.to_string();
        let kept = address.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
        self.0.join(format!("shipped-{}", kept.collect::<String>()))
    }
}
