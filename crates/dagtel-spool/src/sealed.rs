//! A small file beside a spool that is whole or absent, whoever is killed while it is written.
//!
//! ```text
//! file = magic 8 | crc u32 over what follows (CRC-32/ISO-HDLC, little-endian) | content
//! ```
//!
//! It is written beside and renamed into place. A damaged one, or one of another version, is renamed to
//! `<name>.damaged`, so that it can be looked at.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::progress::beside;

/// What a sealed file says of its version.
pub type Magic = [u8; 8];

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a file is whole, or it is of no use")]
pub enum Sealed {
    /// No file.
    Absent,
    /// A file that was none of this version; it is kept aside.
    Damaged,
    /// The content.
    Whole(Vec<u8>),
}

/// Reads a file that [`save`] wrote.
///
/// # Errors
/// When it is there and cannot be read or moved aside.
pub fn load(path: impl AsRef<Path>, magic: &Magic) -> io::Result<Sealed> {
    let path = path.as_ref();
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sealed::Absent),
        Err(error) => return Err(error),
    };
    if !is_whole(&bytes, magic) {
        set_aside(path)?;
        return Ok(Sealed::Damaged);
    }
    Ok(Sealed::Whole(bytes.split_off(HEAD)))
}

/// Moves a file aside whose content is of no use.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: impl AsRef<Path>) -> io::Result<()> {
    fs::rename(path.as_ref(), beside(path.as_ref(), ".damaged"))
}

/// Writes a file in place of the one before.
///
/// # Errors
/// When that fails; the one before is still there.
pub fn save(path: impl AsRef<Path>, magic: &Magic, content: &[u8]) -> io::Result<()> {
    let mut saving = Saving::begin(path, magic)?;
    saving.write_all(content)?;
    saving.finish()
}

const HEAD: usize = 12;
/// Bytes of the content that are written by one call.
const CHUNK: usize = 64 * 1024;

/// A file that is being written in place of the one before, piece by piece, so that its content need not be in memory
/// whole. Unless it is [finished](Self::finish), the one before stays.
#[derive(Debug)]
pub struct Saving {
    path: PathBuf,
    new: PathBuf,
    file: File,
    crc: crc32fast::Hasher,
    chunk: Vec<u8>,
}

impl Saving {
    /// Begins one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(path: impl AsRef<Path>, magic: &Magic) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let new = beside(&path, ".new");
        let mut file = File::create(&new)?;
        let mut head = [0; HEAD];
        head[..magic.len()].copy_from_slice(magic);
        file.write_all(&head)?;
        let (crc, chunk) = (crc32fast::Hasher::new(), Vec::with_capacity(CHUNK));
        Ok(Self { path, new, file, crc, chunk })
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// When that fails; the one before is still there.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.seek(SeekFrom::Start((HEAD - size_of::<u32>()) as u64))?;
        self.file.write_all(&self.crc.finalize().to_le_bytes())?;
        drop(self.file);
        fs::rename(&self.new, &self.path)
    }
}

impl io::Write for Saving {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        if bytes.len() >= CHUNK {
            self.crc.update(bytes);
            self.file.write_all(bytes)?;
        } else {
            self.chunk.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc.update(&self.chunk);
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}

fn is_whole(bytes: &[u8], magic: &Magic) -> bool {
    let Some(rest) = bytes.strip_prefix(magic) else { return false };
    rest.split_first_chunk()
        .is_some_and(|(crc, content)| u32::from_le_bytes(*crc) == crc32fast::hash(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_absent_or_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.b");
        assert_eq!(load(&path, b"version1").unwrap(), Sealed::Absent);
        save(&path, b"version1", b"content").unwrap();
        save(&path, b"version1", b"").unwrap();
        assert_eq!(load(&path, b"version1").unwrap(), Sealed::Whole(Vec::new()));
        save(&path, b"version1", b"content").unwrap();
        assert_eq!(load(&path, b"version1").unwrap(), Sealed::Whole(b"content".to_vec()));
        let whole = fs::read(&path).unwrap();
        for byte in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1;
            fs::write(&path, bytes).unwrap();
            assert_eq!(load(&path, b"version1").unwrap(), Sealed::Damaged, "{byte}");
            assert!(!path.exists() && dir.path().join("a.b.damaged").exists());
        }
        fs::write(&path, &whole[..11]).unwrap();
        assert_eq!(load(&path, b"version1").unwrap(), Sealed::Damaged);
    }
}
