//! Environment variables, passed in instead of looked up, so that tests need not change those of the process.

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

/// Where environment variables are looked up, each time one is asked for.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self::new(|name| std::env::var_os(name))
    }

    /// The variables that `lookup` knows.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The value of a variable; `None` when it is not set.
    pub fn get(&self, name: &str) -> Option<OsString> {
        (self.0)(name)
    }

    /// The value of the first of these variables that is set and not empty. One that is no UTF-8 counts as not set.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        let mut texts = names.iter().filter_map(|name| self.get(name)?.into_string().ok());
        texts.find(|text| !text.trim().is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
