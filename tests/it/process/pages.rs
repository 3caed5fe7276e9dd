//! Compares the pages about the code with the code: each path below `src/` or `tests/` that they name must exist, and each name
//! that they place in a file must be defined there.

use std::fs;
use std::path::{Path, PathBuf};

const PAGES: [&str; 3] = ["src/ARCHITECTURE.md", "src/store/ON-DISK.md", ".github/CONTRIBUTING.md"];

#[test]
fn names_on_the_pages_exist() {
    let mut complaints = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root(page)).expect("the page is there");
        assert!(text.contains("`src/"), "{page} names no file");
        complaints.extend(missing(&text).into_iter().map(|complaint| format!("{page}: {complaint}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn an_absent_name_is_reported() {
    for (text, expected) in [
        ("It is in `src/nowhere.rs`.", "`src/nowhere.rs` is not there"),
        ("`tests/nowhere` has it.", "`tests/nowhere` is not there"),
        ("`Wheel::fly` in `src/wheel.rs`", "`Wheel::fly` is not in `src/wheel.rs`"),
        ("`Slab` in `src/wheel.rs` and `slab` in `src/wheel.rs`", "`slab` is not in `src/wheel.rs`"),
        ("`walk`, `Wheel` and `Wheel::advance` in `src/wheel.rs`", "`walk` is not in `src/wheel.rs`"),
        ("`Wheel` in\n`src`", "`Wheel` is not in `src`"),
    ] {
        assert_eq!(missing(text), [expected], "{text}");
    }
}

#[test]
fn a_present_name_passes() {
    for text in [
        "`Wheel::advance` in `src/wheel.rs`, `tests/run -- NAME`, `src/store/`",
        "`Wheel` and\n`Wheel::insert` in\n`src/wheel.rs`",
        "`of_elsewhere`, and then `Wheel` in `src/wheel.rs`",
        "```text\n`walk` in `src/nowhere.rs`\n```",
    ] {
        assert_eq!(missing(text), Vec::<String>::new(), "{text}");
    }
}

/// The names and paths on a page that do not exist. A list of names counts as a whole: "`one`, `two` and `three` in
/// `src/four.rs`".
fn missing(page: &str) -> Vec<String> {
    let text = without_blocks(page);
    let (mut found, mut names) = (Vec::new(), Vec::new());
    // Code stands between each pair of backticks, and text between the pairs.
    let mut pieces = text.split('`');
    while let (Some(between), Some(code)) = (pieces.next(), pieces.next()) {
        if !matches!(between.trim(), "," | "and" | "or" | "in") {
            names.clear();
        }
        let Some(path) = path_in(code) else {
            names.push(code);
            continue;
        };
        if !root(path).exists() {
            found.push(format!("`{path}` is not there"));
        } else if between.trim() == "in" {
            found.extend(
                names.iter().filter(|name| !is_defined_in(name, path)).map(|name| format!("`{name}` is not in `{path}`")),
            );
        }
        names.clear();
    }
    found
}

/// The path at the start of a piece of code, if it is a path of this repository.
fn path_in(code: &str) -> Option<&str> {
    let first = code.split_whitespace().next()?;
    let is_ours = ["src", "tests"].contains(&first) || first.starts_with("src/") || first.starts_with("tests/");
    is_ours.then_some(first)
}

/// Whether a file defines the last part of `name`, such as `turn` of `Writer::turn`.
fn is_defined_in(name: &str, path: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    let text = fs::read_to_string(root(path)).unwrap_or_default();
    let is_word_part = |char: char| char.is_alphanumeric() || char == '_';
    let words: Vec<&str> = text.split(|char| !is_word_part(char)).filter(|word| !word.is_empty()).collect();
    words.windows(2).any(|pair| DEFINING.contains(&pair[0]) && pair[1] == last)
}

/// The page without its fenced blocks, whose backticks mean nothing.
fn without_blocks(page: &str) -> String {
    let pieces = page.split("```").step_by(2);
    pieces.collect::<Vec<_>>().join("\n")
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Words after which a name is defined.
const DEFINING: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules"];
