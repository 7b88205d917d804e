//! What the system says of this process: the families `process_*`. Outside Linux there is nothing to read.

use std::fs;

use dagtel_core::catalog::agent;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::Family;

/// The families `process_*` of this process, those that can be read.
pub fn process_families() -> Vec<Family<'static>> {
    let mut families = Vec::new();
    if let Some(stat) = Stat::read() {
        families.push(Family::of(&agent::PROCESS_CPU).number(stat.cpu_seconds));
        families.push(Family::of(&agent::PROCESS_VIRTUAL_MEMORY).number(stat.virtual_bytes));
        families.push(Family::of(&agent::PROCESS_RESIDENT_MEMORY).number(stat.resident_bytes));
        if let Some(boot) = boot_time() {
            families.push(Family::of(&agent::PROCESS_START_TIME).number(boot + stat.started_seconds));
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.push(Family::of(&agent::PROCESS_OPEN_FDS).number(open.count() as f64));
    }
    let most = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |most| most as f64);
    families.push(Family::of(&agent::PROCESS_MAX_FDS).number(most));
    families
}

/// What is used of `/proc/self/stat` (proc_pid_stat(5)).
struct Stat {
    cpu_seconds: f64,
    /// After boot.
    started_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, which may itself have brackets and spaces.
        let fields: Vec<f64> =
            text.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        // Numbered from 1 in the manual, and two fields stand before the bracket.
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            started_seconds: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as f64,
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}
