//! Finds the directory that counts the memory of a process.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::CgroupError;

/// Which of the kernel's two interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

impl Version {
    pub(crate) fn peak(self) -> &'static str {
        match self {
            Self::One => "memory.max_usage_in_bytes",
            Self::Two => "memory.peak",
        }
    }

    pub(crate) fn current(self) -> &'static str {
        match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        }
    }

    pub(crate) fn events(self) -> &'static str {
        match self {
            Self::One => "memory.oom_control",
            Self::Two => "memory.events",
        }
    }
}

/// Where a process is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) version: Version,
    pub(crate) memory: PathBuf,
    /// Version 1 counts processor time in another hierarchy.
    pub(crate) cpu: Option<PathBuf>,
    /// Whether the directory is the top of what is mounted.
    pub(crate) top: bool,
}

/// Version 1 if its memory controller is mounted, else version 2: a controller is in one of them only.
pub(crate) fn find(proc: &Path, pid: u32) -> Result<Found, CgroupError> {
    let read = |path: PathBuf| fs::read_to_string(&path).map_err(|error| CgroupError::io(&path, error));
    let groups = read(proc.join(pid.to_string()).join("cgroup"))?;
    let mounts = read(proc.join("self/mountinfo"))?;
    let place = |controller| place(pid, &groups, &mounts, controller);
    if let Some((memory, top)) = place("memory")? {
        let cpu = place("cpuacct")?.map(|(directory, _)| directory);
        return Ok(Found { version: Version::One, memory, cpu, top });
    }
    let Some((memory, top)) = place("")? else {
        return Err(CgroupError::NoController { pid, why: "no cgroup file system is mounted" });
    };
    match memory.join("memory.current").try_exists() {
        Ok(true) => Ok(Found { version: Version::Two, cpu: Some(memory.clone()), memory, top }),
        // The top of version 2 has no such file even where the controller is there.
        Ok(false) if top && has_word(&memory.join("cgroup.controllers"), "memory") => {
            Ok(Found { version: Version::Two, cpu: None, memory, top })
        }
        Ok(false) => {
            let why = "its cgroup (version 2) is there, but has no memory controller";
            Err(CgroupError::NoController { pid, why })
        }
        Err(error) => Err(CgroupError::io(&memory, error)),
    }
}

/// Whether a file of words has this one.
pub(crate) fn has_word(path: &Path, word: &str) -> bool {
    let text = fs::read_to_string(path);
    text.is_ok_and(|text: String| text.split_ascii_whitespace().any(|found| found == word))
}

/// The directory of a process in the hierarchy of a controller, or of version 2 for none; and whether it is the top.
/// `None` if that hierarchy is not there.
fn place(
    pid: u32,
    groups: &str,
    mounts: &str,
    controller: &str,
) -> Result<Option<(PathBuf, bool)>, CgroupError> {
    let Some(group) = groups.lines().find_map(|line| group(line, controller)) else { return Ok(None) };
    let mut mounted = mounts.lines().filter_map(|line| mount(line, controller)).peekable();
    if mounted.peek().is_none() {
        return Ok(None);
    }
    let inside = |(root, point): (PathBuf, PathBuf)| {
        Some((Path::new(group).strip_prefix(root).ok()?.to_owned(), point))
    };
    let climbs = Path::new(group).components().any(|part| part == std::path::Component::ParentDir);
    match mounted.find_map(inside).filter(|_| !climbs) {
        Some((below, point)) => {
            let top = below.as_os_str().is_empty();
            Ok(Some((if top { point } else { point.join(below) }, top)))
        }
        None => Err(CgroupError::Outside { pid }),
    }
}

/// The path in a line of `/proc/<pid>/cgroup`, `4:memory:/a/b` or `0::/a/b`, if it is of this controller.
fn group<'a>(line: &'a str, controller: &str) -> Option<&'a str> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    controllers.split(',').any(|name| name == controller).then_some(path)
}

/// What a line of `/proc/self/mountinfo` mounts, and where, if it is of this controller.
fn mount(line: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let wanted = match controller {
        "" => kind == "cgroup2",
        _ => kind == "cgroup" && options.split(',').any(|option| option == controller),
    };
    let mut before = before.split(' ').skip(3);
    let (root, point) = (before.next()?, before.next()?);
    wanted.then(|| (unescaped(root), unescaped(point)))
}

/// The kernel writes white space and backslashes as `\040` and so on.
fn unescaped(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (code, letter) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(code, letter);
    }
    PathBuf::from(plain)
}

/// Nothing is there to be read, or a process has ended meanwhile.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    const NO_SUCH_PROCESS: i32 = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_SUCH_PROCESS)
}
