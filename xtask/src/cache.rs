//! Where built parts are kept: one directory per part and content key, outside the source tree.
//!
//! A part is built in a working directory beside its final place and renamed into it when it is whole, so
//! a killed build leaves nothing that looks finished. A lock file per part keeps two runs from building the
//! same thing at once; the second waits and then finds the first one's result.

use crate::failure::{Failure, Result, at};
use sha2::{Digest, Sha256};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// What is to be built and everything its content depends on.
pub(crate) struct Recipe<'a> {
    /// The part's name, which is also the name of its main binary.
    pub(crate) name: &'a str,
    /// Version and manifest; a change of any of them is another build.
    pub(crate) inputs: &'a [&'a str],
    /// The files the build must leave in its output directory.
    pub(crate) products: &'a [&'a str],
}

/// The directories a build may write to; both are new and empty.
pub(crate) struct Workplace {
    pub(crate) scratch: PathBuf,
    pub(crate) output: PathBuf,
    /// Where the output will be when it is whole.
    pub(crate) home: PathBuf,
}

/// The directory that holds the recipe's products, built by `build` if it is not there yet.
pub(crate) fn get_or_build(
    recipe: &Recipe<'_>,
    build: impl FnOnce(&Workplace) -> Result<()>,
) -> Result<PathBuf> {
    let root = root()?;
    fs::create_dir_all(&root).map_err(at("Making the cache directory", &root))?;
    let home = root.join(format!("{}-{}", recipe.name, key(recipe.inputs)));
    if !home.is_dir() {
        let _lock = lock(&root.join(format!("{}.lock", recipe.name)), recipe.name)?;
        // Another run may have built it while this one waited for the lock.
        if !home.is_dir() {
            clear_leftovers(&home);
            build_into(&home, recipe, build)?;
        }
    }
    for product in recipe.products {
        link(&root, &home, product)?;
    }
    Ok(home)
}

fn build_into(home: &Path, recipe: &Recipe<'_>, build: impl FnOnce(&Workplace) -> Result<()>) -> Result<()> {
    // The name has the process in it: what a killed run started may still be writing to its own directory.
    let work = home.with_extension(format!("building-{}", std::process::id()));
    let place =
        Workplace { scratch: work.join("scratch"), output: work.join("output"), home: home.to_owned() };
    for directory in [&place.scratch, &place.output] {
        fs::create_dir_all(directory).map_err(at("Making the build directory", directory))?;
    }
    build(&place)?;
    for product in recipe.products {
        let path = place.output.join(product);
        if !path.is_file() {
            return Err(Failure(format!(
                "The build of {} ended without an error but left no {}; its log is in {}.",
                recipe.name,
                path.display(),
                logs()?.display()
            )));
        }
    }
    fs::rename(&place.output, home).map_err(at("Moving the finished build to", home))?;
    fs::remove_dir_all(&work).map_err(at("Clearing the build directory", &work))
}

/// Removes what killed or failed builds of the same thing left, as far as that is possible now.
fn clear_leftovers(home: &Path) {
    let (Some(root), Some(name)) = (home.parent(), home.file_name()) else { return };
    let prefix = format!("{}.building-", name.to_string_lossy());
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // What cannot be removed is only in the way of the disk's space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// `<cache>/bin/<product>` always points to what the last run set up, so that tests started without xtask find it.
fn link(root: &Path, home: &Path, product: &str) -> Result<()> {
    let bin = root.join("bin");
    fs::create_dir_all(&bin).map_err(at("Making the directory", &bin))?;
    let (target, place) = (home.join(product), bin.join(product));
    if fs::read_link(&place).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let fresh = bin.join(format!(".{product}.{}", std::process::id()));
    std::os::unix::fs::symlink(&target, &fresh).map_err(at("Making the link", &fresh))?;
    fs::rename(&fresh, &place).map_err(at("Placing the link", &place))
}

/// Held until the returned file is dropped; the system lets go of it when the process dies.
fn lock(path: &Path, name: &str) -> Result<File> {
    let file = File::create(path).map_err(at("Opening the lock file", path))?;
    if file.try_lock().is_err() {
        eprintln!("  {name}: another run is building it; waiting for that one to end");
        file.lock().map_err(at("Waiting for the lock file", path))?;
    }
    Ok(file)
}

/// The directory for build logs.
pub(crate) fn logs() -> Result<PathBuf> {
    directory("logs")
}

/// A directory of this name in the cache.
pub(crate) fn directory(name: &str) -> Result<PathBuf> {
    let directory = root()?.join(name);
    fs::create_dir_all(&directory).map_err(at("Making the directory", &directory))?;
    Ok(directory)
}

/// `$DAGTEL_CACHE`, else `$XDG_CACHE_HOME/dagtel`, else `~/.cache/dagtel`. The test harness looks in the same place.
fn root() -> Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = variable("DAGTEL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("dagtel")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/dagtel")))
        .ok_or_else(|| {
            Failure(
                "There is no place for the cache: set DAGTEL_CACHE to a directory that may be written."
                    .into(),
            )
        })?;
    std::path::absolute(&root).map_err(at("Finding the cache directory", &root))
}

/// The platform is part of the key: a home directory may be shared between machines.
fn key(inputs: &[&str]) -> String {
    let mut hash = Sha256::new();
    for input in [env::consts::OS, env::consts::ARCH].iter().chain(inputs) {
        hash.update((input.len() as u64).to_be_bytes());
        hash.update(input.as_bytes());
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
