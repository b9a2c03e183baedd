//! What a backup is: a tar archive, compressed with zstd, perhaps encrypted with age, whose first file says what the
//! others are.
//!
//! `manifest.json` names the files with length and SHA-256 in the order in which they follow. Reading believes nothing
//! else: names are compared with the list of those that a home has, so no path leads out of it and no link can be in
//! it, and what is longer than it should be ends the reading.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use zt_proto::Timestamp;

use super::super::home::{self, DATABASE, IDENTITY_SECRET};
use super::sealing::{Key, Sealed, Sealing, SealingError};

/// The version of the format that this release writes, and the newest that it reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MAX_MANIFEST_BYTES: u64 = 64 << 10;
/// Files in one archive: those of a home and as many moons as a node can have.
const MAX_FILES: usize = 128;
/// Length of each file but the database; keys and worlds have some hundred bytes.
const MAX_SMALL_FILE_BYTES: u64 = 64 << 10;
/// Length of the database, which has about 300 bytes for each member.
const MAX_DATABASE_BYTES: u64 = 64 << 30;
/// How many times longer than the archive its content may be; databases shrink to a third or so. Anything beyond was
/// made to fill the disk.
const MAX_RATIO: u64 = 1000;
/// What may be there in any case, since a small archive is mostly names and keys.
const FREE_BYTES: u64 = 16 << 20;
/// What may follow the last file: a tar archive is filled up with zeros.
const MAX_PADDING_BYTES: u64 = 1 << 20;
/// Fast, and a fifth longer than the best.
const COMPRESSION_LEVEL: i32 = 3;

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub format: u32,
    /// The release that made it.
    pub program: String,
    /// Address of the controller.
    pub controller: String,
    /// Milliseconds since 1970.
    pub created: u64,
    pub files: Vec<FileEntry>,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// As in the home.
    pub name: String,
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Why an archive cannot be used. Nothing of it is then to be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error("it is not a backup made by this program, or it is damaged: {0}")]
    Unreadable(String),
    #[error(
        "it is of format {0}, and this release reads formats up to {FORMAT}; use the release that made it"
    )]
    NewerFormat(u32),
    #[error("it is not as this program makes them: {0}")]
    Foreign(String),
    #[error("{name} is damaged: {reason}")]
    Damaged { name: String, reason: String },
    #[error("cannot write what is in it: {0}")]
    Write(io::Error),
}

impl ArchiveError {
    /// Says whether the archive is at fault, rather than what is missing to open it or where it was to go.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            Self::Sealing(reason) => matches!(reason, SealingError::Damaged(_)),
            Self::NewerFormat(_) | Self::Write(_) => false,
            Self::Unreadable(_) | Self::Foreign(_) | Self::Damaged { .. } => true,
        }
    }
}

impl Manifest {
    pub(super) fn new(controller: zt_proto::Address, created: Timestamp, files: Vec<FileEntry>) -> Self {
        Self {
            format: FORMAT,
            program: concat!("ctl-bin ", env!("CARGO_PKG_VERSION")).to_owned(),
            controller: controller.to_string(),
            created: created.0,
            files,
        }
    }

    /// Checks everything that can be checked before the first file is read.
    fn check(&self, archive_bytes: u64) -> Result<(), ArchiveError> {
        if self.format > FORMAT {
            return Err(ArchiveError::NewerFormat(self.format));
        }
        let foreign = |reason: String| Err(ArchiveError::Foreign(reason));
        if self.files.len() > MAX_FILES {
            return foreign(format!("it names {} files, more than {MAX_FILES}", self.files.len()));
        }
        let mut names = BTreeSet::new();
        let mut total: u64 = 0;
        for FileEntry { name, size, .. } in &self.files {
            if home::kept_mode(name).is_none() {
                return foreign(format!("a home has no file {name:?}"));
            }
            if !names.insert(name.as_str()) {
                return foreign(format!("it has {name} twice"));
            }
            let max = if name == DATABASE { MAX_DATABASE_BYTES } else { MAX_SMALL_FILE_BYTES };
            if *size > max {
                return foreign(format!("{name} has {size} bytes, more than {max}"));
            }
            total = total.saturating_add(*size);
        }
        let max = archive_bytes.saturating_mul(MAX_RATIO).max(FREE_BYTES);
        if total > max {
            return foreign(format!("{archive_bytes} bytes that become {total} were made to fill a disk"));
        }
        for needed in [IDENTITY_SECRET, DATABASE] {
            if !names.contains(needed) {
                return foreign(format!("it has no {needed}"));
            }
        }
        Ok(())
    }
}

/// Describes a file by reading it to its end.
pub(super) fn describe(name: &str, mut content: impl Read) -> io::Result<FileEntry> {
    let mut hashing = Hashing { hash: Sha256::new(), size: 0, out: io::sink() };
    io::copy(&mut content, &mut hashing)?;
    let (size, sha256) = hashing.finish();
    Ok(FileEntry { name: name.to_owned(), size, sha256 })
}

/// Writes an archive. `open` gives the content of each file that the manifest names. Returns the key that opens what
/// was written.
pub(super) fn write<R: Read>(
    out: impl Write,
    sealing: &Sealing,
    manifest: &Manifest,
    mut open: impl FnMut(&FileEntry) -> io::Result<R>,
) -> io::Result<Key> {
    let (sealed, key) = sealing.seal(out)?;
    let mut compressed = zstd::Encoder::new(sealed, COMPRESSION_LEVEL)?;
    compressed.include_checksum(true)?;
    let mut archive = Builder::new(compressed);
    let text = serde_json::to_vec_pretty(manifest)?;
    append(&mut archive, MANIFEST, 0o600, text.len().try_into().unwrap_or(u64::MAX), manifest, &*text)?;
    for file in &manifest.files {
        let mode = home::kept_mode(&file.name).unwrap_or(0o600);
        append(&mut archive, &file.name, mode, file.size, manifest, open(file)?)?;
    }
    let sealed: Sealed<_> = archive.into_inner()?.finish()?;
    sealed.finish()?.flush()?;
    Ok(key)
}

fn append(
    archive: &mut Builder<impl Write>,
    name: &str,
    mode: u32,
    size: u64,
    manifest: &Manifest,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(manifest.created / 1000);
    header.set_cksum();
    archive.append(&header, content.take(size))
}

/// Reads an archive of `archive_bytes` to its end and checks every byte of it. `place` is called for each file, in the
/// order of the manifest, and gives what its content is written to.
///
/// # Errors
/// What was written until then is to be thrown away.
pub(crate) fn read<'a, W: Write>(
    input: impl BufRead + 'a,
    archive_bytes: u64,
    key: &Key,
    mut place: impl FnMut(&FileEntry) -> io::Result<W>,
) -> Result<Manifest, ArchiveError> {
    let unreadable = |error: io::Error| ArchiveError::Unreadable(error.to_string());
    let opened = key.open(input)?;
    let mut archive = Archive::new(zstd::Decoder::new(opened).map_err(unreadable)?.single_frame());
    // Raw: names and lengths in extra headers, which other programs write, are none that this one has written.
    let mut entries = archive.entries().map_err(unreadable)?.raw(true);

    let mut first = next(&mut entries, MANIFEST, None)?;
    let mut text = Vec::new();
    if first.size() > MAX_MANIFEST_BYTES {
        return Err(ArchiveError::Foreign(format!("{MANIFEST} has {} bytes", first.size())));
    }
    first.read_to_end(&mut text).map_err(unreadable)?;
    drop(first);
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| ArchiveError::Damaged { name: MANIFEST.to_owned(), reason: error.to_string() })?;
    manifest.check(archive_bytes)?;
    for file in &manifest.files {
        let mut content = next(&mut entries, &file.name, Some(file.size))?;
        let mut hashing =
            Hashing { hash: Sha256::new(), size: 0, out: place(file).map_err(ArchiveError::Write)? };
        copy(&mut content, &mut hashing)?;
        hashing.flush().map_err(ArchiveError::Write)?;
        let (size, sha256) = hashing.finish();
        if (size, &sha256) != (file.size, &file.sha256.to_ascii_lowercase()) {
            let reason =
                format!("it has {size} bytes with SHA-256 {sha256}, not {} with {}", file.size, file.sha256);
            return Err(ArchiveError::Damaged { name: file.name.clone(), reason });
        }
    }
    if entries.next().is_some() {
        return Err(ArchiveError::Foreign("it has more files than it names".to_owned()));
    }
    // Only the end of the stream tells that nothing was cut off or put in.
    let mut decoder = archive.into_inner();
    let padding =
        io::copy(&mut (&mut decoder).take(MAX_PADDING_BYTES + 1), &mut io::sink()).map_err(unreadable)?;
    let mut rest = decoder.finish();
    let mut trailing = [0];
    if padding > MAX_PADDING_BYTES || rest.read(&mut trailing).map_err(unreadable)? > 0 {
        return Err(ArchiveError::Foreign("something follows its end".to_owned()));
    }
    Ok(manifest)
}

/// Returns the next file of the archive, which must be the one named.
fn next<'a, R: Read + 'a>(
    entries: &mut tar::Entries<'a, R>,
    name: &str,
    size: Option<u64>,
) -> Result<tar::Entry<'a, R>, ArchiveError> {
    let entry = match entries.next() {
        Some(Ok(entry)) => entry,
        Some(Err(error)) => return Err(ArchiveError::Unreadable(error.to_string())),
        None => return Err(ArchiveError::Unreadable(format!("it ends before {name}"))),
    };
    let (found, kind) = (entry.path_bytes(), entry.header().entry_type());
    if found != name.as_bytes() || kind != EntryType::Regular {
        let found = String::from_utf8_lossy(&found).into_owned();
        return Err(ArchiveError::Foreign(format!(
            "expected the file {name}, found {found:?} of type {kind:?}"
        )));
    }
    drop(found);
    match size {
        Some(size) if entry.size() != size => {
            let reason = format!("it has {} bytes instead of {size}", entry.size());
            Err(ArchiveError::Damaged { name: name.to_owned(), reason })
        }
        _ => Ok(entry),
    }
}

/// Copies, and tells who failed: the archive or the disk.
fn copy(content: &mut impl Read, out: &mut impl Write) -> Result<(), ArchiveError> {
    let mut content = BufReader::with_capacity(128 << 10, content);
    loop {
        let bytes = content.fill_buf().map_err(|error| ArchiveError::Unreadable(error.to_string()))?;
        if bytes.is_empty() {
            return Ok(());
        }
        out.write_all(bytes).map_err(ArchiveError::Write)?;
        let length = bytes.len();
        content.consume(length);
    }
}

/// Passes on what is written, and counts and hashes it.
struct Hashing<W> {
    hash: Sha256,
    size: u64,
    out: W,
}

impl<W> Hashing<W> {
    fn finish(self) -> (u64, String) {
        (self.size, HEXLOWER.encode(&self.hash.finalize()))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.hash.update(bytes.get(..length).unwrap_or_default());
        self.size += u64::try_from(length).unwrap_or(0);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
