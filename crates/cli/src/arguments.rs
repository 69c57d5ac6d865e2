//! The command line: what can be typed, and what was.
//!
//! The flags of `serve` come from the configuration's own tables, so that help, completions and the
//! manual page say what the reference says. They work with and without the word `serve`.

use crate::client::{Play, Probe, Publish};
use crate::dlq::Dlq;
use crate::explain::Explain;
use crate::health::Health;
use crate::hooks::Hooks;
use crate::listen::Listen;
use crate::replay::Replay;
use crate::tail::Tail;
use crate::token::Token;
use clap::builder::{PossibleValuesParser, ValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use jackfield_server::config::{Arity, FlagSpec, Flags, flags};
use std::ffi::OsString;
use std::path::PathBuf;

/// A live media server in which every event and decision reaches your own code.
#[derive(Debug, Parser)]
#[command(name = "jackfield", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,

    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// What to do; serving when absent.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run the server (the default).
    Serve(Serve),
    /// Check the configuration without starting: every error at once.
    Check(Check),
    /// Show the catalogue of events and questions, or one of them.
    Events(Events),
    /// Ask a running server whether it is well: for the health checks of containers.
    Health(Box<Health>),
    /// Write, try, check and watch hooks.
    #[command(subcommand)]
    Hooks(Box<Hooks>),
    /// Follow the events of a running server, and what its hooks make of them.
    Tail(Box<Tail>),
    /// Show why a session was let in or turned away: who was asked, and what each said.
    Explain(Box<Explain>),
    /// Deliver again: one delivery, or all of a hook since a time.
    Replay(Box<Replay>),
    /// Dead letters: notices that could not be delivered.
    #[command(subcommand)]
    Dlq(Box<Dlq>),
    /// Post the events of a server to a URL of this machine, going on where the last run stopped.
    Listen(Box<Listen>),
    /// Make, list and revoke tokens of the HTTP API.
    #[command(subcommand)]
    Token(Box<Token>),
    /// Receive a stream into an FLV file, as it comes.
    Play(Play),
    /// Send an FLV file as a stream, as it is.
    Publish(Publish),
    /// Show what is in a stream or an FLV file: tracks, rates, key frames, time stamps.
    Probe(Probe),
    /// Write a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page.
    Man,
}

/// The flags of `serve`.
#[derive(Debug, Clone)]
pub(crate) struct Serve(pub(crate) Flags);

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) serve: Serve,

    /// Print the merged result, secrets masked.
    #[arg(long)]
    pub(crate) print: bool,

    /// What is wrong as JSON, for programs: each with its file, line and column.
    #[arg(long, conflicts_with_all = ["print", "example", "reference"])]
    pub(crate) json: bool,

    /// Print a file with every key and its default instead.
    #[arg(long, conflicts_with_all = ["print", "reference"])]
    pub(crate) example: bool,

    /// Print the reference of all keys as Markdown instead.
    #[arg(long, conflicts_with = "print")]
    pub(crate) reference: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Only this one.
    pub(crate) name: Option<String>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// As Markdown.
    #[arg(long, conflicts_with = "json")]
    pub(crate) markdown: bool,
}

impl Serve {
    /// These flags and those behind a subcommand's name, which are stronger.
    pub(crate) fn and(mut self, behind: Self) -> Self {
        self.0.config = behind.0.config.or(self.0.config);
        self.0.given.extend(behind.0.given);
        self
    }
}

/// Parses the command line. `-listen` is `--listen`, and so with every long flag.
///
/// # Errors
/// What clap prints: usage, help, version.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let command = Arguments::command();
    let long = long_names(&command);
    let args = double_dashes(args, &long);
    Arguments::from_arg_matches(&command.try_get_matches_from(args).map_err(without_secrets)?)
}

/// A URL that cannot be read is not repeated: it has a key or a password as often as one that can. Nor is a token.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let is_secret = |arg: &String| arg.starts_with("--token") || arg.starts_with("--secret");
    if let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg)
        && is_secret(arg)
    {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && value.contains(['/', '@', '?'])
    {
        let front = value.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
        error.insert(ContextKind::InvalidValue, ContextValue::String(format!("{front}…")));
    }
    error
}

/// The names of all long flags.
fn long_names(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned));
    let below = command.get_subcommands().flat_map(long_names);
    own.chain(below).chain(["help".to_owned(), "version".to_owned()]).collect()
}

/// Gives the second dash to each `-name` and `-name=value` before a `--`.
fn double_dashes(args: impl IntoIterator<Item = OsString>, long: &[String]) -> Vec<OsString> {
    let mut flags_end = false;
    let double = |arg: OsString| {
        flags_end |= arg == "--";
        let name = arg.to_str().and_then(|text| text.strip_prefix('-')).map(|text| {
            let name = text.split_once('=').map_or(text, |(name, _)| name);
            long.iter().any(|known| known == name)
        });
        match name {
            Some(true) if !flags_end => {
                let mut doubled = OsString::from("-");
                doubled.push(&arg);
                doubled
            }
            _ => arg,
        }
    };
    args.into_iter().map(double).collect()
}

impl FromArgMatches for Serve {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given: Vec<(usize, String, String)> = Vec::new();
        for flag in flags() {
            if flag.arity == Arity::Switch {
                if matches.get_flag(flag.name) {
                    given.push((usize::MAX, flag.name.to_owned(), "true".to_owned()));
                }
                continue;
            }
            let values = matches.get_many::<String>(flag.name).into_iter().flatten();
            let indices = matches.indices_of(flag.name).into_iter().flatten();
            for (index, value) in indices.zip(values) {
                given.push((index, flag.name.to_owned(), value.clone()));
            }
        }
        given.sort_by_key(|(index, ..)| *index);
        let given = given.into_iter().map(|(_, flag, value)| (flag, value)).collect();
        Ok(Self(Flags { config: matches.get_one::<PathBuf>("config").cloned(), given }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Serve {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The configuration file; without it no file is read");
        command.arg(config).args(flags().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(flag: FlagSpec) -> Arg {
    let default = flag.default.filter(|_| flag.arity != Arity::Switch);
    let default = default.map(|value| value.trim_matches(['[', ']', '"']));
    let help =
        default.map_or_else(|| flag.about.to_owned(), |value| format!("{} [default: {value}]", flag.about));
    let arg = Arg::new(flag.name).long(flag.name).help(help);
    match flag.arity {
        Arity::Switch => arg.action(ArgAction::SetTrue),
        Arity::One => arg.action(ArgAction::Set).value_name(value_name(flag)).value_parser(parser(flag)),
        Arity::Many => arg.action(ArgAction::Append).value_name(value_name(flag)).value_parser(parser(flag)),
    }
}

fn value_name(flag: FlagSpec) -> &'static str {
    match flag.value_type {
        _ if !flag.words.is_empty() => "WORD",
        "path" => "PATH",
        "size" => "SIZE",
        "duration" => "DURATION",
        "integer" => "NUMBER",
        "EVENT=PATH" => "EVENT=PATH [ARGS]",
        "EVENT=URL" => "EVENT=URL",
        _ => "ADDRESS",
    }
}

/// Words are the business of the command line, so that completions know them; the rest is checked where the
/// files' values are.
fn parser(flag: FlagSpec) -> ValueParser {
    match flag.words {
        [] => ValueParser::new(move |text: &str| flag.check(text).map(|()| text.to_owned())),
        words => PossibleValuesParser::new(words).into(),
    }
}
