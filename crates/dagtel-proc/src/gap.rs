//! What could not be seen, and why. It is counted and explained; it is never an error.

use std::fmt;

/// Why something of a tree of processes could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// `/proc` does not show a process that exists.
    Hidden,
    /// A process may not be read by this user.
    Denied,
    /// What a process shares with others may not be read, so that its whole resident set counted.
    ShareUnknown,
    /// A process id went to another process between two looks.
    Reused,
    /// The kernel has no lists of children, so that the parents of all processes are read.
    NoChildrenLists,
    /// The tree has more processes than are followed.
    TooMany,
    /// There was no thread for the looks, so that only the first and the last one were taken.
    NoThread,
}

impl Gap {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Hidden,
        Self::Denied,
        Self::ShareUnknown,
        Self::Reused,
        Self::NoChildrenLists,
        Self::TooMany,
        Self::NoThread,
    ];

    /// The name in telemetry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Denied => "denied",
            Self::ShareUnknown => "share_unknown",
            Self::Reused => "pid_reused",
            Self::NoChildrenLists => "no_children_lists",
            Self::TooMany => "too_many",
            Self::NoThread => "no_thread",
        }
    }

    /// What it means for the figures, and what helps.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Hidden => {
                "/proc does not show a process that exists (hidepid, or the /proc of another pid namespace); \
                 its memory is not in the sampled figures"
            }
            Self::Denied => {
                "a process of another user could not be read; it and its children are not in the sampled figures"
            }
            Self::ShareUnknown => {
                "smaps_rollup of a process could not be read; pages that it shares were counted as its own"
            }
            Self::Reused => {
                "a process ended between two looks and its id went to another one; its last moments were not seen"
            }
            Self::NoChildrenLists => {
                "the kernel was built without CONFIG_PROC_CHILDREN; the parents of all processes were read instead, \
                 which costs more"
            }
            Self::TooMany => "the tree has more processes than are followed; the others were not looked at",
            Self::NoThread => "no thread could be started; only the first and the last look were taken",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How often each [`Gap`] was met: once for each process that it concerns, once for a whole tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps([u64; Gap::ALL.len()]);

impl Gaps {
    pub(crate) fn add(&mut self, gap: Gap) {
        self.0[gap as usize] += 1;
    }

    /// How often this one was met.
    pub fn count(&self, gap: Gap) -> u64 {
        self.0[gap as usize]
    }

    /// Whether everything was seen.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// Those that were met, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (Gap, u64)> + '_ {
        Gap::ALL.into_iter().map(|gap| (gap, self.count(gap))).filter(|(_, count)| *count > 0)
    }
}
