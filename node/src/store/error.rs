//! What opening, committing and reading can answer when they fail: one closed enum per operation. Which of them
//! poisons the store is decided in `store.rs`; how a person is told is left to the binaries.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a store could not be opened. Nothing was changed on disk unless the variant says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or another handle of this one) has the store open. Retry when it has ended.
    #[error("the store {} is in use by process {pid}: stop that process first", dir.display())]
    Locked {
        /// The store's directory.
        dir: PathBuf,
        /// The holder's process id as it wrote it into the lock file, or `unknown`.
        pid: String,
    },
    /// An option is out of its range. Report.
    #[error("store option {option} must be within {min}..={max}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its smallest value.
        min: u64,
        /// Its largest value.
        max: u64,
    },
    /// The operating system refused. Report; the path says where.
    #[error("cannot {doing} {}", path.display())]
    Access {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk is full. Free some space and open again.
    #[error("no space left on the disk that holds {}", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Data that was acknowledged does not match its checksum. Nothing was dropped; open with `salvage` to read the
    /// rest and move it to a new store.
    #[error("{} is damaged at byte {offset}: {what}; open it in salvage mode to read the rest", path.display())]
    Corrupt {
        /// The segment file.
        path: PathBuf,
        /// Where in it, bytes.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A segment that should be there is not: somebody removed it, or the directory was restored in part.
    #[error("the segment {} is missing; restore it, or open in salvage mode to read the rest", path.display())]
    Missing {
        /// The file that should be there.
        path: PathBuf,
    },
    /// The segment was written in a format that this version does not know. Use the newer program.
    #[error("{} has format {version}, this program reads format {known}", path.display())]
    Format {
        /// The segment file.
        path: PathBuf,
        /// The format it states.
        version: u16,
        /// The format this program knows.
        known: u16,
    },
    /// sled cannot work in the index directory even after it was built anew.
    #[error("the index {} cannot be used", path.display())]
    Index {
        /// The index directory.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
}

/// Why a batch was not committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A subject, key, value or the whole batch is too long. Nothing was written; the store stays usable.
    #[error("{what} of {bytes} bytes exceeds the limit of {limit}")]
    Limit {
        /// What is too long: `subject`, `key`, `value` or `batch`.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The store was opened in salvage mode, which never writes.
    #[error("the store {} is open in salvage mode and cannot be written", dir.display())]
    Salvage {
        /// The store's directory.
        dir: PathBuf,
    },
    /// An earlier write or sync failed, so what is on disk is unknown until the store is opened again.
    #[error("an earlier write to {} failed: open the store again before writing", dir.display())]
    Poisoned {
        /// The store's directory.
        dir: PathBuf,
    },
    /// The disk is full. The store is poisoned; free some space and open it again.
    #[error("no space left on the disk that holds {}", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// A write or sync failed. The store is poisoned.
    #[error("cannot {doing} {}", path.display())]
    Access {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// sled failed. The store is poisoned; opening it again rebuilds the index if need be.
    #[error("the index {} failed", path.display())]
    Index {
        /// The index directory.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
    /// What is on disk and had to be read first is damaged. Nothing was written.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why something could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Access {
        /// The segment file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The bytes do not match their checksum: bit rot, or somebody wrote to the file.
    #[error("{} is damaged at byte {offset}", path.display())]
    Corrupt {
        /// The segment file.
        path: PathBuf,
        /// Where the record starts, bytes.
        offset: u64,
    },
    /// The index is damaged; opening the store again rebuilds it.
    #[error("the index {} is damaged: open the store again to rebuild it", path.display())]
    IndexCorrupt {
        /// The index directory.
        path: PathBuf,
    },
    /// sled failed.
    #[error("the index {} failed", path.display())]
    Index {
        /// The index directory.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
}

/// A system call that failed, before it is known which operation it fails.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) doing: &'static str,
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl Failure {
    /// For `map_err`: names what was tried on which path.
    pub(super) fn at<'a>(
        doing: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Failure + 'a {
        move |source| Failure { doing, path: path.to_path_buf(), source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<Failure> for OpenError {
    fn from(Failure { doing, path, source }: Failure) -> Self {
        if is_full(&source) {
            return OpenError::Full { path };
        }
        OpenError::Access { doing, path, source }
    }
}

impl From<Failure> for CommitError {
    fn from(Failure { doing, path, source }: Failure) -> Self {
        if is_full(&source) {
            return CommitError::Full { path };
        }
        CommitError::Access { doing, path, source }
    }
}

impl From<Failure> for ReadError {
    fn from(Failure { path, source, .. }: Failure) -> Self {
        ReadError::Access { path, source }
    }
}

impl From<super::barrier::BarrierError> for OpenError {
    fn from(error: super::barrier::BarrierError) -> Self {
        match error {
            super::barrier::BarrierError::Access { doing, path, source } => {
                Failure { doing, path, source }.into()
            }
            super::barrier::BarrierError::Sled { path, source: sled::Error::Io(source) }
                if is_full(&source) =>
            {
                drop(source);
                OpenError::Full { path }
            }
            super::barrier::BarrierError::Sled { path, source } => {
                OpenError::Index { path, source }
            }
        }
    }
}

impl From<super::barrier::BarrierError> for CommitError {
    fn from(error: super::barrier::BarrierError) -> Self {
        match error {
            super::barrier::BarrierError::Access { doing, path, source } => {
                Failure { doing, path, source }.into()
            }
            super::barrier::BarrierError::Sled { path, source: sled::Error::Io(source) }
                if is_full(&source) =>
            {
                drop(source);
                CommitError::Full { path }
            }
            super::barrier::BarrierError::Sled { path, source } => {
                CommitError::Index { path, source }
            }
        }
    }
}
