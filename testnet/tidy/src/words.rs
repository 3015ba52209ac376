//! Words that are not used: marks of unfinished work, tests that do not run, queues without a
//! bound, and names that `docs/glossary.md` has another word for.

use crate::lex::{code, identifiers, is_test_path, production};
use crate::{Finding, Tree};

/// Marks of work that is not done, whole words, anywhere in a file. Written in two halves so that
/// this list does not find itself.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("HA", "CK"),
    concat!("W", "IP"),
    concat!("TB", "D"),
];

/// Code that is not there yet, or was left there.
const LEFT_BEHIND: [(&str, &str); 3] = [
    ("todo!", "write it, or leave the feature out"),
    ("unimplemented!", "write it, or leave the feature out"),
    ("dbg!", "take it out"),
];

/// Queues of the standard library, which block a task and whose first kind has no bound. Tests may
/// hand a thread's result over in one.
const QUEUES: [&str; 2] = ["mpsc::channel()", "std::sync::mpsc"];

/// How a test is switched off, and the one reason for it: a process that other tests start out of
/// the test binary, because they stop it, has to be a test by name.
const IGNORED: &str = "#[ignore";
const IGNORED_RIGHTLY: &str = "#[ignore = \"not a test: ";

/// Parts of names for queues without a bound.
const NO_BOUND: &str = "unbounded";

/// Words that no type, function, module or constant of ours has in its name, with the word to use.
const VOCABULARY: [(&str, &str); 10] = [
    ("warrant", "proof"),
    ("backlink", "previous"),
    ("fork", "equivocation or contradiction"),
    ("packet", "frame or fragment"),
    ("tx", "entry, or transaction in the journal"),
    ("blockchain", "log"),
    ("common", "the concept it is about"),
    ("util", "the concept it is about"),
    ("utils", "the concept it is about"),
    ("helpers", "the concept it is about"),
];

/// Keywords after which a name of ours stands.
const DECLARES: [&str; 8] = ["struct", "enum", "trait", "type", "fn", "mod", "const", "static"];

/// No file says that it is unfinished; no code is left behind; no queue is without a bound.
pub fn check_unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ending in [".rs", ".md", ".toml", ".sh"] {
        for (path, text) in tree.texts_ending(ending) {
            for (line, word) in identifiers(text) {
                if UNFINISHED.contains(&word) {
                    let what = format!("{word}: do it now or write down why not");
                    findings.push(Finding::new(path, line, what));
                }
            }
        }
    }
    for (path, text) in tree.texts_ending(".rs") {
        let code = code(text);
        for (at, line) in code.lines().enumerate() {
            for (left, advice) in LEFT_BEHIND.iter().filter(|(left, _)| line.contains(left)) {
                findings.push(Finding::new(path, at + 1, format!("{left}: {advice}")));
            }
        }
        for (at, (line, written)) in code.lines().zip(text.lines()).enumerate() {
            if line.contains(IGNORED) && !written.contains(IGNORED_RIGHTLY) {
                findings.push(Finding::new(path, at + 1, "a test runs or is deleted"));
            }
        }
        let shipped = if is_test_path(path) { String::new() } else { production(text) };
        for (at, line) in shipped.lines().enumerate() {
            for queue in QUEUES.iter().filter(|queue| line.contains(*queue)) {
                let what = format!("{queue}: use tokio's, with a bound and its reason");
                findings.push(Finding::new(path, at + 1, what));
            }
        }
        for (line, word) in identifiers(&code) {
            if word.to_ascii_lowercase().contains(NO_BOUND) {
                let what = format!("{word}: bound it and say why");
                findings.push(Finding::new(path, line, what));
            }
        }
    }
    findings
}

/// No name that we declare holds a word that the glossary replaces.
pub fn check_vocabulary(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(".rs") {
        let code = code(text);
        let mut declares = false;
        for (line, word) in identifiers(&code) {
            if declares {
                for part in parts(word) {
                    if let Some((_, right)) = VOCABULARY.iter().find(|(wrong, _)| *wrong == part) {
                        let what = format!("{word}: our word is {right}");
                        findings.push(Finding::new(path, line, what));
                    }
                }
            }
            declares = DECLARES.contains(&word);
        }
    }
    findings
}

/// The words of a name, in lower case: `read_frame` and `ReadFrame` are both read, frame.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_lower = false;
    for character in name.chars() {
        if character == '_' || (character.is_uppercase() && after_lower) {
            parts.push(String::new());
        }
        after_lower = character.is_lowercase() || character.is_numeric();
        if let Some(part) = parts.last_mut()
            && character != '_'
        {
            part.extend(character.to_lowercase());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    fn unfinished(text: &str) -> String {
        report(check_unfinished(&Tree::of(&[("a/src/a.rs", text)])))
    }

    #[test]
    fn marks_of_unfinished_work_are_found_everywhere() {
        for mark in UNFINISHED {
            assert!(unfinished(&format!("//! a\n// {mark}: later")).contains("a.rs:2:"), "{mark}");
            let tree = Tree::of(&[("README.md", mark)]);
            assert_eq!(check_unfinished(&tree).len(), 1, "{mark}");
        }
        assert_eq!(unfinished("//! a todo list, hacking, and mktemp -d /tmp/XXXXXX"), "");
    }

    #[test]
    fn code_left_behind_is_found_in_code_only() {
        for (left, _) in LEFT_BEHIND {
            assert!(unfinished(&format!("fn a() {{ {left} }}")).contains(left), "{left}");
            assert_eq!(unfinished(&format!("// {left}")), "", "{left} in a comment");
        }
    }

    #[test]
    fn a_test_that_does_not_run_is_found() {
        for ignored in ["#[ignore]", "#[ignore = \"slow\"]"] {
            assert!(unfinished(&format!("{ignored}\nfn a() {{}}")).contains("a.rs:1: a test runs"));
        }
        let process = "#[ignore = \"not a test: the process that others stop\"]\nfn a() {}";
        assert_eq!(unfinished(process), "");
    }

    #[test]
    fn a_queue_without_a_bound_is_found() {
        for code in ["mpsc::unbounded_channel()", "UnboundedSender", "flume::unbounded()"] {
            assert!(unfinished(&format!("fn a() {{ {code} }}")).contains("bound it"), "{code}");
        }
        for queue in QUEUES {
            assert!(unfinished(&format!("fn a() {{ {queue} }}")).contains("use tokio's"));
            assert_eq!(unfinished(&format!("#[cfg(test)]\nmod tests {{ {queue} }}")), "");
        }
        assert_eq!(unfinished("fn a() { mpsc::channel(16) }"), "");
    }

    #[test]
    fn a_name_with_a_wrong_word_is_found() {
        let found = |text| report(check_vocabulary(&Tree::of(&[("a.rs", text)])));
        assert!(found("struct WarrantStore;").contains("our word is proof"));
        assert!(found("fn read_backlink() {}").contains("our word is previous"));
        assert!(found("mod utils;").contains("the concept"));
        assert_eq!(found("let warrant = 1; // fork\nfn entry() { packet() }"), "");
        assert_eq!(found("fn forklift_txt_commonly() {}"), "", "whole words only");
    }
}
