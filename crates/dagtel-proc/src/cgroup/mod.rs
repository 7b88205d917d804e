//! The cgroup of a task: what the kernel counted there.

mod find;
mod make;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

pub(crate) use find::{Found, Version};

/// Why there is no cgroup to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CgroupError {
    /// No hierarchy counts memory for the process.
    #[error("no memory controller counts for process {pid}: {why}")]
    NoController {
        /// The process.
        pid: u32,
        /// What was found instead.
        why: &'static str,
    },
    /// The process is in a group that this one cannot see.
    #[error(
        "the cgroup of process {pid} is outside of this cgroup namespace; track it from where it was started"
    )]
    Outside {
        /// The process.
        pid: u32,
    },
    /// A group below this one would have no memory controller.
    #[error(
        "the kernel gives no memory controller to a group below {group}, and none may be made beside it ({why}); \
         start this program in a group whose parent is delegated to it"
    )]
    NotDelegated {
        /// The group of this process.
        group: String,
        /// Why not beside it.
        why: &'static str,
    },
    /// The name cannot be that of a group.
    #[error(
        "{name:?} cannot be the name of a cgroup; use letters, digits, `-`, `_` and `.`, 1 to 128 of them"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// There is such a group already.
    #[error("there is a cgroup {path} already; use another name, or remove it with rmdir if nobody uses it")]
    Exists {
        /// Its directory.
        path: String,
    },
    /// The system refused.
    #[error("{path} cannot be used ({source}); the user of this process must be allowed to write there")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl CgroupError {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { path, source },
        }
    }
}

/// A cgroup that counts memory, of version 1 or 2. One that was made here is removed at the end.
///
/// The group of a process that exists tells of kills for want of memory, and of a peak only as far as it can be the
/// task's. The one that was made for the task counts everything from its beginning.
#[derive(Debug)]
pub struct Cgroup {
    version: Version,
    /// The directory in the hierarchy that counts memory.
    memory: PathBuf,
    /// The directory in the hierarchy that counts processor time, where the task has it to itself.
    cpu: Option<PathBuf>,
    /// For a group that was made here: where the maker's processes are, in the same order, memory first.
    home: Option<Vec<PathBuf>>,
    /// Whether the task was alone in it.
    alone: bool,
    oom_kills_before: Option<u64>,
    peak_before: Option<u64>,
}

impl Cgroup {
    /// The group in which a process is.
    ///
    /// # Errors
    ///
    /// [`CgroupError::NoController`] where nothing counts, [`CgroupError::Outside`], or what the system says.
    pub fn of(pid: u32) -> Result<Self, CgroupError> {
        Self::of_at(Path::new("/proc"), pid)
    }

    fn of_at(proc: &Path, pid: u32) -> Result<Self, CgroupError> {
        let Found { version, memory, .. } = find::find(proc, pid)?;
        let mut group = Self {
            version,
            memory,
            cpu: None,
            home: None,
            alone: false,
            oom_kills_before: None,
            peak_before: None,
        };
        let own = [pid, std::process::id()];
        group.alone = group.processes().is_ok_and(|pids| pids.iter().all(|pid| own.contains(pid)));
        group.oom_kills_before = group.oom_kills_ever();
        group.peak_before = group.peak_ever();
        Ok(group)
    }

    /// Makes a group for a task below the one of this process, with a limit in bytes (without swap) if one is given.
    /// In version 2, where a group with processes can have none below it, it is made beside, if that escapes no limit.
    ///
    /// # Errors
    ///
    /// Whatever stands in the way, with what would help.
    pub fn create(name: &str, limit: Option<u64>) -> Result<Self, CgroupError> {
        Self::create_at(Path::new("/proc"), name, limit)
    }

    fn create_at(proc: &Path, name: &str, limit: Option<u64>) -> Result<Self, CgroupError> {
        let made = make::make(&find::find(proc, std::process::id())?, name)?;
        let group = Self {
            version: made.version,
            memory: made.memory,
            cpu: made.cpu,
            home: Some(made.home),
            alone: true,
            oom_kills_before: Some(0),
            peak_before: Some(0),
        };
        if let Some(bytes) = limit {
            make::limit(group.version, &group.memory, bytes)?;
        }
        Ok(group)
    }

    /// Its directory in the hierarchy that counts memory.
    pub fn path(&self) -> &Path {
        &self.memory
    }

    /// Moves a process into the group. What it had allocated before stays counted where it was, and its children stay
    /// where they are.
    ///
    /// # Errors
    ///
    /// Whatever the system says, such as that the process has ended.
    pub fn attach(&self, pid: u32) -> Result<(), CgroupError> {
        self.directories().try_for_each(|group| write(&group.join("cgroup.procs"), pid))
    }

    /// Starts a child inside the group, so that all of its life is counted. For that moment this process itself is in
    /// the group, and with it whatever its other threads start meanwhile; so this is for programs that start one child,
    /// such as wrappers. The kernel may take 10 ms for the move. If the move is refused, the child is started outside.
    ///
    /// # Errors
    ///
    /// What [`Command::spawn`] says.
    pub fn spawn(&self, command: &mut Command) -> io::Result<(Child, Result<(), CgroupError>)> {
        let me = std::process::id();
        let moved = self.attach(me);
        let child = command.spawn();
        let back = self.home.iter().flatten().try_for_each(|home| write(&home.join("cgroup.procs"), me));
        Ok((child?, moved.and(back)))
    }

    /// The processes in it.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn processes(&self) -> io::Result<Vec<u32>> {
        let text = fs::read_to_string(self.memory.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Bytes in use now: anonymous memory, file pages that the group was first to touch, and kernel memory.
    pub fn current(&self) -> Option<u64> {
        number(&self.memory.join(self.version.current()))
    }

    /// The greatest use so far, in bytes, as the kernel kept it. `None` if it may be somebody else's: of other
    /// processes in the group, or from before this value was made. Also `None` before Linux 5.19 in version 2.
    pub fn peak(&self) -> Option<u64> {
        self.peak_ever().filter(|peak| self.alone && self.peak_before.is_some_and(|before| *peak > before))
    }

    /// Processes that the kernel killed in it for want of memory since this value was made. `None` if it does not
    /// count.
    pub fn oom_kills(&self) -> Option<u64> {
        Some(self.oom_kills_ever()?.saturating_sub(self.oom_kills_before?))
    }

    /// Processor time of all processes that were ever in it, if it was made for the task.
    pub fn cpu(&self) -> Option<Duration> {
        let directory = self.cpu.as_ref()?;
        match self.version {
            Version::One => number(&directory.join("cpuacct.usage")).map(Duration::from_nanos),
            Version::Two => keyed(&directory.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
        }
    }

    /// Removes a group that was made here. Processes that are still in it go back to the group of this process.
    /// That may take [`limits::REMOVAL`](crate::limits::REMOVAL) where many have only just been
    /// killed. Dropping the value does the same and tells nobody.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn remove(mut self) -> Result<(), CgroupError> {
        self.clear()
    }

    fn clear(&mut self) -> Result<(), CgroupError> {
        let Some(homes) = self.home.take() else { return Ok(()) };
        let groups: Vec<PathBuf> = self.directories().cloned().collect();
        // Every one, whatever becomes of the others.
        let cleared: Vec<_> =
            groups.iter().zip(&homes).map(|(group, home)| make::remove(group, home)).collect();
        cleared.into_iter().collect()
    }

    /// In version 2 both are one.
    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        [Some(&self.memory), self.cpu.as_ref().filter(|cpu| **cpu != self.memory)].into_iter().flatten()
    }

    fn peak_ever(&self) -> Option<u64> {
        number(&self.memory.join(self.version.peak()))
    }

    fn oom_kills_ever(&self) -> Option<u64> {
        keyed(&self.memory.join(self.version.events()), "oom_kill")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // An empty group that stays behind costs little, and there is nobody to tell.
        let _ = self.clear();
    }
}

/// A file that holds a number. `max` is none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a word at the beginning of a line.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn write(path: &Path, value: impl ToString) -> Result<(), CgroupError> {
    fs::write(path, value.to_string()).map_err(|error| CgroupError::io(path, error))
}
