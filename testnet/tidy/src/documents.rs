//! That the documents speak of things that exist: links, paths, tests, vectors, and each other.

use std::collections::BTreeSet;

use crate::{Finding, Tree};

/// Where the invariants and the map are.
const ARCHITECTURE: &str = "docs/architecture.md";

/// The heading of the invariants.
const INVARIANTS: &str = "## Invariants";

/// The heading under which paths may be named that are not there yet, and must not be.
const NOT_THERE: &str = "## What is not there yet";

/// Top-level folders: a path in backticks that begins with one is meant to exist.
const FOLDERS: [&str; 6] =
    ["ledger/", "transports/", "node/", "settlement-gateway/", "testnet/", "docs/"];

/// This crate, whose tests name documents that are not there.
const OWN: &str = "testnet/tidy/";

/// Every relative link leads to a file, and to a heading of it where it names one.
pub fn check_links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents(tree) {
        for (line, link) in links(text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
            if !tree.has(&target) {
                findings.push(Finding::new(path, line, format!("{link} leads nowhere")));
                continue;
            }
            let Some(text) = tree.text(&target).filter(|_| !heading.is_empty()) else { continue };
            if target.ends_with(".md") && !headings(text).contains(heading) {
                let what = format!("{target} has no heading #{heading}");
                findings.push(Finding::new(path, line, what));
            }
        }
    }
    findings
}

/// Every path of ours in backticks exists; those named as not there yet do not.
pub fn check_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents(tree) {
        let mut section = "";
        for (number, line) in prose(text) {
            if line.starts_with("## ") {
                section = line.trim();
            }
            for word in line.split('`').skip(1).step_by(2) {
                let name = word.split("::").next().unwrap_or(word);
                let name = name.split(':').next().unwrap_or(name).trim_end_matches('/');
                let pattern = name.contains(['*', '{', '<', ' ', '[']);
                if pattern || !FOLDERS.iter().any(|folder| word.starts_with(folder)) {
                    continue;
                }
                let wanted = section != NOT_THERE;
                if tree.has(name) != wanted {
                    let what = if wanted { "does not exist" } else { "is there by now" };
                    findings.push(Finding::new(path, number, format!("{name} {what}")));
                }
            }
        }
    }
    findings
}

/// Every document that a source file names (`docs/….md`) exists.
pub fn check_mentions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(".rs") {
        for (at, line) in text.lines().enumerate() {
            let words = line.split(|it: char| !(it.is_alphanumeric() || "/.-_".contains(it)));
            let named = words.map(|word| word.trim_end_matches('.'));
            for name in named.filter(|name| name.starts_with("docs/") && name.ends_with(".md")) {
                if !tree.has(name) && !path.starts_with(OWN) {
                    findings.push(Finding::new(path, at + 1, format!("{name} does not exist")));
                }
            }
        }
    }
    findings
}

/// Every document is linked from another one, so that a reader who starts at `README.md` finds it.
pub fn check_reachable(tree: &Tree) -> Vec<Finding> {
    let mut seen = BTreeSet::from(["README.md".to_owned()]);
    let mut next = vec!["README.md".to_owned()];
    while let Some(path) = next.pop() {
        for (_, link) in tree.text(&path).map(links).unwrap_or_default() {
            let file = link.split('#').next().unwrap_or(link);
            let target = resolve(&path, file);
            if target.ends_with(".md") && seen.insert(target.clone()) {
                next.push(target);
            }
        }
    }
    documents(tree)
        .filter(|(path, _)| !seen.contains(*path))
        .map(|(path, _)| Finding::new(path, 0, "no way leads here from README.md: link it"))
        .collect()
}

/// Every invariant of `docs/architecture.md` names, as ``(test: `path/of/file.rs::name`)``, one
/// test or more that exist; several are separated by commas.
pub fn check_invariants(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = tree.text(ARCHITECTURE).unwrap_or_default();
    let items = list_items(text, INVARIANTS);
    if items.is_empty() {
        findings.push(Finding::new(ARCHITECTURE, 0, "no list under \"## Invariants\""));
    }
    for (line, item) in items {
        let named: Vec<&str> = item.split("(test: ").skip(1).collect();
        let names: Vec<&str> = named
            .iter()
            .filter_map(|rest| rest.split(')').next())
            .flat_map(|names| names.split('`').skip(1).step_by(2))
            .collect();
        if names.is_empty() {
            let what = "this invariant names no test: (test: `path/of/file.rs::name`)";
            findings.push(Finding::new(ARCHITECTURE, line, what));
        }
        for name in names {
            let exists = name
                .split_once("::")
                .and_then(|(path, function)| Some((tree.text(path)?, function)))
                .is_some_and(|(source, function)| is_test(source, function));
            if !exists {
                let what = format!("{name} is no test that exists");
                findings.push(Finding::new(ARCHITECTURE, line, what));
            }
        }
    }
    findings
}

/// Every file of test vectors is named where they are described.
pub fn check_vectors(tree: &Tree) -> Vec<Finding> {
    let described: String = ["docs/vectors/README.md", "docs/protocol.md", "docs/links.md"]
        .iter()
        .filter_map(|path| tree.text(path))
        .collect();
    let files = tree.paths().filter(|path| path.starts_with("docs/vectors/"));
    files
        .filter(|path| path.rsplit('/').next().is_some_and(|name| !described.contains(name)))
        .map(|path| Finding::new(path, 0, "neither protocol.md nor links.md says what is in it"))
        .collect()
}

fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts_ending(".md")
}

/// The lines outside fenced blocks, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((at + 1, line))
    })
}

/// The relative links outside fenced blocks and code spans.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            let rest = &line[at + 2..];
            let Some(link) = rest.split(')').next().filter(|_| !in_code) else { continue };
            if !link.contains("://") && !link.starts_with("mailto:") {
                found.push((number, link));
            }
        }
    }
    found
}

/// `link` as seen from the document `from`, as a path from the root.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The names that headings have in links: lower case, words joined by hyphens.
fn headings(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
            kept.map(|it| if it == ' ' { '-' } else { it }).collect()
        })
        .collect()
}

/// The list items under a heading, each with the line it begins on; an item goes on over lines
/// that are indented.
fn list_items(text: &str, heading: &str) -> Vec<(usize, String)> {
    let mut items: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in prose(text) {
        if line.starts_with("## ") {
            inside = line.trim() == heading;
        } else if inside && line.starts_with("- ") {
            items.push((number, line.to_owned()));
        } else if inside
            && line.starts_with("  ")
            && let Some((_, item)) = items.last_mut()
        {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    items
}

/// Whether `source` holds a function of this name under a test attribute.
fn is_test(source: &str, function: &str) -> bool {
    let code = crate::lex::code(source);
    let lines: Vec<&str> = code.lines().collect();
    lines.iter().enumerate().any(|(at, line)| {
        let mut words = crate::lex::identifiers(line).map(|(_, word)| word);
        let declares = words.any(|word| word == "fn") && words.next() == Some(function);
        let attributes = lines[..at].iter().rev().map(|line| line.trim());
        let mut attributes =
            attributes.take_while(|line| line.is_empty() || line.starts_with("#["));
        declares
            && attributes
                .any(|line| ["#[test]", "#[tokio::test"].iter().any(|test| line.starts_with(test)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let tree = Tree::of(&[
            (
                "docs/a.md",
                "[x](b.md) [x](../c/) [x](b.md#two-words) [x](http://x) `[x](no.md)`\n\
                 [y](gone.md) [y](b.md#gone)\n```\n[z](gone2.md)\n```\n",
            ),
            ("docs/b.md", "# One\n## Two `words`\n"),
            ("c/d.rs", "//! d"),
        ]);
        let found = report(check_links(&tree));
        assert_eq!(
            found,
            "docs/a.md:2: docs/b.md has no heading #gone\ndocs/a.md:2: gone.md leads nowhere\n"
        );
    }

    #[test]
    fn paths_exist_exactly_where_they_should() {
        let tree = Tree::of(&[
            (
                ARCHITECTURE,
                "`ledger/src/a.rs::f` `ledger/` `ledger/*.rs`\n`node/src/gone.rs`\n\
                 ## What is not there yet\n`transports/ble` `ledger/src/a.rs`\n",
            ),
            ("ledger/src/a.rs", "//! a"),
        ]);
        assert_eq!(
            report(check_paths(&tree)),
            "docs/architecture.md:2: node/src/gone.rs does not exist\n\
             docs/architecture.md:4: ledger/src/a.rs is there by now\n"
        );
    }

    #[test]
    fn a_document_that_only_a_comment_knows_is_found() {
        let tree = Tree::of(&[
            ("docs/a.md", ""),
            ("b/src/c.rs", "//! See docs/a.md. Not `docs/gone.md`.\nlet d = \"(docs/a.md)\";"),
        ]);
        let found = report(check_mentions(&tree));
        assert_eq!(found, "b/src/c.rs:1: docs/gone.md does not exist\n");
    }

    #[test]
    fn a_document_that_nobody_links_is_found() {
        let tree = Tree::of(&[
            ("README.md", "[a](docs/a.md)"),
            ("docs/a.md", "[b](b.md#top)"),
            ("docs/b.md", "b"),
            ("docs/c.md", "[a](a.md)"),
        ]);
        let found = report(check_reachable(&tree));
        assert_eq!(found, "docs/c.md: no way leads here from README.md: link it\n");
    }

    #[test]
    fn an_invariant_names_a_test_that_exists() {
        let source = "#[test]\n#[should_panic]\nfn holds() {}\nfn no_test() {}\n\
                      proptest! {\n    #[test]\n    fn law(a in 0..1) {}\n}\n// fn in_words\n";
        let document = "## Invariants\n\n- one (test: `a/b.rs::holds`)\n- two, which goes\n  \
                        on (test: `a/b.rs::law`,\n  `a/b.rs::no_test`)\n- three\n\
                        - four (test: `a/b.rs::in_words`)\n- five (test: `a/c.rs::holds`)\n\n\
                        ## Next\n- six\n";
        let tree = Tree::of(&[(ARCHITECTURE, document), ("a/b.rs", source)]);
        let found = report(check_invariants(&tree));
        assert!(found.contains(":4: a/b.rs::no_test is no test"), "{found}");
        assert!(found.contains(":7: this invariant names no test"), "{found}");
        assert!(found.contains(":8: a/b.rs::in_words is no test"), "{found}");
        assert!(found.contains(":9: a/c.rs::holds is no test"), "{found}");
        assert_eq!(found.lines().count(), 4, "{found}");
        assert_eq!(check_invariants(&Tree::of(&[])).len(), 1);
    }

    #[test]
    fn a_vector_file_that_nobody_describes_is_found() {
        let tree = Tree::of(&[
            ("docs/vectors/keys.json", ""),
            ("docs/vectors/lost.json", ""),
            ("docs/protocol.md", "in `keys.json`"),
        ]);
        let found = check_vectors(&tree);
        assert_eq!(found.len(), 1);
        assert!(report(found).starts_with("docs/vectors/lost.json"));
    }
}
