//! The one error of these commands: a sentence for the person who started them.

use std::{fmt::Display, path::Path};

#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Says what was being done with which path when the system refused.
pub(crate) fn at<E: Display>(doing: &str, path: &Path) -> impl FnOnce(E) -> Failure {
    move |error| Failure(format!("{doing} {} failed: {error}.", path.display()))
}
