//! What the terminal shows, as snapshots.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod hostile;
mod input;
mod metrics;
mod store;
mod tree;

use super::Theme;

/// No colour, all characters.
fn plain(width: usize) -> Theme {
    Theme { color: false, unicode: true, width }
}
