//! The failure of a command line that makes no sense: what is wrong, and as the hint the corrected line or the help of its command.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::exit::Failure;
use super::hint::Hint;

/// The failure of a line that clap could not read. `root` is the whole command line, `arguments` what was typed, the program first.
pub(crate) fn failure(error: &Error, root: &Command, arguments: &[OsString]) -> Failure {
    let command = command(root, arguments);
    let hint = correction(error).unwrap_or_else(|| Hint::plain([&command[..], "--help"].concat()));
    Failure::usage(message(error, command.trim_end()), hint)
}

fn message(error: &Error, command: &str) -> String {
    let wrong = || one(error, ContextKind::InvalidArg).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument if wrong().starts_with('-') => format!("`hookwheel {command}` has no option `{}`", wrong()),
        ErrorKind::UnknownArgument => format!("`{}` is one argument too many", wrong()),
        ErrorKind::InvalidSubcommand => {
            format!("there is no command `{}`", one(error, ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => "a command is missing".into(),
        ErrorKind::MissingRequiredArgument => {
            let all = several(error, ContextKind::InvalidArg);
            format!("{} {} missing", all.join(" and "), if all.len() == 1 { "is" } else { "are" })
        }
        ErrorKind::InvalidValue if one(error, ContextKind::InvalidValue).is_none_or(|value| value.is_empty()) => {
            format!("`{}` needs a value", wrong())
        }
        _ => first_paragraph(error),
    }
}

/// The line with the word that was probably meant, where there is one.
fn correction(error: &Error) -> Option<Hint> {
    let pairs = [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ];
    pairs.into_iter().find_map(|(wrong, right)| Some(Hint::Corrected(one(error, wrong)?, one(error, right)?)))
}

/// The words of the innermost command that was named, each with a space behind it.
fn command(root: &Command, arguments: &[OsString]) -> String {
    let (mut at, mut words) = (root, String::new());
    for argument in arguments.iter().skip(1) {
        if let Some(below) = argument.to_str().and_then(|word| at.find_subcommand(word)) {
            words.push_str(below.get_name());
            words.push(' ');
            at = below;
        }
    }
    words
}

/// The first paragraph of clap's own text, which holds no hint.
fn first_paragraph(error: &Error) -> String {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn one(error: &Error, kind: ContextKind) -> Option<String> {
    several(error, kind).into_iter().next()
}

fn several(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;
    use crate::cli::output::hint::Called;

    fn said(line: &[&str]) -> String {
        let arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        let error = Cli::command().try_get_matches_from(&arguments).expect_err("wrong");
        failure(&error, &Cli::command(), &arguments).human(&Called::unread(&arguments))
    }

    #[test]
    fn a_wrong_line_is_told_in_the_form_of_every_error() {
        for (line, told) in [
            (&["hookwheel", "sned", "x"][..], "error: there is no command `sned`\n  try: hookwheel send x"),
            (
                &["hookwheel", "--json", "webhook", "ad", "u"],
                "error: there is no command `ad`\n  try: hookwheel --json webhook add u",
            ),
            (&["hookwheel", "keys"], "error: a command is missing\n  try: hookwheel keys --help"),
            (&["hookwheel", "send"], "error: <TYPE> is missing\n  try: hookwheel send --help"),
            (
                &["hookwheel", "event-types", "put", "a", "-d", "x"],
                "error: `hookwheel event-types put` has no option `-d`\n  try: hookwheel event-types put --help",
            ),
            (
                &["hookwheel", "webhooks", "list", "--tenent=a/b"],
                "error: `hookwheel webhooks list` has no option `--tenent`\n  try: hookwheel webhooks list --tenant=a/b",
            ),
            (&["hookwheel", "status", "now"], "error: `now` is one argument too many\n  try: hookwheel status --help"),
            (
                &["hookwheel", "deliveries", "list", "--status"],
                "error: `--status <STATUS>` needs a value\n  try: hookwheel deliveries list --help",
            ),
            (
                &["hookwheel", "deliveries", "list", "--status", "faild"],
                "error: invalid value 'faild' for '--status <STATUS>' [possible values: pending, succeeded, failed, held]\n  \
                 try: hookwheel deliveries list --status failed",
            ),
        ] {
            assert_eq!(said(line), told);
        }
    }

    #[test]
    fn a_missing_argument_is_told_without_the_socket() {
        assert!(!said(&["hookwheel", "webhooks", "add"]).contains("--socket"));
    }
}
