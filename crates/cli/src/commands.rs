//! What the binary does: one function for each subcommand.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use crate::arguments::{Action, Arguments, Check, Events, Serve, parse};
use crate::failed::{Exit, Failed};
use crate::{client, dlq, explain, health, hooks, listen, manual, replay, tail, token};
use anyhow::Context;
use clap::CommandFactory;
use jackfield_events::{EventSpec, EventType, catalogue_json, markdown};
use jackfield_server::Server;
use jackfield_server::config::{self, Colour, Config, Problems, Told};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Wrong configuration, or no start.
const FAILED: u8 = 1;
/// Wrong command line.
const USAGE: u8 = 2;

/// Parses the arguments and does what they say. Exit codes: 0 stopped or valid, 1 start-up or configuration
/// error, 2 usage.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match parse(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing fails only when nobody reads; the code says the same.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    let before = arguments.serve;
    match arguments.action {
        None => serve(before),
        Some(Action::Serve(flags)) => serve(before.and(flags)),
        Some(Action::Check(options)) => check(before, options),
        Some(Action::Events(options)) => events(&options),
        Some(Action::Health(options)) => finish(client::block_on(health::run(*options))),
        Some(Action::Hooks(command)) => match client::block_on(hooks::run(*command)) {
            Ok(None) => ExitCode::SUCCESS,
            Ok(Some(exit)) => ExitCode::from(exit.code()),
            Err(error) => finish(Err(error)),
        },
        Some(Action::Tail(options)) => finish(client::block_on(tail::run(*options))),
        Some(Action::Explain(options)) => finish(client::block_on(explain::run(*options))),
        Some(Action::Replay(options)) => finish(client::block_on(replay::run(*options))),
        Some(Action::Dlq(command)) => finish(client::block_on(dlq::run(*command))),
        Some(Action::Listen(options)) => finish(client::block_on(listen::run(*options))),
        Some(Action::Token(command)) => finish(token::run(*command, before.0)),
        Some(Action::Play(options)) => finish(client::play(options)),
        Some(Action::Publish(options)) => finish(client::publish(options)),
        Some(Action::Probe(options)) => match client::probe(options) {
            Ok(report) => print(&report),
            Err(error) => finish(Err(error)),
        },
        Some(Action::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "jackfield", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Some(Action::Man) => man(),
    }
}

fn serve(Serve(flags): Serve) -> ExitCode {
    match Server::load(flags) {
        Ok(server) => finish(server.run().map_err(Into::into)),
        Err(problems) => refuse(&problems),
    }
}

fn check(before: Serve, options: Check) -> ExitCode {
    if options.example {
        return print(&config::example());
    }
    if options.reference {
        return print(&config::reference());
    }
    match Config::load(&before.and(options.serve).0, config::environment()) {
        Ok(config) if options.json => print(&checked(&config.warnings)),
        Err(problems) if options.json => {
            let _printed = print(&checked(&problems));
            ExitCode::from(FAILED)
        }
        Ok(config) => {
            show(&config.warnings);
            if options.print { print(&config.to_toml()) } else { print("The configuration is valid.\n") }
        }
        Err(problems) => refuse(&problems),
    }
}

/// What is wrong, for programs.
fn checked(problems: &Problems) -> String {
    let problem = |told: Told<'_>| {
        let place = told.place;
        json!({
            "severity": told.severity,
            "source": place.map(|place| place.source),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "title": told.title,
            "label": told.label,
            "help": told.help,
        })
    };
    let valid = problems.told().all(|told| told.severity != "error");
    let problems: Vec<Value> = problems.told().map(problem).collect();
    format!("{:#}\n", json!({ "valid": valid, "problems": problems }))
}

/// Prints what is wrong, each with its place.
fn refuse(problems: &Problems) -> ExitCode {
    show(problems);
    eprintln!("\njackfield: {} in the configuration", counted(problems.count()));
    ExitCode::from(FAILED)
}

fn counted(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

fn show(problems: &Problems) {
    let colour = if std::io::stderr().is_terminal() { Colour::Yes } else { Colour::No };
    if problems.count() > 0 {
        eprintln!("{}", problems.render(colour));
    }
}

fn events(options: &Events) -> ExitCode {
    let Some(name) = &options.name else {
        return match (options.json, options.markdown) {
            (true, _) => print(&format!("{:#}\n", catalogue_json())),
            (_, true) => print(&markdown()),
            _ => print(&table()),
        };
    };
    let Some(event) = EventType::parse(name) else {
        let names = EventType::ALL.iter().map(|event| event.name());
        let help = config::nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
        eprintln!("jackfield: unknown event `{name}`{}", help.unwrap_or_default());
        return ExitCode::from(USAGE);
    };
    let spec = event.spec();
    if options.json { print(&format!("{:#}\n", spec.json())) } else { print(&describe(spec)) }
}

/// All events, a line each.
fn table() -> String {
    let line = |event: &EventType| {
        let spec = event.spec();
        format!("{:<22} {:<9} {}\n", spec.name, spec.kind.as_str(), spec.when.trim())
    };
    EventType::ALL.iter().map(line).collect()
}

/// One event: what it is, its fields, an example.
fn describe(spec: &EventSpec) -> String {
    let fails =
        spec.on_error().map_or(String::new(), |policy| format!("\nif its hook fails: {}", policy.word()));
    let mut out =
        format!("{} ({})\n{}{fails}\n\nfields of data:\n", spec.name, spec.kind.as_str(), spec.when.trim());
    for field in spec.fields {
        let optional = if field.optional { "may be absent; " } else { "" };
        out.push_str(&format!(
            "  {:<18} {:<8} {} ({optional}example: {})\n",
            field.name,
            field.json_type,
            field.about.trim(),
            (field.example)()
        ));
    }
    out.push_str(&format!("\nexample:\n{:#}\n", spec.example()));
    out
}

fn man() -> ExitCode {
    match manual::page() {
        Ok(page) => print(&String::from_utf8_lossy(&page)),
        Err(error) => finish(Err(error).context("the manual page")),
    }
}

/// Prints to standard output. A reader that has gone away, as `head` does, is no error.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            finish(Err(error).context("standard output"))
        }
        _ => ExitCode::SUCCESS,
    }
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jackfield: {}", told_once(&error));
            let exit = error.downcast_ref::<Failed>().map_or(Exit::Failed, |failed| failed.exit);
            ExitCode::from(exit.code())
        }
    }
}

/// An error with its causes, but for those that its text has told already.
fn told_once(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
