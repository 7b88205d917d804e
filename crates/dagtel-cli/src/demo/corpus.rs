//! The files that the demo works on.

use std::fs;
use std::path::{Path, PathBuf};

/// Files of at most this size are taken, and so many of them.
const FILE_BYTES: u64 = 256 * 1024;
const FILES: usize = 3000;

/// The text files below a folder, in a fixed order. Hidden folders and build output are passed over.
///
/// # Errors
/// When there is none.
pub(super) fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let dir = dir.canonicalize().map_err(|error| {
        anyhow::anyhow!("the folder {} cannot be read: {error}; name another with --dir", dir.display())
    })?;
    let mut files = Vec::new();
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        // A folder that cannot be read has nothing to work on.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let passed_over =
                name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules";
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !passed_over => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && !passed_over && is_text(&entry.path()) => {
                    files.push(entry.path())
                }
                _ => {}
            }
        }
        if files.len() >= FILES {
            break;
        }
    }
    if files.is_empty() {
        anyhow::bail!("the folder {} has no text files to work on: name another with --dir", dir.display());
    }
    files.sort();
    files.truncate(FILES);
    Ok(files)
}

fn is_text(path: &Path) -> bool {
    let known = [
        "rs", "md", "toml", "json", "jsonl", "yaml", "yml", "txt", "py", "go", "c", "h", "sh", "lock", "conf",
    ];
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known.contains(&extension))
        && path.metadata().is_ok_and(|meta| meta.len() > 0 && meta.len() <= FILE_BYTES)
}
