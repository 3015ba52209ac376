//! The durability barrier, in one place: makes what was given to sled survive a power cut. sled's own `flush()` does
//! not on Linux (it calls `sync_file_range`, upstream issue 1452), so after it the file `db` is fsynced, the
//! directories are fsynced once after creation, and no background flush runs. Knows nothing of what is stored; the
//! gateway's books use it as the device's store does. Never acknowledge before [`DurableSled::wait`] has returned.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// A database that is in use is tried again for two seconds.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Whether a write waits until it would survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Barrier {
    /// Acknowledge only what is durable. The only setting for real data.
    #[default]
    Full,
    /// Sync nothing, ever: **loses acknowledged data at a power cut**. For tests and for the rig that must notice.
    Off,
}

/// Why the barrier did not hold. What was written before it must be taken as not durable: stop writing and reopen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BarrierError {
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Access {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// sled failed, or found its files damaged.
    #[error("sled failed in {}", path.display())]
    Sled {
        /// sled's directory.
        path: PathBuf,
        /// What sled said.
        source: sled::Error,
    },
}

/// A sled database together with the handle needed to make it keep its word.
#[derive(Debug)]
pub struct DurableSled {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    barrier: Barrier,
}

impl DurableSled {
    /// Opens or creates the database in `dir` with the given settings (path and background flush are set here), and
    /// makes its files durable and private. A panic of sled on damaged files is returned as corruption.
    pub fn open(
        config: sled::Config,
        dir: &Path,
        barrier: Barrier,
    ) -> Result<DurableSled, BarrierError> {
        let sled_failed = |source| BarrierError::Sled { path: dir.to_path_buf(), source };
        let access = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |source| BarrierError::Access { doing, path, source }
        };
        let config = config.path(dir).flush_every_ms(None);
        let mut attempts = 0;
        let db = loop {
            let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()))
                .unwrap_or(Err(sled::Error::ReportableBug("sled panicked while opening".into())));
            match opened {
                Ok(db) => break db,
                // An earlier handle's last thread may still hold the file, and so does for a moment every process
                // that is being started by this one.
                Err(error) if is_locked(&error) && attempts < LOCK_ATTEMPTS => {
                    attempts += 1;
                    thread::sleep(LOCK_PAUSE);
                }
                Err(error) if is_locked(&error) => {
                    return Err(access("lock", dir)(io::ErrorKind::WouldBlock.into()));
                }
                Err(error) => return Err(sled_failed(error)),
            }
        };
        let path = dir.join("db");
        let file = File::open(&path).map_err(access("open", &path))?;
        for (name, mode) in [("db", 0o600), ("conf", 0o600), ("blobs", 0o700), ("", 0o700)] {
            let path = dir.join(name);
            fs::set_permissions(&path, Permissions::from_mode(mode))
                .map_err(access("set permissions of", &path))?;
        }
        let opened = DurableSled { db, file, dir: dir.to_path_buf(), barrier };
        opened.wait()?;
        if barrier == Barrier::Full {
            sync_directory(dir)?;
            if let Some(parent) = dir.parent() {
                sync_directory(parent)?;
            }
        }
        Ok(opened)
    }

    /// The database. Writes to it count only after [`DurableSled::wait`].
    pub fn db(&self) -> &sled::Db {
        &self.db
    }

    /// sled's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The barrier: returns when everything written to the database before the call would survive a power cut. On
    /// an error the caller must not write again before it has opened the database anew: after a failed fsync the
    /// kernel may have thrown the pages away and report success the next time.
    pub fn wait(&self) -> Result<(), BarrierError> {
        if self.barrier == Barrier::Off {
            return Ok(());
        }
        self.db.flush().map_err(|source| BarrierError::Sled { path: self.dir.clone(), source })?;
        self.file.sync_all().map_err(|source| BarrierError::Access {
            doing: "sync",
            path: self.dir.join("db"),
            source,
        })
    }
}

/// sled says only in words that another handle holds its file.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Makes the names in a directory durable: a file that was created, renamed or removed in it stays so.
pub fn sync_directory(dir: &Path) -> Result<(), BarrierError> {
    // An empty path is the parent of a relative name: the current directory.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir).and_then(|file| file.sync_all()).map_err(|source| BarrierError::Access {
        doing: "sync",
        path: dir.to_path_buf(),
        source,
    })
}
