//! The files of the repository that the checks read, as text in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

/// Folders whose inside nobody wrote by hand.
const SKIPPED: [&str; 4] = [".git", "target", "corpus", "artifacts"];

/// Endings of the files whose text is kept; of all others only the name is.
const TEXT: [&str; 4] = ["rs", "toml", "md", "sh"];

/// Why the tree could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A folder or file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// What was being read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Every file below the root: the text of sources, manifests and documents, the names of all.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the tree below `root`.
    ///
    /// # Errors
    ///
    /// [`ReadError`] with the path that could not be read.
    pub fn read(root: &Path) -> Result<Self, ReadError> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree made of texts, for tests of the checks.
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in texts {
            tree.add_path(path);
            tree.texts.insert((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<(), ReadError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| ReadError::Unreadable { path, source }
        };
        for member in fs::read_dir(folder).map_err(failed(folder))? {
            let member = member.map_err(failed(folder))?;
            let name = member.file_name().to_string_lossy().into_owned();
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let kind = member.file_type().map_err(failed(&member.path()))?;
            if kind.is_dir() {
                self.paths.insert(path.clone());
                if !SKIPPED.contains(&name.as_str()) {
                    self.read_folder(&member.path(), &path)?;
                }
                continue;
            }
            if name.rsplit_once('.').is_some_and(|(_, ending)| TEXT.contains(&ending)) {
                let text = fs::read_to_string(member.path()).map_err(failed(&member.path()))?;
                self.texts.insert(path.clone(), text);
            }
            self.paths.insert(path);
        }
        Ok(())
    }

    fn add_path(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            self.paths.insert(path[..end].to_owned());
        }
        self.paths.insert(path.to_owned());
    }

    /// Whether a file or folder of this name is there; a path without a trailing `/`.
    pub fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// The text of one file, if it is there and kept.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// All names of files and folders, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The texts whose name ends with `ending` (`.rs`, `Cargo.toml`), in order of name.
    pub fn texts_ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| path.ends_with(ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_a_path_are_there_too() {
        let tree = Tree::of(&[("a/b/c.rs", "//! c"), ("README.md", "")]);
        assert!(tree.has("a/b"));
        assert!(tree.has("a/b/c.rs"));
        assert!(!tree.has("a/c"));
        assert_eq!(tree.texts_ending(".rs").count(), 1);
    }

    #[test]
    fn a_missing_root_is_an_error() {
        assert!(Tree::read(Path::new("/nowhere/at/all")).is_err());
    }
}
