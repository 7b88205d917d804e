//! Looks at the process trees of all tracked tasks from one thread.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    account::Account,
    gap::Gap,
    limits,
    source::{Budget, Source},
    usage::Usage,
};

/// Between two attempts to get at a tree that is being looked at.
const A_MOMENT: Duration = Duration::from_micros(50);

/// How a task is tracked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    interval: Duration,
    shares: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { interval: limits::INTERVAL, shares: false }
    }
}

impl Options {
    /// The time from the end of a look to the beginning of the next; half a second if not set. Less than
    /// [`limits::SHORTEST_INTERVAL`] or more than [`limits::LONGEST_INTERVAL`] is taken as that.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.clamp(limits::SHORTEST_INTERVAL, limits::LONGEST_INTERVAL);
        self
    }

    /// Whether to read proportional set sizes too, which count a page once that several processes share. The kernel
    /// goes through all pages of a process for that. Not, unless set.
    #[must_use]
    pub fn with_shares(mut self, shares: bool) -> Self {
        self.shares = shares;
        self
    }
}

/// Tracks any number of tasks from one thread, which runs while there is a task.
///
/// Clones are the same tracker. Each [`Tracker::track`] is a task by itself whatever it tracks, so that the same
/// process may be tracked twice, and mapped siblings or tries of one task never collide.
#[derive(Clone, Debug)]
pub struct Tracker {
    shared: Arc<Shared>,
    budget: Budget,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    tasks: BTreeMap<u64, Planned>,
    running: bool,
}

#[derive(Debug)]
struct Planned {
    due: Instant,
    task: Arc<Task>,
}

/// A tracked task. Dropping it ends the tracking.
#[derive(Debug)]
#[must_use = "the task is tracked no longer than this lives"]
pub struct Tracked {
    shared: Arc<Shared>,
    id: u64,
    task: Arc<Task>,
}

#[derive(Debug)]
struct Task {
    options: Options,
    /// What the thread looks at. A look may hold it for long.
    tree: Mutex<Tree>,
    /// The root alone, for the end that cannot wait for a look.
    root: Mutex<Tree>,
    /// What the last whole look found.
    usage: Mutex<Usage>,
    on_look: OnLook,
}

/// Is told after each look.
struct OnLook(Mutex<Tell>);

type Tell = Box<dyn FnMut(&Usage) + Send>;

impl fmt::Debug for OnLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLook")
    }
}

#[derive(Debug)]
struct Tree {
    pid: u32,
    source: Source,
    account: Account,
}

impl Tree {
    fn new(pid: u32, shares: bool, budget: &Budget) -> Self {
        let own = pid == std::process::id();
        let mut account = Account::new(pid, own, shares);
        let mut source = Source::new(pid, budget);
        source.look_at_root(pid, &mut account);
        Self { pid, source, account }
    }

    fn look(&mut self, until: Option<Instant>, shares: bool) -> Usage {
        self.source.look(&mut self.account, until, shares);
        self.account.usage()
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// A tracker without a task.
    pub fn new() -> Self {
        Self { shared: Arc::default(), budget: Budget::new() }
    }

    /// Tracks a process and all its descendants from now on.
    ///
    /// The figures are those of the whole life of each process, with one exception: if `pid` is this process itself, it
    /// is older than the task. Then processor time is counted from now on, and high-water marks only where they rise.
    ///
    /// That there is no such process is no error; the figures are zero then.
    pub fn track(&self, pid: u32, options: Options) -> Tracked {
        self.track_with(pid, options, |_| {})
    }

    /// The same; `on_look` is told after each look, on the tracker's thread, which all tasks share: it must be brief.
    pub fn track_with(
        &self,
        pid: u32,
        options: Options,
        on_look: impl FnMut(&Usage) + Send + 'static,
    ) -> Tracked {
        let tree = Tree::new(pid, options.shares, &self.budget);
        let usage = Mutex::new(tree.account.usage());
        let root = Tree::new(pid, false, &Budget::none());
        let task = Arc::new(Task {
            options,
            tree: Mutex::new(tree),
            root: Mutex::new(root),
            usage,
            on_look: OnLook(Mutex::new(Box::new(on_look))),
        });
        let mut state = lock(&self.shared.state);
        state.last += 1;
        let id = state.last;
        state.tasks.insert(id, Planned { due: Instant::now(), task: task.clone() });
        if state.running {
            self.shared.wake.notify_one();
        } else {
            let shared = self.shared.clone();
            let started = thread::Builder::new().name("dagtel-proc".into()).spawn(move || run(&shared));
            state.running = started.is_ok();
            if started.is_err() {
                lock(&task.tree).account.gap(Gap::NoThread);
            }
        }
        drop(state);
        Tracked { shared: self.shared.clone(), id, task }
    }
}

/// The thread: looks at whatever is due, and ends when there is no task.
fn run(shared: &Shared) {
    while let Some((id, task)) = next(shared) {
        let usage = lock(&task.tree).look(None, task.options.shares);
        *lock(&task.usage) = usage;
        (lock(&task.on_look.0))(&usage);
        if let Some(planned) = lock(&shared.state).tasks.get_mut(&id) {
            planned.due = Instant::now() + task.options.interval;
        }
    }
}

fn next(shared: &Shared) -> Option<(u64, Arc<Task>)> {
    let mut state = lock(&shared.state);
    loop {
        let Some((id, planned)) = state.tasks.iter().min_by_key(|(_, planned)| planned.due) else {
            // Under the lock, so that whoever adds a task from here on starts another thread.
            state.running = false;
            return None;
        };
        let wait = planned.due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Some((*id, planned.task.clone()));
        }
        state = shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
    }
}

impl Tracked {
    /// What was used up to the last look.
    pub fn snapshot(&self) -> Usage {
        *lock(&self.task.usage)
    }

    /// Ends the tracking with a last look, and returns what was used.
    ///
    /// It does not wait for the interval, and all of it is over after [`limits::LAST_LOOK`] and the reading of one more
    /// process. If a look is under way, half of that is spent on waiting for it; after that only the root is looked at.
    /// Proportional set sizes are left out. The mark of a child that has ended can no longer be read;
    /// [`wait`](crate::wait) tells it.
    pub fn stop(self) -> Usage {
        lock(&self.shared.state).tasks.remove(&self.id);
        let began = Instant::now();
        loop {
            if let Ok(mut tree) = self.task.tree.try_lock() {
                return tree.look(Some(began + limits::LAST_LOOK), false);
            }
            if began.elapsed() >= limits::LAST_LOOK / 2 {
                return self.look_at_root();
            }
            thread::sleep(A_MOMENT);
        }
    }

    fn look_at_root(&self) -> Usage {
        let mut usage = self.snapshot();
        let mut root = lock(&self.task.root);
        let Tree { pid, source, account } = &mut *root;
        source.look_at_root(*pid, account);
        let seen = account.usage();
        usage.cpu = usage.cpu.max(seen.cpu);
        seen.peaks.iter().for_each(|(method, bytes)| usage.peaks.raise(method, bytes));
        usage
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        lock(&self.shared.state).tasks.remove(&self.id);
        // So that a thread without a task ends.
        self.shared.wake.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
