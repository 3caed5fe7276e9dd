//! Finds the file and its `conf.d/*.toml`, reads them all and puts them together into one table.
//!
//! Files of conf.d add to the others: lists of tables are joined, and so are the keys of `[server]` and its like. A key that is set in
//! two places is a fault that names both, since only their author knows which one was meant.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::document::{Entry, Source, Table, Value, parse};
use super::files::{self, Contents, Unreadable, made_in, shown};
use super::inline::holds_credentials;
use super::secret_file::OTHERS_READ;
use crate::config::fault::{Faults, Location, Placed, Remedy};
use crate::domain::units::Size;

/// The content of all files, put together.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) root: Table,
    pub(crate) files: Vec<PathBuf>,
    /// Those of the files that hold credentials and that everyone can read.
    pub(crate) exposed: Vec<PathBuf>,
    /// Whether every file could be read. Only then a name that no file defines is surely wrong.
    pub(crate) complete: bool,
}

impl Gathered {
    /// The content of no file, which is complete.
    pub(crate) fn nothing() -> Self {
        Self { complete: true, ..Self::default() }
    }
}

/// Reads the file and conf.d beside it. A file that cannot be read is a fault and is left out.
pub(crate) fn gather(main: &Path, faults: &mut Faults) -> Gathered {
    let mut gathered = Gathered::nothing();
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let beside = beside(&folder, faults);
    gathered.complete &= beside.is_some();
    for path in std::iter::once(main.to_owned()).chain(beside.unwrap_or_default()) {
        match read(&path, faults) {
            Some((table, mode)) => {
                if mode & OTHERS_READ != 0 && holds_credentials(&table) {
                    gathered.exposed.push(path.clone());
                }
                join(&mut gathered.root, table, faults);
            }
            None => gathered.complete = false,
        }
        gathered.files.push(path);
    }
    gathered
}

/// The files of conf.d in sorted order, none when there is no such folder; `None` when it cannot be listed.
fn beside(folder: &Path, faults: &mut Faults) -> Option<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = match listed {
        Ok(paths) => paths,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(error) => {
            let error = Unreadable::from_io(error, folder);
            faults.add(&Location::file(folder), format!("cannot list this folder: {error}"), error.remedy(folder, Remedy::None));
            return None;
        }
    };
    paths.retain(|path| is_config(path));
    paths.sort();
    Some(paths)
}

/// Whether a name matches `*.toml` as in a shell: hidden copies of an editor are no config.
fn is_config(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension() == Some(OsStr::new("toml"))
}

/// The content of a file, with its permissions.
fn read(path: &Path, faults: &mut Faults) -> Option<(Table, u32)> {
    match files::read(path, FILE_MAX) {
        Ok(Contents { bytes, mode }) => {
            let table = text(path, bytes, faults).and_then(|text| parse(path, &text, faults));
            table.map(|table| (table, mode))
        }
        Err(error) => {
            faults.add(&Location::file(path), format!("cannot read the config: {error}"), error.remedy(path, example(path)));
            None
        }
    }
}

/// The command that makes a first config, and its folder, where there is none.
fn example(path: &Path) -> Remedy {
    let (before, into) = made_in(path);
    Remedy::Ours { before, words: "config default".into(), after: into }
}

fn text(path: &Path, bytes: Vec<u8>, faults: &mut Faults) -> Option<String> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        let location = Source::new(path, "").location_at(0);
        faults.add(
            &location,
            "the file begins with a byte order mark",
            Remedy::run(format!("sed -i '1s/^\\xef\\xbb\\xbf//' {}", shown(path))),
        );
        return None;
    }
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Some(text),
        Err(error) => error,
    };
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let location = Source::new(path, &String::from_utf8_lossy(valid)).location_at(valid.len());
    let message = format!("this byte, 0x{:02x}, is not UTF-8", error.as_bytes()[valid.len()]);
    faults.add(&location, message, Remedy::run(format!("iconv -f WINDOWS-1252 -t UTF-8 {}", shown(path))));
    None
}

/// Adds the tables of a file to those of the files before it.
fn join(root: &mut Table, more: Table, faults: &mut Faults) {
    for entry in more.entries {
        match root.entries.iter_mut().find(|first| first.key == entry.key) {
            None => root.entries.push(entry),
            Some(first) => join_section(first, entry, faults),
        }
    }
}

/// Joins two values of the same name at the top of two files: tables, or lists of tables.
fn join_section(first: &mut Entry, second: Entry, faults: &mut Faults) {
    let Value::Table(more) = second.value.value else { return join_key("", first, second, faults) };
    let Value::Table(all) = &mut first.value.value else {
        return twice("", &second.key, &first.location, &second.location, faults);
    };
    let within = format!("{}.", second.key);
    for entry in more.entries {
        match all.entries.iter_mut().find(|first| first.key == entry.key) {
            None => all.entries.push(entry),
            Some(first) => join_key(&within, first, entry, faults),
        }
    }
}

/// Joins two values of the same key: lists of tables (webhooks, keys) are put together, and any other value is set twice, which is a
/// fault.
fn join_key(within: &str, first: &mut Entry, second: Entry, faults: &mut Faults) {
    match (&mut first.value.value, second.value.value) {
        (Value::Array(all), Value::Array(more)) if all.iter().chain(&more).all(is_table) => all.extend(more),
        _ => twice(within, &second.key, &first.location, &second.location, faults),
    }
}

fn twice(within: &str, key: &str, first: &Location, second: &Location, faults: &mut Faults) {
    faults.add(second, format!("`{within}{key}` is set here and in {first}"), Remedy::advice("keep one of the two"));
}

fn is_table(item: &Placed<Value>) -> bool {
    matches!(item.value, Value::Table(_))
}

/// The byte order mark that some editors write before UTF-8. TOML has none (its section "Preliminaries"), and would take it for a part
/// of the first key.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The largest file that is read as a config: ten thousand webhooks fit several times.
const FILE_MAX: Size = Size::mib(16);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Gathers `hookwheel.toml` and files of conf.d, given by name and text.
    fn gathered(main: &str, beside: &[(&str, &[u8])]) -> (Gathered, String) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("conf.d")).expect("made");
        fs::write(folder.path().join("hookwheel.toml"), main).expect("written");
        for (name, text) in beside {
            fs::write(folder.path().join("conf.d").join(name), text).expect("written");
        }
        let mut faults = Faults::default();
        let gathered = gather(&folder.path().join("hookwheel.toml"), &mut faults);
        (gathered, faults.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn conf_d_adds_tables_in_sorted_order() {
        let (gathered, faults) = gathered(
            "[server]\nlisten = \"a\"\n[[webhook]]\nname = \"0\"",
            &[("2.toml", b"[[webhook]]\nname = \"2\""), ("1.toml", b"[server]\nadmin_socket = \"b\"\n[[webhook]]\nname = \"1\"")],
        );
        assert_eq!(faults, "");
        let mut root = gathered.root;
        let mut faults = Faults::default();
        let mut names = root.tables("webhook", &mut faults).into_iter();
        let order = std::array::from_fn(|_| names.next()?.string("name", &mut Faults::default()).map(|name| name.value));
        assert_eq!(order, ["0", "1", "2"].map(|name| Some(name.to_owned())));
        let server = root.table("server", &mut faults).expect("there");
        assert!(server.has("listen") && server.has("admin_socket"));
    }

    #[test]
    fn what_is_set_twice_names_both_places() {
        let (_, faults) = gathered("[storage]\nretention = \"7d\"", &[("a.toml", b"[storage]\nretention = \"7d\"")]);
        let wanted = "error: `storage.retention` is set here and in hookwheel.toml:2:1; keep one of the two   conf.d/a.toml:2:1";
        assert_eq!(faults, wanted);
    }

    #[test]
    fn a_dialect_of_two_files_is_set_twice() {
        let (_, faults) = gathered("[dialect.x]\n", &[("a.toml", b"[dialect.x]\n"), ("b.toml", b"[dialect.y]\n")]);
        let twice = "`dialect.x` is set here and in hookwheel.toml:1:10; keep one of the two   conf.d/a.toml:1:10";
        assert!(faults.contains(twice), "{faults}");
        assert!(!faults.contains("dialect.y"), "{faults}");
    }

    #[test]
    fn a_table_in_one_file_and_a_value_in_another_are_one_too_many() {
        let (_, faults) = gathered("[server]\n", &[("a.toml", b"server = 5\n"), ("b.toml", b"[[server]]\n")]);
        assert!(faults.contains("conf.d/a.toml:1:1") && faults.contains("conf.d/b.toml:1:3"), "{faults}");
    }

    #[test]
    fn hidden_and_other_files_are_no_config() {
        let (gathered, faults) = gathered("", &[(".a.toml", b"?"), ("b.toml~", b"?"), ("README", b"?")]);
        assert_eq!((gathered.files.len(), faults.as_str()), (1, ""));
    }

    #[test]
    fn a_byte_that_is_not_utf8_has_its_place() {
        let (gathered, faults) = gathered("", &[("a.toml", b"# gr\xfcn\n"), ("b.toml", b"a = 1\nb = \"\xff\"")]);
        assert!(faults.contains("0xfc, is not UTF-8   conf.d/a.toml:1:5"), "{faults}");
        assert!(faults.contains("conf.d/b.toml:2:6"), "{faults}");
        assert!(!gathered.complete);
    }

    #[test]
    fn a_byte_order_mark_is_a_fault_at_the_start_of_its_file() {
        let (gathered, faults) = gathered("", &[("a.toml", b"\xef\xbb\xbf[server]\n")]);
        assert!(
            faults.starts_with("error: the file begins with a byte order mark   conf.d/a.toml:1:1\n  try: sed -i "),
            "{faults}"
        );
        assert!(!gathered.complete);
    }

    #[test]
    fn a_missing_file_names_the_command_that_makes_one() {
        let mut faults = Faults::default();
        let folder = tempfile::tempdir().expect("a folder");
        gather(&folder.path().join("new folder/hookwheel.toml"), &mut faults);
        let printed = faults.to_string().replace(&*folder.path().to_string_lossy(), "X");
        let expected = "error: cannot read the config: it does not exist   X/new folder/hookwheel.toml\n  \
                        try: mkdir -p 'X/new folder' && hookwheel config default > 'X/new folder/hookwheel.toml'";
        assert_eq!(printed, expected);
    }
}
