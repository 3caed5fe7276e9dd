//! `completions`: the script by which a shell completes commands and options.

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;

/// Print a script that lets your shell complete commands and options
#[derive(Args, Debug)]
#[command(after_help = WHERE)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// `root` is the whole command line.
    pub(crate) fn run(&self, mut root: Command, out: &Out) -> Result<Exit, Failure> {
        let (name, mut script) = (root.get_name().to_owned(), Vec::new());
        clap_complete::generate(self.shell, &mut root, name, &mut script);
        let script = String::from_utf8_lossy(&script);
        match out.json {
            true => out.line(json!({ "shell": self.shell.to_string(), "script": script }))?,
            false => out.line(script.trim_end())?,
        }
        Ok(Exit::Ok)
    }
}

const WHERE: &str = "\
Where the script goes:
  bash  ~/.local/share/bash-completion/completions/hookwheel
  zsh   a folder of $fpath, under the name _hookwheel
  fish  ~/.config/fish/completions/hookwheel.fish";
