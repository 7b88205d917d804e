//! What a task used.

use std::time::Duration;

use crate::{cgroup::Cgroup, gap::Gaps, method::Method, rusage::Rusage};

/// What a tree of processes used so far, or in all.
///
/// A [`Tracked`](crate::Tracked) fills in what it saw; [`Usage::add_rusage`] and [`Usage::add_cgroup`] put to it what
/// the kernel kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes held at the last look: proportional set sizes where they were asked for, else resident sets.
    pub current: u64,
    /// The peaks, by method.
    pub peaks: Peaks,
    /// Processor time of all processes together, user and system.
    pub cpu: Duration,
    /// How often it was looked at: the root alone when the tracking began, then the whole tree.
    pub looks: u64,
    /// How many processes there were.
    pub processes: Processes,
    /// What could not be seen.
    pub gaps: Gaps,
    /// Processes that the kernel killed for want of memory in the task's cgroup; `None` where nothing counts them.
    pub oom_kills: Option<u64>,
}

/// How many processes a tree had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Processes {
    /// Different processes that were seen.
    pub seen: u64,
    /// At one look, at most.
    pub most: u64,
    /// Processes that lost their parent and were given to one outside the tree (a double fork). They are followed all
    /// the same. One that left before any look saw it is not known; only a cgroup of the task's own counts it.
    pub escaped: u64,
}

/// A peak of memory for each [`Method`] that could be used, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks([Option<u64>; Method::ALL.len()]);

impl Peaks {
    /// The peak by this method, in bytes.
    pub fn get(&self, method: Method) -> Option<u64> {
        self.0[method as usize]
    }

    /// Those that there are.
    pub fn iter(&self) -> impl Iterator<Item = (Method, u64)> + '_ {
        Method::ALL.into_iter().filter_map(|method| Some((method, self.get(method)?)))
    }

    /// Keeps the greater one.
    pub(crate) fn raise(&mut self, method: Method, bytes: u64) {
        let peak = &mut self.0[method as usize];
        *peak = Some(peak.map_or(bytes, |before| before.max(bytes)));
    }

    /// The truest peak. The mark of an own cgroup misses nothing. Otherwise the figure put together from the marks of
    /// the processes, which is never less than a sampled one; unless a single process that no look caught at its
    /// height was larger, which `wait4` knows. Where there are no marks, a sampled figure stands in for them, and
    /// the proportional one before the resident one.
    pub fn best(&self) -> Option<(Method, u64)> {
        let of = |method| Some((method, self.get(method)?));
        let marked = of(Method::VmHwm).or_else(|| of(Method::SampledPss)).or_else(|| of(Method::SampledRss));
        let tree = match (marked, of(Method::Rusage)) {
            (Some(marked), Some(single)) if single.1 > marked.1 => Some(single),
            (marked, single) => marked.or(single),
        };
        of(Method::Cgroup).or(tree)
    }
}

impl Usage {
    /// Puts to it what `wait4` told of the root and of all descendants that were waited for.
    ///
    /// The peak counts only where it is greater than the one the child was born with ([`Rusage::inherited`]).
    pub fn add_rusage(&mut self, rusage: &Rusage) {
        if rusage.max_rss > rusage.inherited {
            self.peaks.raise(Method::Rusage, rusage.max_rss);
        }
        self.cpu = self.cpu.max(rusage.user + rusage.system);
    }

    /// Puts to it what the kernel counted for the task's cgroup: kills for want of memory, and, if the group is the
    /// task's own, its peak and its processor time. Ask before the group is removed.
    pub fn add_cgroup(&mut self, group: &Cgroup) {
        self.oom_kills = group.oom_kills();
        if let Some(bytes) = group.peak() {
            self.peaks.raise(Method::Cgroup, bytes);
        }
        if let Some(cpu) = group.cpu() {
            // The group has all processes from their birth; a tracker may have missed some.
            self.cpu = self.cpu.max(cpu);
        }
    }

    /// The value of `cosmos_debug_max_memory_mb`, by the method that Cosmos uses (`sampled_rss`). In spite of its
    /// name it is in MiB. Zero if there was no look, as there.
    pub fn debug_max_memory_mb(&self) -> f64 {
        mebibytes(self.peaks.get(Method::SampledRss).unwrap_or(0))
    }
}

/// Bytes in MiB with two decimals, rounded as Python's `round(bytes / 1024 / 1024, 2)` does it.
pub fn mebibytes(bytes: u64) -> f64 {
    let exact = bytes as f64 / 1024.0 / 1024.0;
    // Both round the exact decimal value of the binary number, ties to even.
    format!("{exact:.2}").parse().unwrap_or(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peaks(given: &[(Method, u64)]) -> Peaks {
        let mut peaks = Peaks::default();
        given.iter().for_each(|(method, bytes)| peaks.raise(*method, *bytes));
        peaks
    }

    #[test]
    fn the_best_peak_is_the_truest() {
        use Method::{Cgroup, Rusage, SampledPss, SampledRss, VmHwm};
        assert_eq!(peaks(&[]).best(), None);
        assert_eq!(peaks(&[(Cgroup, 1), (VmHwm, 9), (Rusage, 9)]).best(), Some((Cgroup, 1)));
        assert_eq!(peaks(&[(VmHwm, 5), (Rusage, 5), (SampledRss, 4)]).best(), Some((VmHwm, 5)));
        assert_eq!(peaks(&[(VmHwm, 5), (Rusage, 6)]).best(), Some((Rusage, 6)));
        assert_eq!(peaks(&[(SampledRss, 7), (SampledPss, 3)]).best(), Some((SampledPss, 3)));
        assert_eq!(peaks(&[(Rusage, 2)]).best(), Some((Rusage, 2)));
    }

    #[test]
    fn mebibytes_round_as_python_does() {
        // Each pair is `round(bytes / 1024 / 1024, 2)` of CPython 3.11.
        for (bytes, mb) in [
            (0, 0.0),
            (5242, 0.0),
            (5243, 0.01),
            (131_072, 0.12),
            (393_216, 0.38),
            (1_048_576, 1.0),
            (15_728_640, 15.0),
            (3_597_664_256, 3431.0),
            (123_456_789, 117.74),
        ] {
            assert_eq!(mebibytes(bytes).to_bits(), f64::to_bits(mb), "{bytes}");
        }
    }

    #[test]
    fn rusage_that_was_inherited_is_no_peak() {
        let mut usage = Usage::default();
        let second = Duration::from_secs(1);
        let rusage = Rusage { max_rss: 500, inherited: 500, user: second, system: second };
        usage.add_rusage(&rusage);
        assert_eq!((usage.peaks.best(), usage.cpu), (None, 2 * second));
        usage.add_rusage(&Rusage { max_rss: 501, ..rusage });
        assert_eq!(usage.peaks.best(), Some((Method::Rusage, 501)));
    }
}
