//! Which files of certificates are named, and by whom.

use std::path::PathBuf;

use dagtel_ship::TlsFiles;

/// A file, and what names it: a variable, or a place in the configuration file.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    pub(crate) by: String,
}

/// The files that are named for a signal.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    pub(crate) ca: Option<Named>,
    pub(crate) cert: Option<Named>,
    pub(crate) key: Option<Named>,
}

impl Certificates {
    /// These, and what they do not name of the others.
    pub(super) fn or(self, other: Self) -> Self {
        Self { ca: self.ca.or(other.ca), cert: self.cert.or(other.cert), key: self.key.or(other.key) }
    }

    /// The files, which are read once to know that they can be used.
    pub(super) fn files(self, problems: &mut Vec<String>) -> TlsFiles {
        let mut files = TlsFiles::default();
        let path = |named: &Option<Named>| named.as_ref().map(|named| named.path.clone());
        (files.ca, files.cert, files.key) = (path(&self.ca), path(&self.cert), path(&self.key));
        if let Err(error) = files.check() {
            let named: Vec<_> = [self.ca, self.cert, self.key].into_iter().flatten().collect();
            let about = |named: &&Named| error.path().is_none_or(|path| path == named.path);
            let by: Vec<_> = named.iter().filter(about).map(|named| named.by.as_str()).collect();
            let problem = format!("{}: {error}", by.join(", "));
            // The same files may be named for several signals.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        files
    }
}
