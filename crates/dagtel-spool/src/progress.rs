//! How far a user of a spool has come, in a file of its own: small, whole or absent.
//!
//! ```text
//! file     = head entry* crc u32 over all before it
//! head     = magic "SPOOLPOS", version u16 = 1, zero u16, count u32, mark u64
//! entry    = writer u64, class u8, segment u64, offset u64, seq u64
//! ```
//!
//! It is written beside and renamed, so that a crash leaves the old or the new one. A damaged one is renamed to
//! `<name>.damaged` and counts as none: its user begins anew, and tells repeated records by their numbers.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use crate::{
    fs::{Fs, RealFs, append_all, read_full},
    id::{Class, Position, StreamId, WriterId},
    layout::none_if_absent,
    options::Durability,
};

const MAGIC: [u8; 8] = *b"SPOOLPOS";
const VERSION: u16 = 1;
const HEAD: usize = 24;
const ENTRY: usize = 33;
/// Streams in one file; a file that claims more is damaged.
const MOST_ENTRIES: usize = 1 << 20;

/// How far a user has come in each stream, and a number of its own.
pub type Progress = (BTreeMap<StreamId, Position>, u64);

/// Reads a file that [`save`] wrote; none if there is none or it is damaged.
///
/// # Errors
///
/// If the file is there and cannot be read.
pub fn load(path: impl AsRef<Path>) -> io::Result<Option<Progress>> {
    load_with(&RealFs, path.as_ref())
}

/// Writes the file anew; at [`Durability::Interval`] and [`Durability::Always`] it is on disk when this returns.
///
/// # Errors
///
/// If that fails; the old file is still there.
pub fn save(
    path: impl AsRef<Path>,
    positions: &BTreeMap<StreamId, Position>,
    mark: u64,
    durability: Durability,
) -> io::Result<()> {
    save_with(&RealFs, path.as_ref(), positions, mark, durability)
}

/// As [`load`], from another file system.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(fs: &dyn Fs, path: &Path) -> io::Result<Option<Progress>> {
    let Some(file) = none_if_absent(fs.open(path))? else { return Ok(None) };
    let len = usize::try_from(file.metadata()?.len).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(HEAD + MOST_ENTRIES * ENTRY + 4)];
    let read = read_full(&*file, &mut bytes, 0)?;
    let progress = decode(&bytes[..read]);
    if progress.is_none() {
        fs.rename(path, &beside(path, ".damaged"))?;
    }
    Ok(progress)
}

/// As [`save`], to another file system.
///
/// # Errors
///
/// As [`save`].
pub fn save_with(
    fs: &dyn Fs,
    path: &Path,
    positions: &BTreeMap<StreamId, Position>,
    mark: u64,
    durability: Durability,
) -> io::Result<()> {
    let new = beside(path, ".tmp");
    none_if_absent(fs.remove_file(&new))?;
    let file = fs.create(&new)?;
    append_all(&*file, &encode(positions, mark)).map_err(|(_, error)| error)?;
    if durability.syncs() {
        file.sync_data()?;
    }
    fs.rename(&new, path)?;
    match path.parent() {
        Some(directory) if durability.syncs() => fs.sync_dir(directory),
        _ => Ok(()),
    }
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn encode(positions: &BTreeMap<StreamId, Position>, mark: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + positions.len() * ENTRY + 4);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&u32::try_from(positions.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&mark.to_le_bytes());
    for (stream, position) in positions {
        bytes.extend_from_slice(&stream.writer.0.to_le_bytes());
        bytes.push(stream.class.code());
        for number in [position.segment, position.offset, position.seq] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Progress> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let head: &[u8; HEAD] = body.first_chunk()?;
    let known = head[..8] == MAGIC && head[8..10] == VERSION.to_le_bytes();
    if !known || u32::from_le_bytes(*crc) != crc32fast::hash(body) {
        return None;
    }
    let count = u32::from_le_bytes(*head[12..].first_chunk()?) as usize;
    let mark = u64::from_le_bytes(*head[16..].first_chunk()?);
    let entries = &body[HEAD..];
    if entries.len() != count.checked_mul(ENTRY)? {
        return None;
    }
    let positions: Option<BTreeMap<_, _>> = entries.chunks_exact(ENTRY).map(entry).collect();
    Some((positions?, mark))
}

fn entry(bytes: &[u8]) -> Option<(StreamId, Position)> {
    let number = |at: usize| bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
    let stream = StreamId::new(WriterId(number(0)?), Class::from_code(*bytes.get(8)?)?);
    Some((stream, Position { segment: number(9)?, offset: number(17)?, seq: number(25)? }))
}
