//! A program's directory: key files, genesis, the running daemon's address and token. Everything
//! in it is for its owner alone, and a key file that others can read is refused.
//!
//! The store of payments lives below it and is [`crate::store`]'s.

use getrandom::fill;
use hundi_ledger::codec::DecodeError;
use hundi_ledger::record::network::Network;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a directory cannot be used as it is.
#[derive(Debug, Error)]
pub enum HomeError {
    /// Nothing has been set up there.
    #[error("{0} is not set up: run `init` first, or name another directory with --dir")]
    NotInitialised(PathBuf),
    /// Something has been set up there already.
    #[error("{0} is already set up: its keys are kept; choose another directory with --dir")]
    AlreadyInitialised(PathBuf),
    /// It was set up, and its keys are gone: a backup was restored, which never holds any.
    #[error(
        "{0} has no keys: they are never in a backup. Make new ones with `init` in another directory, have your bank enrol them, and report the old ones lost"
    )]
    KeysMissing(PathBuf),
    /// Others could read or change what is secret.
    #[error(
        "{path} may be read by others (mode {mode:o}): run `chmod {want:o} {path}` and, if others had access, enrol a new key"
    )]
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it must have.
        want: u32,
    },
    /// The genesis file is not one.
    #[error("{path} is no genesis file of a hundi network: {error}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A file of ours does not hold what we wrote.
    #[error("{0} is damaged")]
    Damaged(PathBuf),
    /// No daemon runs there.
    #[error("nothing is running in {0}: start it with `run`")]
    NotRunning(PathBuf),
    /// The operating system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl HomeError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::Io { path: path.to_owned(), error }
    }
}

/// Where a daemon can be reached, as it tells in `api.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiFile {
    /// The address of its local API.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
}

/// A directory with secrets.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The directory of a device that has been set up.
    ///
    /// # Errors
    /// When it has not been, or others can read it.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let home = Self { dir: dir.to_owned() };
        if !home.genesis_path().is_file() {
            return Err(HomeError::NotInitialised(dir.to_owned()));
        }
        check_mode(dir, 0o700)?;
        Ok(home)
    }

    /// Makes the directory, for its owner alone.
    ///
    /// # Errors
    /// When it is set up already, or cannot be made.
    pub fn create(dir: &Path) -> Result<Self, HomeError> {
        let home = Self { dir: dir.to_owned() };
        if home.genesis_path().exists() {
            let keys = home.dir.join("keys").exists();
            let (kept, gone) = (HomeError::AlreadyInitialised, HomeError::KeysMissing);
            return Err(if keys { kept(dir.to_owned()) } else { gone(dir.to_owned()) });
        }
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(HomeError::io(parent))?;
        }
        if !dir.exists() {
            DirBuilder::new().mode(0o700).create(dir).map_err(HomeError::io(dir))?;
        }
        check_mode(dir, 0o700)?;
        Ok(home)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store's directory.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    fn genesis_path(&self) -> PathBuf {
        self.dir.join("genesis")
    }

    /// Takes a genesis file. The last step of setting up: with it the directory is in use.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_genesis(&self, network: &Network) -> Result<PathBuf, HomeError> {
        let path = self.genesis_path();
        write_new(&path, &network.encode(), 0o600)?;
        Ok(path)
    }

    /// The network.
    ///
    /// # Errors
    /// When the genesis file is missing or damaged.
    pub fn network(&self) -> Result<Network, HomeError> {
        read_genesis(&self.genesis_path())
    }

    /// Writes secrets of `NAME hex` lines to a new file, for its owner alone.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_secrets(&self, name: &str, secrets: &[(&str, [u8; 32])]) -> Result<(), HomeError> {
        let dir = self.dir.join("keys");
        if !dir.exists() {
            DirBuilder::new().mode(0o700).create(&dir).map_err(HomeError::io(&dir))?;
            // Backup tools that honour the mark leave the keys alone: a restored wallet must
            // enrol new keys, or it could contradict itself (docs/threat-model.md).
            let mark =
                b"Signature: 8a477f597d28d172789f06886806bc55\n# hundi keys: not to be backed up\n";
            write_new(&dir.join("CACHEDIR.TAG"), mark, 0o600)?;
        }
        let lines = secrets
            .iter()
            .map(|(name, secret)| format!("{name} {}\n", hundi_ledger::id::Hash(*secret)));
        write_new(&dir.join(name), lines.collect::<String>().as_bytes(), 0o600)
    }

    /// Reads the secret `name` of a key file.
    ///
    /// # Errors
    /// When the file is missing, damaged, or readable by others.
    pub fn read_secret(&self, file: &str, name: &str) -> Result<[u8; 32], HomeError> {
        let path = self.dir.join("keys").join(file);
        if !path.is_file() {
            return Err(if self.genesis_path().exists() {
                HomeError::KeysMissing(self.dir.clone())
            } else {
                HomeError::NotInitialised(self.dir.clone())
            });
        }
        check_mode(&path, 0o600)?;
        let text = fs::read_to_string(&path).map_err(HomeError::io(&path))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let secret = line.and_then(|hex| hex.parse::<hundi_ledger::id::Hash>().ok());
        secret.map(|secret| secret.0).ok_or(HomeError::Damaged(path))
    }

    /// Tells where the daemon listens, and makes a fresh token for whoever may talk to it.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn announce_api(&self, address: SocketAddr) -> Result<String, HomeError> {
        let token = fresh_token()?;
        self.replace("api.token", token.as_bytes())?;
        let file = ApiFile { address, pid: std::process::id() };
        let json = serde_json::to_vec(&file).map_err(|_| HomeError::Damaged(self.dir.clone()))?;
        self.replace("api.json", &json)?;
        Ok(token)
    }

    /// Where the running daemon listens, and the token to talk to it.
    ///
    /// # Errors
    /// When no daemon has announced itself.
    pub fn find_api(&self) -> Result<(ApiFile, String), HomeError> {
        let path = self.dir.join("api.json");
        let json = fs::read(&path).map_err(|_| HomeError::NotRunning(self.dir.clone()))?;
        let file = serde_json::from_slice(&json).map_err(|_| HomeError::Damaged(path))?;
        let path = self.dir.join("api.token");
        check_mode(&path, 0o600)?;
        Ok((file, fs::read_to_string(&path).map_err(HomeError::io(&path))?))
    }

    /// Takes back what [`Home::announce_api`] told.
    pub fn withdraw_api(&self) {
        // Best effort: a file left behind names a process that no longer answers.
        drop(fs::remove_file(self.dir.join("api.json")));
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        let path = self.dir.join(name);
        let fresh = self.dir.join(format!("{name}.new"));
        if fresh.exists() {
            fs::remove_file(&fresh).map_err(HomeError::io(&fresh))?;
        }
        write_new(&fresh, bytes, 0o600)?;
        fs::rename(&fresh, &path).map_err(HomeError::io(&path))
    }
}

/// Reads a genesis file.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_genesis(path: &Path) -> Result<Network, HomeError> {
    let bytes = fs::read(path).map_err(HomeError::io(path))?;
    Network::decode(&bytes).map_err(|error| HomeError::Genesis { path: path.to_owned(), error })
}

fn fresh_token() -> Result<String, HomeError> {
    let mut bytes = [0; 32];
    fill(&mut bytes).map_err(|error| HomeError::Io {
        path: PathBuf::from("the system's random source"),
        error: io::Error::other(error.to_string()),
    })?;
    Ok(hundi_ledger::id::Hash(bytes).to_string())
}

/// Writes a new file durably: its bytes and its name survive a power cut.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HomeError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(HomeError::io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(HomeError::io(path))?;
    match path.parent() {
        Some(parent) => {
            let dir = File::open(parent).map_err(HomeError::io(parent))?;
            dir.sync_all().map_err(HomeError::io(parent))
        }
        None => Ok(()),
    }
}

fn check_mode(path: &Path, want: u32) -> Result<(), HomeError> {
    let mode = fs::metadata(path).map_err(HomeError::io(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(HomeError::Permissions { path: path.to_owned(), mode, want });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_for_the_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device");
        assert!(matches!(Home::open(&path), Err(HomeError::NotInitialised(_))));
        let home = Home::create(&path).unwrap();
        home.write_secrets("author", &[("signing", [7; 32]), ("sealing", [8; 32])]).unwrap();
        assert_eq!(home.read_secret("author", "sealing").unwrap(), [8; 32]);
        assert!(home.write_secrets("author", &[]).is_err(), "never overwritten");
        let file = path.join("keys").join("author");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = home.read_secret("author", "signing");
        assert!(matches!(refused, Err(HomeError::Permissions { mode: 0o644, .. })));
    }

    #[test]
    fn the_api_is_announced_with_a_fresh_token() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::create(&dir.path().join("device")).unwrap();
        assert!(matches!(home.find_api(), Err(HomeError::NotRunning(_))));
        let address = "127.0.0.1:4000".parse().unwrap();
        let first = home.announce_api(address).unwrap();
        let second = home.announce_api(address).unwrap();
        assert_ne!(first, second);
        assert_eq!(home.find_api().unwrap().1, second);
    }
}
