//! The command line: what can be typed, and who does it.
//!
//! `serve` and `dev` are the service. `bench`, `check`, `compact`, `completions`, `config`, `dialects`, `docs`, `doctor`, `man`, `restore`,
//! `verify` and `version` need none. All others ask the running service over its admin socket and never open its store. Data goes to
//! stdout, everything else to stderr.

mod args;
mod calls;
mod client;
mod command;
mod named;
mod output;
mod whose;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use output::exit::{Exit, Failure};
use output::hint::Called;
use output::print::{Colour, Out};
use output::usage;

/// A webhook relay in one binary: durable, signed, retried, with its storage inside.
#[derive(Debug, Parser)]
#[command(name = "hookwheel", version, propagate_version = true, after_help = AFTER_HELP)]
struct Cli {
    /// Print JSON: one object, or one a line for streams; errors too
    #[arg(long, global = true, help_heading = OUTPUT)]
    json: bool,

    /// When to use colour: auto (on a terminal, unless NO_COLOR is set or TERM is dumb), always or never
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = OUTPUT, hide_possible_values = true)]
    color: Colour,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(command::serve::Serve),
    Dev(command::dev::Dev),
    Check(command::check::Check),
    Doctor(command::doctor::Doctor),
    #[command(subcommand)]
    Config(command::config::Config),
    Send(command::send::Send),
    #[command(subcommand, visible_alias = "webhook")]
    Webhooks(command::webhooks::Webhooks),
    #[command(subcommand, visible_alias = "event")]
    Events(command::operate::events::Events),
    #[command(subcommand, visible_alias = "delivery")]
    Deliveries(command::deliveries::Deliveries),
    Tail(command::operate::tail::Tail),
    #[command(subcommand, visible_alias = "replays")]
    Replay(command::operate::replay::Replay),
    #[command(subcommand, visible_alias = "event-type")]
    EventTypes(command::event_types::EventTypes),
    #[command(subcommand, visible_alias = "key")]
    Keys(command::keys::Keys),
    #[command(subcommand, visible_alias = "tenant")]
    Tenants(command::tenants::Tenants),
    Backup(command::storage::backup::Backup),
    Restore(command::storage::restore::Restore),
    Compact(command::storage::compact::Compact),
    Export(command::storage::transfer::export::Export),
    Import(command::storage::transfer::import::Import),
    Status(command::status::Status),
    Reload(command::status::Reload),
    LoginLink(command::operate::login_link::LoginLink),
    Audit(command::operate::audit::Audit),
    #[command(subcommand)]
    Clock(command::operate::clock::Clock),
    #[command(subcommand, visible_alias = "dialect")]
    Dialects(command::dialects::Dialects),
    Verify(command::verify::Verify),
    Bench(command::bench::Bench),
    Completions(command::about::completions::Completions),
    Docs(command::about::docs::Docs),
    Man(command::about::man::Man),
    #[command(hide = true)]
    BenchForward(command::bench::BenchForward),
    Version(command::status::Version),
}

impl Command {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Dev(dev) => dev.run(out),
            Self::Check(check) => check.run(out),
            Self::Doctor(doctor) => doctor.run(out),
            Self::Config(config) => config.run(out),
            Self::Send(send) => send.run(out),
            Self::Webhooks(webhooks) => webhooks.run(out),
            Self::Events(events) => events.run(out),
            Self::Deliveries(deliveries) => deliveries.run(out),
            Self::Tail(tail) => tail.run(out),
            Self::Replay(replay) => replay.run(out),
            Self::EventTypes(types) => types.run(out),
            Self::Keys(keys) => keys.run(out),
            Self::Tenants(tenants) => tenants.run(out),
            Self::Backup(backup) => backup.run(out),
            Self::Restore(restore) => restore.run(out),
            Self::Compact(compact) => compact.run(out),
            Self::Export(export) => export.run(out),
            Self::Import(import) => import.run(out),
            Self::Status(status) => status.run(out),
            Self::Reload(reload) => reload.run(out),
            Self::LoginLink(link) => link.run(out),
            Self::Audit(audit) => audit.run(out),
            Self::Clock(clock) => clock.run(out),
            Self::Dialects(dialects) => dialects.run(out),
            Self::Verify(verify) => verify.run(out),
            Self::Bench(bench) => bench.run(out),
            Self::Completions(completions) => completions.run(&Cli::command(), out),
            Self::Docs(docs) => docs.run(out),
            Self::Man(man) => man.run(Cli::command(), out),
            Self::BenchForward(forward) => forward.run(),
            Self::Version(version) => version.run(out),
        }
    }
}

/// Parses the arguments of this process, runs the command, and says how it ended.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match parse(&arguments) {
        Ok((cli, called)) => done(&Out::new(cli.json, cli.color, called), |out| cli.command.run(out)),
        Err(error) => unparsed(&error, &arguments),
    };
    exit.into()
}

fn parse(arguments: &[OsString]) -> Result<(Cli, Called), clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let called = Called::new(arguments, &matches);
    Ok((Cli::from_arg_matches(&matches)?, called))
}

fn done(out: &Out, run: impl FnOnce(&Out) -> Result<Exit, Failure>) -> Exit {
    run(out).unwrap_or_else(|failure| {
        out.failure(&failure);
        failure.exit
    })
}

/// Help and version are answers, and a command without its next word shows its help; the rest is wrong usage.
fn unparsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    let json = arguments.iter().any(|argument| argument == "--json");
    let (kind, exit) = (error.kind(), exit_of(error.kind()));
    if exit == Exit::Ok || (kind == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand && !json) {
        // A closed pipe is no reason to complain.
        let _ = error.print();
    } else {
        let failure = usage::failure(error, &Cli::command(), arguments);
        Out::new(json, Colour::Auto, Called::unread(arguments)).failure(&failure);
    }
    exit
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::Usage,
    }
}

/// What all commands share stands apart from the options of each.
const OUTPUT: &str = "Output";

const AFTER_HELP: &str = "\
Start here: hookwheel dev, then in a second terminal
hookwheel send invoice.paid -d '{\"id\":\"in_1\"}'

Exit codes: 0 ok, 1 a negative answer, 2 wrong usage, 3 warnings denied,
4 not ended in time, 69 service unreachable, 70 internal error, 74 store or
output error, 75 an address is taken (try again), 77 permission denied,
78 invalid config";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_says_what_it_is() {
        let mut left = vec![Cli::command()];
        let mut silent = Vec::new();
        while let Some(command) = left.pop() {
            let mute = command.get_arguments().filter(|argument| !argument.is_hide_set() && argument.get_help().is_none());
            silent.extend(mute.map(|argument| format!("{} {}", command.get_name(), argument.get_id())));
            left.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        }
        assert!(silent.is_empty(), "{silent:?} have no help");
    }

    #[test]
    fn every_form_is_taken() {
        let forms = include_str!("forms.txt");
        assert!(forms.lines().count() > 60);
        for line in forms.lines() {
            assert!(parsed(line).is_ok(), "{line}: {:?}", parsed(line).err());
        }
    }

    /// A reader would have typed what the documentation says, and been refused.
    #[test]
    fn every_command_in_the_documentation_is_taken() {
        let pages = calls::docs_contents().into_iter().flat_map(|part| part.pages);
        let texts: Vec<String> =
            pages.filter_map(|(path, _)| calls::docs_page(&path)).map(|page| page.markdown.replace('`', "\n")).collect();
        let commands = texts.iter().flat_map(|text| text.lines()).filter(|line| line.starts_with("hookwheel "));
        let plain: Vec<&str> = commands.filter(|line| !line.contains(['\'', '"', '\\', '$'])).collect();
        assert!(plain.len() > 20, "{plain:?}");
        for line in plain {
            // A command by its name alone may lack something, and shows its help then.
            let is_named = line.split(' ').count() == 2;
            assert!(parsed(line).is_ok() || is_named && parsed(line).err() != Some(ErrorKind::InvalidSubcommand), "{line}");
        }
    }

    /// The tests of the built binary are read, not run: a command stands at the beginning of a list of arguments.
    #[test]
    fn every_command_is_run_by_a_test_and_with_json() {
        let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"));
        let runs = |words: &[String]| -> Vec<&str> {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let begins = [format!("[{}, ", quoted.join(", ")), format!("[{}]", quoted.join(", "))];
            let found = begins.iter().flat_map(|begin| sources.match_indices(begin.as_str()));
            found.filter_map(|(at, _)| sources[at..].split(']').next()).collect()
        };
        let leaves = leaves(&Cli::command(), &[]);
        assert!(leaves.len() > 40 && runs(&["soup".to_owned()]).is_empty(), "{leaves:?}");
        let unrun: Vec<_> = leaves.iter().filter(|words| runs(words).is_empty() && !ENDLESS.contains(&&*words[0])).collect();
        assert!(unrun.is_empty(), "no test in tests/it runs {unrun:?}");
        let json = |words: &&Vec<String>| runs(words).iter().any(|run| run.contains("\"--json\""));
        let silent: Vec<_> = leaves.iter().filter(|words| !ENDLESS.contains(&&*words[0]) && !json(words)).collect();
        assert!(silent.is_empty(), "no test in tests/it asks for --json of {silent:?}");
    }

    /// What these print does not come to an end. Tests start them as processes of their own.
    const ENDLESS: [&str; 3] = ["serve", "dev", "tail"];

    /// The commands that have none below them, each by its words.
    fn leaves(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
        let below: Vec<_> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
        let words = |command: &clap::Command| [above, &[command.get_name().to_owned()]].concat();
        let all = below.into_iter().map(|command| match leaves(command, &words(command)) {
            deeper if deeper.is_empty() => vec![words(command)],
            deeper => deeper,
        });
        all.flatten().collect()
    }

    /// All sources of a folder, each run of white space as one blank.
    fn sources(folder: &Path) -> String {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let texts = entries.map(|path| if path.is_dir() { sources(&path) } else { fs::read_to_string(&path).expect("a source") });
        let all = texts.collect::<Vec<_>>().join("\n");
        all.split_whitespace().collect::<Vec<_>>().join(" ").replace("[ \"", "[\"")
    }

    #[test]
    fn lines_that_make_no_sense_are_wrong_usage() {
        let lines = [
            "hookwheel",
            "hookwheel nonsense",
            "hookwheel send",
            "hookwheel send t --id a.b",
            "hookwheel send t --tenant acme",
            "hookwheel send t --occurred-at yesterday",
            "hookwheel send t --attribute novalue",
            "hookwheel webhooks",
            "hookwheel webhooks add",
            "hookwheel webhooks rotate-secret w --overlap 30",
            "hookwheel deliveries show ../keys",
            "hookwheel deliveries list --status broken",
            "hookwheel deliveries list --all --tenant a/b",
            "hookwheel tail --status broken",
            "hookwheel tail --all --tenant a/b",
            "hookwheel event-types put a*",
            "hookwheel event-types delete",
            "hookwheel keys revoke",
            "hookwheel deliveries list --limit 251",
            "hookwheel deliveries list --code 99",
            "hookwheel deliveries list --type b*",
            "hookwheel deliveries list --since soon",
            "hookwheel keys new k --operator --provider p",
            "hookwheel keys new k --scopes admin",
            "hookwheel verify --dialect standard",
            "hookwheel verify --secret-file s --dialect d --body @b --tolerance 5m --ignore-timestamp",
            "hookwheel verify --secret-file s --dialect d --body @b --header novalue",
            "hookwheel check --store f -c g",
            "hookwheel doctor --store f -c g",
            "hookwheel dev --data d --ephemeral",
            "hookwheel export",
            "hookwheel export f --with-secrets",
            "hookwheel import f --provider acme",
            "hookwheel import f --from soup",
            "hookwheel dev --fail-rate 1.5",
            "hookwheel dev --forward-to ftp://x",
            "hookwheel audit --limit 0",
            "hookwheel audit --since soon",
            "hookwheel status --color sometimes",
            "hookwheel bench --for 1s --events 3",
            "hookwheel bench --endpoints 0",
            "hookwheel bench --rate -1",
            "hookwheel bench --connections 2001",
            "hookwheel bench --body f --body-bytes 3",
            "hookwheel bench --only all",
        ];
        for line in lines {
            let kind = parsed(line).map(|_| ()).expect_err(line);
            assert!(!matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion), "{line}");
        }
    }

    #[test]
    fn the_text_behind_the_help_fits_a_terminal() {
        assert!(AFTER_HELP.lines().all(|line| line.len() <= 80), "{AFTER_HELP}");
    }

    #[test]
    fn json_and_colour_may_stand_anywhere() {
        assert!(parsed("hookwheel --json status").expect("parsed").json);
        assert!(parsed("hookwheel webhooks list --json").expect("parsed").json);
        assert_eq!(parsed("hookwheel status --color never").expect("parsed").color, Colour::Never);
    }

    #[test]
    fn help_is_an_answer_and_a_typing_error_is_not() {
        let exit = |line: &str| exit_of(parsed(line).expect_err("not run"));
        assert_eq!(exit("hookwheel --help"), Exit::Ok);
        assert_eq!(exit("hookwheel webhooks add --help"), Exit::Ok);
        assert_eq!(exit("hookwheel --version"), Exit::Ok);
        assert_eq!(exit("hookwheel nonsense"), Exit::Usage);
        assert_eq!(exit("hookwheel"), Exit::Usage);
    }
}
