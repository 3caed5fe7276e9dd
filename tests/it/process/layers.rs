//! Checks the order of the rooms: imports point down, and names that are reserved for one file stay there.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from top to bottom. A room may import only rooms of lower rows.
pub(super) const ROWS: [&[&str]; 8] = [
    &["main"],
    &["cli"],
    &["server", "bench"],
    &["api", "deliver"],
    &["store"],
    &["wheel", "clock", "config"],
    &["budget", "docs", "metrics", "ui"],
    &["domain"],
];

/// The rooms of the store, likewise. The embedded engine knows what is true of any engine, and never the reverse.
pub(super) const STORE_ROWS: [&str; 8] = ["redb", "writer", "shared", "rules", "record", "message", "files", "error"];

/// Names that only files with these beginnings may use, and why.
const RESERVED: [(&str, &[&str], &str); 14] = [
    ("maud", &["ui"], "everyone else gives values to a page and gets its text"),
    ("pulldown_cmark", &["docs"], "everyone else gets a page as HTML or as text"),
    ("bincode", &["store/record"], "so that the form on disk can be replaced in one place"),
    ("redb", &["store"], "the store's interface speaks the domain"),
    ("prometheus", &["metrics"], "everyone else counts, and does not know how that is printed"),
    ("SystemTime", &["clock.rs"], "everything else gets the time as an argument or from crate::clock"),
    ("Instant::now", &["clock.rs"], "everything else gets the time as an argument or from crate::clock"),
    ("Timestamp::now", &["clock.rs"], "everything else gets the time as an argument or from crate::clock"),
    ("Zoned::now", &["clock.rs"], "everything else gets the time as an argument or from crate::clock"),
    ("hyper", &["api", "deliver", "cli", "server", "bench"], "the store and the domain know no HTTP"),
    (
        "tokio",
        &["api", "deliver", "cli", "server", "bench", "store", "budget", "main.rs"],
        "the domain, the wheel and the config know no runtime",
    ),
    (
        "spawn_blocking",
        &["store", "server", "deliver", "api/request/context.rs"],
        "the store's front decides where a read runs, and its caller only awaits",
    ),
    ("getrandom", &["api", "deliver", "cli", "server", "bench", "store"], "the domain gets its random draws as arguments"),
    ("fs", &["clock.rs", "metrics", "config", "store", "api", "deliver", "cli", "server", "bench"], "the domain does no I/O"),
];

/// Names that no file of these rooms may use besides what they may not import, and why: these rooms decide, and others act.
const PURE: [(&str, &[&str], &[&str], &str); 2] = [
    (
        "ui",
        &["domain"],
        &["tokio", "clock", "std::fs", "std::net", "std::process", "Mutex", "RwLock", "Instant", "getrandom", "http", "tracing"],
        "a page takes values and returns text, so that every page can be shown to a test",
    ),
    (
        "store/rules",
        &["domain", "store"],
        &[
            "redb",
            "tokio",
            "clock",
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "std::io",
            "Mutex",
            "RwLock",
            "Instant",
            "getrandom",
            "random",
            "Batch",
            "Shared",
            "store::handle",
            "store::writer",
            "store::shared",
            "tracing",
        ],
        "a rule takes values and returns values, so that every engine can call it",
    ),
];

/// Files that may know only one part of another room, the room, that part, and why.
const FRONTS: [(&str, &str, &str, &str); 1] =
    [("cli/", "api", "document", "the command line asks the service, and knows of it what it answers")];

#[test]
fn imports_point_down() {
    let mut found = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(Path::new(SRC).join(&file)).expect("a source file is UTF-8");
        found.extend(violations(&file, &text));
    }
    assert!(found.is_empty(), "{} violations of the layers:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_room_with_a_row_exists() {
    let rooms = ROWS.concat().into_iter().map(str::to_owned);
    let rooms = rooms.chain(STORE_ROWS.map(|room| format!("store/{room}")));
    let is_there = |room: &String| [room.clone(), format!("{room}.rs")].iter().any(|path| Path::new(SRC).join(path).exists());
    let absent: Vec<String> = rooms.filter(|room| !is_there(room)).collect();
    assert!(absent.is_empty(), "not in src: {absent:?}");
}

/// An engine over the network has to wait for what it reads. So every read at the store's front is an `async fn`.
#[test]
fn every_read_at_the_stores_front_is_async() {
    let mut found = Vec::new();
    for file in sources().into_iter().filter(|file| file.starts_with("store/")) {
        let text = fs::read_to_string(Path::new(SRC).join(&file)).expect("a source file is UTF-8");
        found.extend(reads_at_once(&file, &shipped(&file, &without_comments(&text))));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_read_that_cannot_wait_is_reported() {
    let front = |method: &str| format!("impl Store {{\n    pub(crate) {method} {{}}\n}}\n");
    for (file, method, is_reported) in [
        ("store/reads.rs", "async fn begin(&self) -> Result<Begin, Error>", false),
        ("store/reads.rs", "fn begin(&self) -> Begin", true),
        ("store/shared/known.rs", "fn webhook(&self, id: &str) -> Option<Endpoint>", false),
        ("store/shared/known.rs", "fn delivery(\n        &self,\n    ) -> Result<View, Error>", true),
        ("store/shared/known.rs", "async fn delivery(&self) -> Result<View, Error>", false),
    ] {
        assert_eq!(!reads_at_once(file, &front(method)).is_empty(), is_reported, "{file}: {method}");
    }
    let inner = "impl Reader {\n    pub(crate) fn delivery(&self) -> Result<View, Error> {}\n}\n";
    assert_eq!(reads_at_once("store/redb/read/queries.rs", inner), [""; 0]);
}

/// Whoever looks for the place of a change reads the names in a folder first.
#[test]
fn no_folder_has_more_files_than_can_be_read_at_a_glance() {
    let mut crowded = Vec::new();
    for root in [SRC, TESTS] {
        for folder in folders(root) {
            let files = fs::read_dir(&folder).expect("it is there").filter_map(Result::ok);
            let count = files.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs")).count();
            if count > FILES_MAX {
                crowded.push(format!("{} has {count} files", folder.display()));
            }
        }
    }
    assert!(crowded.is_empty(), "at most {FILES_MAX}: {crowded:?}");
}

#[test]
fn an_import_that_points_up_is_reported() {
    for (file, text, expected) in [
        ("api/events.rs", "use crate::deliver::Pump;", "src/api/events.rs:1 names crate::deliver"),
        ("api/events.rs", "\nfn f() { crate::deliver::f() }", "src/api/events.rs:2 names crate::deliver"),
        (
            "store/writer.rs",
            "use crate::{\n    domain::event::Event,\n    api::{Route, problem},\n};",
            "src/store/writer.rs:3 names crate::api",
        ),
        ("store/writer.rs", "use super::super::server;", "src/store/writer.rs:1 names crate::server"),
        ("domain/time.rs", "use std::time::SystemTime;", "src/domain/time.rs:1 names SystemTime"),
        ("store/writer.rs", "#[derive(bincode::Encode)]", "src/store/writer.rs:1 names bincode"),
        (
            "domain/time.rs",
            "#[cfg(test)]\nuse std::fs;\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nfn f() { getrandom::u64() }",
            "src/domain/time.rs:7 names getrandom",
        ),
        (
            "cli/command/keys.rs",
            "use crate::api::document::key::Key;\nuse crate::api::Settings;",
            "src/cli/command/keys.rs:2 names more of crate::api than crate::api::document",
        ),
        ("pigeon/mod.rs", "", "src/pigeon/mod.rs lies in a room without a row"),
        (
            "store/record/log.rs",
            "use crate::store::redb::schema::X;",
            "src/store/record/log.rs:1 names store::redb, which lies above store::record",
        ),
        ("store/shared.rs", "use super::redb::X;", "src/store/shared.rs:1 names store::redb, which lies above store::shared"),
        (
            "store/shared/registry.rs",
            "\nuse crate::store::{record::X, writer::inbox::Inbox};",
            "src/store/shared/registry.rs:2 names store::writer, which lies above store::shared",
        ),
        (
            "store/rules/publish.rs",
            "use crate::config::Config;",
            "src/store/rules/publish.rs:1 names config: src/store/rules is pure",
        ),
        (
            "store/rules/publish.rs",
            "use redb::TableDefinition;",
            "src/store/rules/publish.rs:1 names redb: src/store/rules is pure",
        ),
        (
            "store/rules/publish.rs",
            "\nfn f(lock: &Mutex<u8>) {}",
            "src/store/rules/publish.rs:2 names Mutex: src/store/rules is pure",
        ),
        (
            "store/rules/publish.rs",
            "use std::time::Instant;",
            "src/store/rules/publish.rs:1 names Instant: src/store/rules is pure",
        ),
    ] {
        let found = violations(file, text);
        assert_eq!(found.len(), 1, "{file}: {found:?}");
        assert!(found[0].starts_with(expected), "{}", found[0]);
    }
}

#[test]
fn an_import_that_points_down_passes() {
    for (file, text) in [
        ("api/events.rs", "use crate::{domain::event::Event, store::{self, Store}};\nuse super::problem;"),
        ("api/mod.rs", "// never crate::deliver\nmod events;\nuse crate::api::events;"),
        ("store/record/event.rs", "use bincode::Encode;"),
        ("store/redb/thread.rs", "use super::journal::file::Journal;\nuse crate::store::{Error, shared::Shared};"),
        ("store/error.rs", "use redb::StorageError;"),
        ("deliver/pump.rs", "use std::time::Instant;\nfn f(now: Instant) { let offset = 1; }"),
        ("domain/time.rs", "impl Time {\n    #[cfg(test)]\n    fn now() -> Self {\n        SystemTime::now()\n    }\n}"),
        ("domain/time/tests.rs", "use std::fs;"),
        ("config/settings.rs", "const STORE: &str = \"hookwheel.redb\";"),
        (
            "store/rules/publish.rs",
            "use crate::store::message::view::Attempt;\nuse super::waiting;\nuse crate::domain::id::EventKey;",
        ),
        ("store/rules/fixture.rs", "use crate::config::dialect;"),
    ] {
        assert_eq!(violations(file, text), Vec::<String>::new(), "{file}");
    }
}

fn violations(file: &str, text: &str) -> Vec<String> {
    let room = file.split(['/', '.']).next().unwrap_or(file);
    if file == "lib.rs" {
        return Vec::new();
    }
    let Some(row) = row(room) else {
        return vec![format!("src/{file} lies in a room without a row: give `{room}` one in tests/it/process/layers.rs")];
    };
    let code = without_comments(text);
    let upward = imports(file, &code)
        .into_iter()
        .filter(|(_, other)| *other != room && self::row(other).is_some_and(|other| other <= row));
    let mut found: Vec<_> = upward
        .map(|(at, other)| format!("{} names crate::{other}: {room} may only know {}", place(file, &code, at), below(row)))
        .collect();
    found.extend(beyond_the_front(file, &code));
    // A unit test may read a file or a clock, or use a store, but the code that it tests may not.
    let shipped = shipped(file, &code);
    found.extend(upward_in_store(file, &shipped));
    found.extend(impurities(file, &shipped));
    for (word, homes, reason) in RESERVED {
        let at = words(&shipped, word).into_iter().next().filter(|_| !homes.iter().any(|home| file.starts_with(home)));
        found.extend(
            at.map(|at| format!("{} names {word}: only src/{} may, {reason}", place(file, &shipped, at), homes.join(", src/"))),
        );
    }
    found
}

/// The names of another room that a file uses although it may know only a part of that room.
fn beyond_the_front(file: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, room, front, reason) in FRONTS.into_iter().filter(|(home, ..)| file.starts_with(home)) {
        let (any, allowed) = (format!("crate::{room}"), format!("crate::{room}::{front}"));
        let named = code.match_indices(&any).map(|(at, _)| at);
        let complaint = |at| format!("{} names more of {any} than {allowed}: {reason}", place(file, code, at));
        found.extend(named.filter(|at| !code[*at..].starts_with(&allowed)).map(complaint));
    }
    found
}

/// The methods of `Store` that read and are not `async`: all others in the file with the reads, and those that may fail as a read of
/// the store does. Opening a store and looking at its files are no reads.
fn reads_at_once(file: &str, shipped: &str) -> Vec<String> {
    let mut found = Vec::new();
    let blocks = shipped
        .match_indices("impl Store {")
        .map(|(at, _)| (at, shipped[at..].find("\n}").map_or("", |end| &shipped[at..at + end])));
    for (start, block) in blocks {
        for (at, _) in block.match_indices("pub(crate) ") {
            let head = block[at..].split(" {\n").next().and_then(|head| head.split(" {}").next()).unwrap_or_default();
            let is_read = file == READS || head.ends_with("Error>");
            let is_none = FRONT_WITHOUT_READS.iter().any(|name| head.contains(name));
            if head.contains("fn ") && is_read && !is_none && !head.contains("async fn ") {
                found.push(format!("{}: a read of the store is an `async fn`", place(file, shipped, start + at)));
            }
        }
    }
    found
}

/// What a room of the store names that lies in a room above it.
fn upward_in_store(file: &str, shipped: &str) -> Vec<String> {
    let row = |room: &str| STORE_ROWS.iter().position(|of| *of == room);
    let room = file.strip_prefix("store/").and_then(|file| file.split(['/', '.']).next()).unwrap_or_default();
    let Some(own) = row(room) else { return Vec::new() };
    let upward = |other: &str| other != room && row(other).is_some_and(|other| other <= own);
    let named = inner_imports("store", file, shipped).into_iter().filter(|(_, other)| upward(other));
    let complaint = |(at, other)| format!("{} names store::{other}, which lies above store::{room}", place(file, shipped, at));
    named.map(complaint).collect()
}

/// Rooms inside of `home` that a text in it names, with where.
fn inner_imports<'a>(home: &str, file: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let depth = file.split('/').filter(|part| *part != "mod.rs").count();
    for path in [format!("crate::{home}::"), "super::".repeat(depth - 1)] {
        let beyond = code.match_indices(&path).map(|(at, _)| at + path.len());
        for at in beyond.filter(|at| !code[*at..].starts_with("super") && !code[..at - path.len()].ends_with("super::")) {
            if code[at..].starts_with('{') { found.extend(group(code, at)) } else { found.push((at, word(&code[at..]))) }
        }
    }
    found
}

/// The names in a pure room that it must not use.
fn impurities(file: &str, shipped: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (home, rooms, banned, reason) in PURE.into_iter().filter(|(home, ..)| file.starts_with(home)) {
        let foreign = imports(file, shipped).into_iter().filter(|(_, room)| row(room).is_some() && !rooms.contains(room));
        let named = banned.iter().flat_map(|word| words(shipped, word).into_iter().map(move |at| (at, *word)));
        let complaint = |(at, name)| format!("{} names {name}: src/{home} is pure, {reason}", place(file, shipped, at));
        found.extend(foreign.chain(named).map(complaint));
    }
    found
}

/// The code without what is compiled for tests only. Each line keeps its place.
fn shipped(file: &str, code: &str) -> String {
    if file.split('/').any(|part| ["tests", "tests.rs", "fixture.rs"].contains(&part)) {
        return String::new();
    }
    let mut shipped = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        match line.split_once("#[cfg(test)]") {
            Some((indent, _)) => shipped.extend(std::iter::repeat_n('\n', skip_item(indent, &mut lines) + 1)),
            None => shipped.extend([line, "\n"]),
        }
    }
    shipped
}

/// Skips an item, and returns how many lines it has. As rustfmt writes it, an item ends with a `;` on a line where no block has
/// begun, or with a `}` that is indented like the item.
fn skip_item<'a>(indent: &str, lines: &mut impl Iterator<Item = &'a str>) -> usize {
    let (mut count, mut has_block) = (0, false);
    for line in lines {
        count += 1;
        let is_end = line.trim_end().ends_with(';') && !has_block;
        has_block |= line.contains('{');
        if is_end || line.trim_end() == format!("{indent}}}") || (has_block && line.trim_end().ends_with('}') && count == 1) {
            break;
        }
    }
    count
}

/// The rooms that a text names, each with its place: `crate::ROOM`, `crate::{ROOM, …}`, or as many `super::` as lead out of the
/// file's room.
fn imports<'a>(file: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, "crate").into_iter().chain(words(code, "hookwheel")) {
        let Some(rest) =
            code[at..].split_once("::").filter(|(word, _)| word.trim() == *word && is_word(word)).map(|(_, rest)| rest)
        else {
            continue;
        };
        let start = code.len() - rest.len();
        if rest.starts_with('{') { found.extend(group(code, start)) } else { found.push((start, word(rest))) }
    }
    let depth = file.split('/').filter(|part| *part != "mod.rs").count();
    let out = "super::".repeat(depth);
    let beyond = code.match_indices(&out).map(|(at, _)| at + out.len()).filter(|at| !code[*at..].starts_with("super"));
    found.extend(beyond.map(|at| (at, word(&code[at..]))));
    found
}

/// The first names of a braced group that begins at `start`.
fn group(code: &str, start: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut depth = 0;
    for (offset, character) in code[start..].char_indices() {
        let at = start + offset;
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let begins_item = matches!(character, '{' | ',') && depth == 1;
        if begins_item {
            let rest = code[at + 1..].trim_start();
            found.push((code.len() - rest.len(), word(rest)));
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Where a word or a path of words stands by itself, and is not a part of another word, a field, or the ending of a file's name.
fn words(code: &str, wanted: &str) -> Vec<usize> {
    let stands_alone = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + wanted.len()..].chars().next();
        !before.is_some_and(|c| is_word_part(c) || c == '.') && !after.is_some_and(is_word_part)
    };
    code.match_indices(wanted).map(|(at, _)| at).filter(stands_alone).collect()
}

fn word(text: &str) -> &str {
    text.split(|c| !is_word_part(c)).next().unwrap_or(text)
}

fn is_word(text: &str) -> bool {
    text.chars().all(is_word_part)
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Cuts every line at `//`, even inside a string, since no import follows there.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn place(file: &str, code: &str, at: usize) -> String {
    format!("src/{file}:{}", code[..at].matches('\n').count() + 1)
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|rooms| rooms.contains(&room))
}

fn below(row: usize) -> String {
    let rooms = ROWS[row + 1..].concat();
    if rooms.is_empty() { "no other room".to_owned() } else { rooms.join(", ") }
}

/// Every source file, relative to `src/`.
pub(super) fn sources() -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders(SRC) {
        let paths = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it can be listed").path());
        let files = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
        let inside = |path: PathBuf| path.strip_prefix(SRC).expect("found below src").to_str().expect("ASCII").to_owned();
        found.extend(files.map(inside));
    }
    assert!(found.len() > 5, "src was not found");
    found
}

/// A folder and all folders below it.
fn folders(root: &str) -> Vec<PathBuf> {
    let (mut found, mut left) = (Vec::new(), vec![PathBuf::from(root)]);
    while let Some(folder) = left.pop() {
        let paths = fs::read_dir(&folder).expect("it is there").map(|entry| entry.expect("it can be listed").path());
        left.extend(paths.filter(|path| path.is_dir()));
        found.push(folder);
    }
    found
}

const SRC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");

/// The file with all reads at the store's front.
const READS: &str = "store/reads.rs";

/// The methods of `Store` that fail with an error of the store and read none of its rows.
const FRONT_WITHOUT_READS: [&str; 3] = ["fn open(", "fn files_stand(", "fn look_at_disk("];

/// The most Rust files beside each other in one folder.
const FILES_MAX: usize = 16;
