//! Makes, limits and removes a group.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::limits;

use super::{
    CgroupError, Found, Version,
    find::{has_word, is_gone},
    write,
};

/// The kernel finishes with processes that have just ended a little later. Between two attempts at removal there is
/// this much time, then twice as much, and so on.
const FIRST_WAIT: Duration = Duration::from_millis(1);

/// Directories that were made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) version: Version,
    pub(crate) memory: PathBuf,
    pub(crate) cpu: Option<PathBuf>,
    /// Where the processes of the maker are, memory first.
    pub(crate) home: Vec<PathBuf>,
}

pub(crate) fn make(own: &Found, name: &str) -> Result<Made, CgroupError> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if !(1..=128).contains(&name.len()) || !name.chars().all(allowed) || name.starts_with('.') {
        return Err(CgroupError::BadName { name: name.into() });
    }
    let create = |directory: PathBuf| match fs::create_dir(&directory) {
        Ok(()) => Ok(directory),
        Err(error) => Err(CgroupError::io(&directory, error)),
    };
    let mut home = vec![own.memory.clone()];
    match own.version {
        Version::One => {
            let memory = create(own.memory.join(name))?;
            // Without a group for processor time the sampled figure has to do.
            let cpu = own.cpu.as_ref().and_then(|cpu| Some((cpu, create(cpu.join(name)).ok()?)));
            home.extend(cpu.iter().map(|(home, _)| (*home).clone()));
            Ok(Made { version: Version::One, memory, cpu: cpu.map(|(_, cpu)| cpu), home })
        }
        Version::Two => {
            let memory = create(parent(own)?.join(name))?;
            Ok(Made { version: Version::Two, cpu: Some(memory.clone()), memory, home })
        }
    }
}

/// Where in version 2 a group may be made that counts memory: below the group of this process if it passes the
/// controller on (only the top can do that and have processes), else beside it.
fn parent(own: &Found) -> Result<&Path, CgroupError> {
    let passes_on = |group: &Path| has_word(&group.join("cgroup.subtree_control"), "memory");
    let refuse = |why| Err(CgroupError::NotDelegated { group: own.memory.display().to_string(), why });
    if passes_on(&own.memory) {
        return Ok(&own.memory);
    }
    let beside = own.memory.parent().filter(|parent| !own.top && passes_on(parent));
    let Some(beside) = beside else { return refuse("there is no group above it that passes memory on") };
    let limit = fs::read_to_string(own.memory.join("memory.max")).unwrap_or_default();
    if limit.trim() == "max" { Ok(beside) } else { refuse("the task would escape its memory.max") }
}

/// Limits memory, and memory with swap, to as many bytes.
pub(crate) fn limit(version: Version, group: &Path, bytes: u64) -> Result<(), CgroupError> {
    let (memory, swap, swap_bytes) = match version {
        Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes),
        Version::Two => ("memory.max", "memory.swap.max", 0),
    };
    write(&group.join(memory), bytes)?;
    // Not every kernel accounts for swap; then there is nothing to limit.
    let swap = group.join(swap);
    if swap.exists() { write(&swap, swap_bytes) } else { Ok(()) }
}

/// Removes a group; what is still in it goes home.
pub(crate) fn remove(group: &Path, home: &Path) -> Result<(), CgroupError> {
    let (mut wait, mut waited) = (FIRST_WAIT, Duration::ZERO);
    loop {
        for pid in fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
            // One that has ended meanwhile needs no moving; any other refusal shows when the group is removed.
            let _ = write(&home.join("cgroup.procs"), pid);
        }
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && waited < limits::REMOVAL => {
                thread::sleep(wait);
                waited += wait;
                wait *= 2;
            }
            Err(error) if !is_gone(&error) => return Err(CgroupError::io(group, error)),
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}
