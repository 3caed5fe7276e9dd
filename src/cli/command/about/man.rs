//! `man`: manual pages, which say what `--help` says.

use clap::{Args, Command};
use serde_json::json;

use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::domain::text::nearest::nearest;

/// Print a manual page as roff: hookwheel man | man -l -
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// The command that the page is about, as in `webhooks add`; else all of it
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

impl Man {
    /// `root` is the whole command line.
    pub(crate) fn run(&self, root: Command, out: &Out) -> Result<Exit, Failure> {
        let mut root = root.disable_help_subcommand(true);
        root.build();
        let (name, page) = page(find(&root, &self.words)?);
        match out.json {
            true => out.line(json!({ "name": name, "section": 1, "page": page }))?,
            false => out.line(page.trim_end())?,
        }
        Ok(Exit::Ok)
    }
}

/// The command that the words lead to, by names or aliases.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Failure> {
    words.iter().try_fold(root, |command, word| {
        let below = command.find_subcommand(word).filter(|below| !below.is_hide_set());
        below.ok_or_else(|| {
            let names = command.get_subcommands().filter(|below| !below.is_hide_set()).map(Command::get_name);
            let near = nearest(word, names).map(|near| Hint::Corrected(word.clone(), near.to_owned()));
            let path = command.get_bin_name().unwrap_or_else(|| command.get_name());
            Failure::usage(format!("`{path}` has no command `{word}`"), near)
        })
    })
}

/// A page and what it is called.
fn page(command: &Command) -> (String, String) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let source = format!("hookwheel {}", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).source(source).manual("hookwheel");
    let mut page = Vec::new();
    // Memory takes every byte.
    drop(man.render(&mut page));
    (name, String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_a_page_of_its_name() {
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        let (mut left, mut pages) = (vec![&root], 0);
        while let Some(command) = left.pop() {
            let (name, text) = page(command);
            assert!(name.starts_with("hookwheel") && !name.contains(' '), "{name}");
            assert!(text.contains(&format!(".TH {}", name.to_uppercase())) && text.contains(".SH SYNOPSIS"), "{name}:\n{text}");
            pages += 1;
            left.extend(command.get_subcommands().filter(|below| !below.is_hide_set()));
        }
        assert!(pages > 40, "{pages}");
    }

    #[test]
    fn a_command_is_found_by_its_words_and_aliases() {
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        let found = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            find(&root, &words).map(|command| page(command).0)
        };
        assert_eq!(found(&[]).expect("the program"), "hookwheel");
        assert_eq!(found(&["webhook", "add"]).expect("by an alias"), "hookwheel-webhooks-add");
        assert!(found(&["bench-forward"]).is_err(), "it is hidden");
        assert!(found(&["nonsense"]).is_err() && found(&["webhooks", "ad"]).is_err());
    }
}
