//! Compares the pages about the code, and the heads of its files, with the code: each path that they name must exist, and each name
//! that they place in a file must be defined there. The rooms are the same everywhere, and the glossary is in order.

use std::fs;
use std::path::{Path, PathBuf};

use super::layers::{ROWS, STORE_ROWS, sources};

const PAGES: [&str; 3] = ["src/ARCHITECTURE.md", "src/store/ON-DISK.md", ".github/CONTRIBUTING.md"];

#[test]
fn names_on_the_pages_exist() {
    let mut complaints = Vec::new();
    for page in PAGES {
        let text = read(page);
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
        ("`Pump::advance` in `src/wheel.rs`", "`Pump::advance` is not in `src/wheel.rs`"),
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

#[test]
fn heads_of_files_name_what_exists() {
    let mut complaints = Vec::new();
    for file in sources() {
        let path = format!("src/{file}");
        let (head, folder) = (head(&read(&path)), root(&path));
        let folder = folder.parent().expect("a file lies in a folder");
        let found = missing(&head).into_iter().chain(missing_beside(&head, folder));
        complaints.extend(found.map(|complaint| format!("{path}: {complaint}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn an_absent_neighbour_in_a_head_is_reported() {
    let complaints = |head: &str| missing_beside(head, &root("src/store/record"));
    assert_eq!(complaints("`key.rs` has keys, and `of_key.rs` none."), ["`of_key.rs` is not there"]);
    let store = |head: &str| missing_beside(head, &root("src/store/redb"));
    let all = ["apply", "background", "backup", "boot", "journal", "mend", "read"];
    let table = |folders: &[&str]| {
        folders.iter().fold("| folder | what |\n|---|---|\n".to_owned(), |table, folder| format!("{table}| `{folder}` | x |\n"))
    };
    assert_eq!(store(&table(&all)), Vec::<String>::new());
    assert_eq!(store(&table(&all[1..])), ["the folder `apply` has no row"]);
    assert_eq!(store(&table(&[&all[..], &["space"]].concat())), ["the folder `space` is not there"]);
}

/// Whoever looks for a word goes by the alphabet.
#[test]
fn the_glossary_is_sorted() {
    let page = read("src/ARCHITECTURE.md");
    let glossaries = tables(&page, "word");
    assert_eq!(glossaries.len(), 2, "one of the product and one of the code");
    for words in glossaries {
        let words: Vec<String> = words.into_iter().map(str::to_lowercase).collect();
        let unsorted = words.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(unsorted, None, "the second comes first");
    }
}

#[test]
fn the_pages_name_the_rooms_in_their_order() {
    let (design, working) = (read("src/ARCHITECTURE.md"), read(".github/CONTRIBUTING.md"));
    let rows = ROWS.map(|rooms| rooms.join(", "));
    for drawn in [rows.join("  ▸  "), STORE_ROWS.join("  ▸  ")] {
        assert!(design.contains(&drawn), "ARCHITECTURE.md does not draw {drawn}");
    }
    let cells = tables(&working, "room").concat().join(", ").replace('`', "");
    assert_eq!(cells, rows.join(", "), "the rooms in CONTRIBUTING.md");
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

/// What the head of a file in `folder` names by its place there and does not exist: files, and the folders of a table of folders,
/// which must also name each folder with a `mod.rs`.
fn missing_beside(head: &str, folder: &Path) -> Vec<String> {
    let files = head.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs") && path_in(code).is_none());
    let mut found: Vec<String> =
        files.filter(|file| !folder.join(file).exists()).map(|file| format!("`{file}` is not there")).collect();
    for rows in tables(head, "folder") {
        found.extend(
            rows.iter()
                .filter(|row| !folder.join(row.trim_matches('`')).is_dir())
                .map(|row| format!("the folder {row} is not there")),
        );
        let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it can be listed"));
        let folders = entries
            .filter(|entry| entry.path().join("mod.rs").exists())
            .map(|entry| format!("`{}`", entry.file_name().display()));
        found.extend(folders.filter(|name| !rows.contains(&name.as_str())).map(|name| format!("the folder {name} has no row")));
    }
    found
}

/// The first cells of each table whose first column is headed `column`.
fn tables<'t>(text: &'t str, column: &str) -> Vec<Vec<&'t str>> {
    let (mut tables, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if first_cell(line) == Some(column) {
            // A line of dashes follows the head.
            tables.push(lines.by_ref().skip(1).map_while(first_cell).collect());
        }
    }
    tables
}

fn first_cell(line: &str) -> Option<&str> {
    line.strip_prefix("| ")?.split(" | ").next()
}

/// What a file says of itself: its lines that begin with `//!`.
fn head(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The path at the start of a piece of code, if it is a path of this repository.
fn path_in(code: &str) -> Option<&str> {
    let first = code.split_whitespace().next()?;
    let is_ours = ["src", "tests"].contains(&first) || first.starts_with("src/") || first.starts_with("tests/");
    is_ours.then_some(first)
}

/// Whether a file defines the last part of `name`, such as `turn` of `Writer::turn`, and knows the part before.
fn is_defined_in(name: &str, path: &str) -> bool {
    let (owner, last) = name.rsplit_once("::").unwrap_or((name, name));
    let text = fs::read_to_string(root(path)).unwrap_or_default();
    let is_word_part = |char: char| char.is_alphanumeric() || char == '_';
    let words: Vec<&str> = text.split(|char| !is_word_part(char)).filter(|word| !word.is_empty()).collect();
    words.contains(&owner) && words.windows(2).any(|pair| DEFINING.contains(&pair[0]) && pair[1] == last)
}

/// The page without its fenced blocks, whose backticks mean nothing.
fn without_blocks(page: &str) -> String {
    let pieces = page.split("```").step_by(2);
    pieces.collect::<Vec<_>>().join("\n")
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).expect("the file is there")
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Words after which a name is defined.
const DEFINING: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules"];
