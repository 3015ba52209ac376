//! Where the real binaries are: beside this executable. When cargo runs this program it also knows
//! how to build them, so one command is enough after a fresh clone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use thiserror::Error;

/// Why the binaries cannot be used.
#[derive(Debug, Error)]
pub enum FindError {
    /// This program does not know where it is itself.
    #[error("cannot tell where this program is: {0}")]
    Here(std::io::Error),
    /// A binary is not beside this executable.
    #[error("{0} is missing: build it with `cargo build --workspace --bins`")]
    Missing(PathBuf),
    /// Cargo could not be run, or could not build them.
    #[error("cargo could not build hundi and hundi-gateway: {0}")]
    Build(String),
}

/// The real programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The device: `hundi`.
    pub hundi: PathBuf,
    /// The bank's gateway: `hundi-gateway`.
    pub gateway: PathBuf,
}

impl Binaries {
    /// Finds the binaries; when cargo runs this program it brings them up to date first.
    ///
    /// # Errors
    /// See [`FindError`].
    pub fn find() -> Result<Self, FindError> {
        let here = std::env::current_exe().map_err(FindError::Here)?;
        let dir = binaries_dir(&here);
        if let Some(cargo) = std::env::var_os("CARGO") {
            build(&cargo, &dir)?;
        }
        let found = |name: &str| {
            let path = dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            if path.is_file() { Ok(path) } else { Err(FindError::Missing(path)) }
        };
        Ok(Self { hundi: found("hundi")?, gateway: found("hundi-gateway")? })
    }
}

/// The directory of binaries that an executable belongs to: test binaries live one level deeper.
fn binaries_dir(executable: &Path) -> PathBuf {
    let dir = executable.parent().unwrap_or(Path::new("."));
    match dir.parent() {
        Some(parent) if dir.ends_with("deps") => parent.to_owned(),
        _ => dir.to_owned(),
    }
}

/// Has cargo bring the binaries up to date, in the profile and directory of this executable.
/// Nothing is compiled when they are; cargo's progress goes to standard error.
fn build(cargo: &OsString, dir: &Path) -> Result<(), FindError> {
    let mut command = Command::new(cargo);
    // The whole workspace: a part of it would have other features and compile much of it again.
    command.args(["build", "--bins", "--workspace", "--manifest-path"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    if let Some(target) = dir.parent() {
        command.arg("--target-dir").arg(target);
    }
    match dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => {}
        Some(profile) => {
            command.args(["--profile", profile]);
        }
    }
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(FindError::Build(format!("it ended with {status}; its messages are above")))
        }
        Err(error) => Err(FindError::Build(format!("{} does not start: {error}", cargo.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_look_one_level_up() {
        let of = |path: &str| binaries_dir(Path::new(path));
        assert_eq!(of("/t/debug/hundi-testnet"), Path::new("/t/debug"));
        assert_eq!(of("/t/debug/deps/it-0123"), Path::new("/t/debug"));
    }
}
