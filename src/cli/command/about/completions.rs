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
    pub(crate) fn run(&self, root: &Command, out: &Out) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut visible(root), PROGRAM, &mut script);
        let script = String::from_utf8_lossy(&script);
        match out.json {
            true => out.line(json!({ "shell": self.shell.to_string(), "script": script }))?,
            false => out.line(script.trim_end())?,
        }
        Ok(Exit::Ok)
    }
}

/// The command line without the commands that are hidden, which the program gives to itself.
fn visible(root: &Command) -> Command {
    let commands = root.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new(PROGRAM).args(root.get_arguments().cloned()).subcommands(commands)
}

const PROGRAM: &str = "hookwheel";

const WHERE: &str = "\
Where the script goes:
  bash  ~/.local/share/bash-completion/completions/hookwheel
  zsh   a folder of $fpath, under the name _hookwheel
  fish  ~/.config/fish/completions/hookwheel.fish";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_hidden_command_is_not_completed() {
        let root = Cli::command();
        let hidden: Vec<_> = root.get_subcommands().filter(|command| command.is_hide_set()).map(Command::get_name).collect();
        assert_eq!(hidden, ["bench-forward"]);
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut visible(&root), PROGRAM, &mut script);
            let script = String::from_utf8(script).expect("a script is text");
            assert!(!script.contains(hidden[0]) && script.contains("event-types") && script.contains("json"), "{shell}");
        }
    }
}
