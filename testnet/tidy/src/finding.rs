//! What a check reports: one place in one file, and what is wrong there.

use core::fmt;

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// Line from 1, or 0 where the finding is about the whole file.
    pub line: usize,
    /// What is wrong and what to do about it.
    pub what: String,
}

impl Finding {
    /// A finding at `line` (from 1; 0 for the whole file) of `path`.
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(formatter, "{}: {}", self.path, self.what)
        } else {
            write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
        }
    }
}

/// All findings as one text, a line each, in order of place; empty where there are none.
pub fn report(mut findings: Vec<Finding>) -> String {
    findings.sort();
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_sorted_by_place() {
        let findings = vec![
            Finding::new("b.rs", 2, "two"),
            Finding::new("a.rs", 0, "whole"),
            Finding::new("b.rs", 1, "one"),
        ];
        assert_eq!(report(findings), "a.rs: whole\nb.rs:1: one\nb.rs:2: two\n");
    }
}
