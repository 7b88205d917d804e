//! Time, the process and chance, passed in so that tests decide them.

use std::{
    cell::{Cell, RefCell},
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher as _, Hasher as _},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use forkguard::atfork::Guard;

/// What a spool asks of its surroundings besides files.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;
    /// Time since some moment that stays the same; it never goes back.
    fn monotonic(&self) -> Duration;
    /// The id of this process. It changes in a forked child, and then the child becomes a writer of its own.
    fn pid(&self) -> u32;
    /// A number that nobody else draws.
    fn random(&self) -> u64;
}

/// The clock, the process and the randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn pid(&self) -> u32 {
        process_id()
    }

    fn random(&self) -> u64 {
        from_the_system().unwrap_or_else(|| {
            // Keys of a hasher are random, but a forked child has its parent's: time and process tell them apart.
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u128(self.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos()));
            hasher.write_u32(self.pid());
            hasher.finish()
        })
    }
}

fn from_the_system() -> Option<u64> {
    use std::io::Read as _;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom").ok()?.read_exact(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// The id of this process. The system is only asked when a fork was noticed: its answer takes as long as all else that
/// an append does in user space.
pub fn process_id() -> u32 {
    thread_local! {
        static KNOWN: Cell<Option<u32>> = const { Cell::new(None) };
        static FORKS: RefCell<Option<Guard>> = RefCell::new(Guard::try_new().ok());
    }
    let forked = FORKS.with_borrow_mut(|guard| guard.as_mut().is_none_or(Guard::detected_fork));
    match KNOWN.get() {
        Some(pid) if !forked => pid,
        _ => {
            let pid = std::process::id();
            KNOWN.set(Some(pid));
            pid
        }
    }
}
