//! How a peak was found.

use std::fmt;

/// How a peak of memory was found. The [crate's documentation](crate#methods) says how each errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The kernel's high-water mark of the task's own cgroup.
    Cgroup,
    /// The kernel's high-water marks of the processes, put together at each look.
    VmHwm,
    /// The high-water mark of the largest single process, as `wait4` tells it at the end.
    Rusage,
    /// The greatest sum of resident sets that a look found. What the Cosmos tracker reports.
    SampledRss,
    /// The same with proportional set sizes, which count a shared page once.
    SampledPss,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cgroup, Self::VmHwm, Self::Rusage, Self::SampledRss, Self::SampledPss];

    /// The name in telemetry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::VmHwm => "vmhwm",
            Self::Rusage => "rusage",
            Self::SampledRss => "sampled_rss",
            Self::SampledPss => "sampled_pss",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
