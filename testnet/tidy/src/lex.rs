//! Just enough of Rust's lexing to tell code from comments, literals and tests.
//!
//! Blanked text keeps its length in lines, so that a place found in it is a place in the file.

/// The source with comments and the inside of string and character literals blanked.
pub fn code(source: &str) -> String {
    let source: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < source.len() {
        let end = match source[at] {
            '/' if source.get(at + 1) == Some(&'/') => line_comment_end(&source, at),
            '/' if source.get(at + 1) == Some(&'*') => block_comment_end(&source, at),
            '"' => string_end(&source, at),
            '\'' => character_end(&source, at),
            'r' if !continues_a_word(&source, at) => raw_string_end(&source, at),
            'b' | 'c' if !continues_a_word(&source, at) && source.get(at + 1) == Some(&'r') => {
                Some(raw_string_end(&source, at + 1)).filter(|end| *end > at + 1).unwrap_or(at)
            }
            _ => at,
        };
        if end > at {
            blank(&source[at..end], &mut out);
            at = end;
        } else {
            out.push(source[at]);
            at += 1;
        }
    }
    out
}

/// [`code`] with everything under `#[cfg(test)]` blanked too; nothing is left of a file that is
/// test code as a whole.
pub fn production(source: &str) -> String {
    let mut code: Vec<char> = code(source).chars().collect();
    if code.iter().collect::<String>().contains("#![cfg(test)]") {
        code.iter_mut().filter(|character| **character != '\n').for_each(|it| *it = ' ');
    }
    let marker: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + marker.len() <= code.len() {
        if code[at..at + marker.len()] != marker[..] {
            at += 1;
            continue;
        }
        let end = item_end(&code, at + marker.len());
        code[at..end].iter_mut().filter(|character| **character != '\n').for_each(|it| *it = ' ');
        at = end;
    }
    code.into_iter().collect()
}

/// Whether a file is test code by its place: below a folder `tests`, `examples` or `benches`, or
/// an out-of-line module named `tests`.
pub fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| ["tests", "examples", "benches", "tests.rs"].contains(&part))
}

/// The identifiers and keywords of blanked code, each with its line from 1.
pub fn identifiers(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().flat_map(|(line, text)| {
        text.split(|character: char| !(character.is_alphanumeric() || character == '_'))
            .filter(|word| !word.is_empty())
            .map(move |word| (line + 1, word))
    })
}

fn blank(part: &[char], out: &mut String) {
    out.extend(part.iter().map(|character| if *character == '\n' { '\n' } else { ' ' }));
}

fn continues_a_word(source: &[char], at: usize) -> bool {
    at > 0 && (source[at - 1].is_alphanumeric() || source[at - 1] == '_')
}

fn line_comment_end(source: &[char], at: usize) -> usize {
    source[at..].iter().position(|it| *it == '\n').map_or(source.len(), |length| at + length)
}

fn block_comment_end(source: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut here = at;
    while here + 1 < source.len() {
        match (source[here], source[here + 1]) {
            ('/', '*') => {
                depth += 1;
                here += 2;
            }
            ('*', '/') => {
                depth -= 1;
                here += 2;
                if depth == 0 {
                    return here;
                }
            }
            _ => here += 1,
        }
    }
    source.len()
}

fn string_end(source: &[char], at: usize) -> usize {
    let mut here = at + 1;
    while here < source.len() {
        match source[here] {
            '\\' => here += 2,
            '"' => return here + 1,
            _ => here += 1,
        }
    }
    source.len()
}

/// The end of a raw string whose `r` stands at `at`; `at` itself where none begins there.
fn raw_string_end(source: &[char], at: usize) -> usize {
    let hashes = source[at + 1..].iter().take_while(|it| **it == '#').count();
    let open = at + 1 + hashes;
    if source.get(open) != Some(&'"') {
        return at;
    }
    let mut here = open + 1;
    while here < source.len() {
        let closes = source[here] == '"'
            && source[here + 1..].iter().take(hashes).filter(|it| **it == '#').count() == hashes;
        if closes {
            return here + 1 + hashes;
        }
        here += 1;
    }
    source.len()
}

/// The end of a character literal; `at` itself where the quote begins a lifetime.
fn character_end(source: &[char], at: usize) -> usize {
    match (source.get(at + 1), source.get(at + 2)) {
        (Some('\\'), _) => {
            let close = source[at + 3..].iter().position(|it| *it == '\'');
            close.map_or(source.len(), |length| at + 3 + length + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

/// The end of the item that begins after an attribute: its closing brace, or its semicolon.
fn item_end(code: &[char], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut here = from;
    let mut to_semicolon = false;
    while here < code.len() {
        match code[here] {
            '(' | '[' | '{' => {
                if depth == 0 && code[here] == '{' {
                    let head: String = code[from..here].iter().collect();
                    to_semicolon = identifiers(&head).any(|(_, word)| word == "use")
                        || (head.contains('=') && !head.contains("fn "));
                }
                depth += 1;
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && code[here] == '}' && !to_semicolon {
                    return here + 1;
                }
            }
            ';' if depth == 0 => return here + 1,
            _ => {}
        }
        here += 1;
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source = "let a = \"f64 \\\" f64\"; // f64\n/* f64 /* f64 */ f64 */ let b = 'f';\n\
                      let c = r#\"f64 \" f64\"#; let d: &'static str = br\"f64\"; let e = b'\\'';";
        let blanked = code(source);
        assert_eq!(blanked.lines().count(), source.lines().count());
        assert!(!blanked.contains("f64"), "{blanked}");
        for kept in ["let a", "let b", "let c", "let d", "&'static str", "let e"] {
            assert!(blanked.contains(kept), "{kept} is gone from {blanked}");
        }
    }

    #[test]
    fn words_with_the_letters_of_a_raw_string_stay() {
        assert_eq!(code("for x in var\"f64\" {}").trim_end(), "for x in var      {}");
        assert_eq!(code("fn crash() { break r; }"), "fn crash() { break r; }");
    }

    #[test]
    fn what_is_under_cfg_test_is_blanked_and_nothing_else() {
        let source = "fn a() {}\n#[cfg(test)]\nuse b::{c, d};\nfn e() {}\n#[cfg(test)]\n\
                      #[allow(x)]\nmod tests {\n fn f() { g() }\n}\nfn h() {}\n\
                      #[cfg(test)]\nmod tests;\nfn i() {}";
        let production = production(source);
        for kept in ["fn a", "fn e", "fn h", "fn i"] {
            assert!(production.contains(kept), "{kept} is gone from {production}");
        }
        for gone in ["use b", "mod tests", "fn f", "g()"] {
            assert!(!production.contains(gone), "{gone} is left in {production}");
        }
        assert_eq!(production.lines().count(), source.lines().count());
    }

    #[test]
    fn a_file_of_tests_leaves_nothing() {
        assert_eq!(production("#![cfg(test)]\nfn a() {}").trim(), "");
    }
}
