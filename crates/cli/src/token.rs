//! `jackfield token`: who else may use the HTTP API. It works on the files in the data folder and needs no running server; one
//! that runs heeds what has changed from its next request on.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use crate::failed::{Exit, Failed, meant};
use crate::paint::{Paint, Tone, cell, head, print};
use jackfield_api::tokens::{NewToken, Scope, StreamPrefix, TokenEntry, TokenError, TokenFile};
use jackfield_runtime::clock;
use jackfield_server::config::{Config, Flags, environment};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it. It is shown this once: only its SHA-256 is kept.
    Create(Create),
    /// List the tokens, without the tokens themselves.
    List(List),
    /// Take a token back: from now on nobody may use it.
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// What it is for, as `list` and the log name it.
    #[arg(long, value_name = "NAME")]
    name: String,

    /// What it may: `read` looks at everything, `operate` changes what runs, `hooks` makes and changes hooks. None implies
    /// another; may be repeated, or a list with commas.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,

    /// For streams under these first parts of their keys only, as `live` or `live/customer-1`. May be repeated. Without it
    /// the token is for everything.
    #[arg(long = "stream-prefix", value_name = "PREFIX", value_delimiter = ',')]
    stream_prefixes: Vec<StreamPrefix>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// The token's name or id.
    #[arg(value_name = "NAME")]
    which: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// As JSON.
    #[arg(long)]
    json: bool,

    /// The server's data folder.
    #[arg(id = "token-data-dir", long = "data-dir", value_name = "PATH")]
    data_dir: Option<PathBuf>,

    /// The server's configuration file, which names the data folder.
    #[arg(id = "token-config", long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what was typed; `before` are the flags before the word `token`.
pub(crate) fn run(command: Token, before: Flags) -> anyhow::Result<()> {
    match command {
        Token::Create(options) => create(options, before),
        Token::List(List { common }) => list(common, before),
        Token::Revoke(Revoke { which, common }) => revoke(&which, common, before),
    }
}

fn create(options: Create, before: Flags) -> anyhow::Result<()> {
    let Create { name, scopes, stream_prefixes, common } = options;
    let json = common.json;
    let file = TokenFile::of(&common.folder(before)?);
    let made = file.create(NewToken { name, scopes, stream_prefixes }, clock::unix_now()).map_err(failed)?;
    let token = made.token.reveal();
    if json {
        let mut shown = shown(&made.entry);
        if let Some(object) = shown.as_object_mut() {
            object.insert("token".to_owned(), token.into());
        }
        print(&format!("{shown:#}\n"))?;
    } else {
        eprintln!(
            "Made {} ({}). This is the only time that the token is shown; a client sends `Authorization: Bearer …`, the tools \
             read JACKFIELD_TOKEN.",
            made.entry.name, made.entry.id
        );
        print(&format!("{token}\n"))?;
    }
    Ok(())
}

fn list(common: Common, before: Flags) -> anyhow::Result<()> {
    let json = common.json;
    let entries = TokenFile::of(&common.folder(before)?).read().map_err(failed)?;
    if json {
        print(&format!("{:#}\n", Value::Array(entries.iter().map(shown).collect())))?;
        return Ok(());
    }
    let mut rows = vec![head(&["ID", "NAME", "SCOPES", "STREAMS", "MADE"])];
    rows.extend(entries.iter().map(row));
    print(&Paint::of_stdout().table(&rows))?;
    if entries.is_empty() {
        eprintln!("There is no token besides the one in admin.token; `jackfield token create` makes one.");
    }
    Ok(())
}

fn revoke(which: &str, common: Common, before: Flags) -> anyhow::Result<()> {
    let json = common.json;
    let file = TokenFile::of(&common.folder(before)?);
    let gone = match file.revoke(which) {
        Err(TokenError::Unknown(_)) => {
            let entries = file.read().map_err(failed)?;
            let meant = meant(which, entries.iter().map(|entry| entry.name.as_str()));
            let next = "`jackfield token list` shows them.";
            return Err(
                Failed::new(Exit::Missing, format!("there is no token `{which}`{meant}"), next).into()
            );
        }
        other => other.map_err(failed)?,
    };
    print(&if json {
        format!("{:#}\n", shown(&gone))
    } else {
        format!("Revoked {} ({}).\n", gone.name, gone.id)
    })?;
    Ok(())
}

fn failed(error: TokenError) -> Failed {
    let exit = match error {
        TokenError::BadName | TokenError::NoScope => Exit::Usage,
        TokenError::Unknown(_) => Exit::Missing,
        _ => Exit::Failed,
    };
    Failed::new(exit, error, "")
}

fn shown(entry: &TokenEntry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.name,
        "scopes": entry.scopes,
        "stream_prefixes": entry.stream_prefixes,
        "created_at": entry.created_at,
    })
}

fn row(entry: &TokenEntry) -> Vec<(Tone, String)> {
    let scopes: Vec<&str> = entry.scopes.iter().map(|scope| scope.as_str()).collect();
    let prefixes: Vec<&str> = entry.stream_prefixes.iter().map(StreamPrefix::as_str).collect();
    let streams = if prefixes.is_empty() { "all".to_owned() } else { prefixes.join(" ") };
    vec![
        (Tone::Faint, entry.id.clone()),
        (Tone::Strong, entry.name.clone()),
        cell(scopes.join(" ")),
        cell(streams),
        (Tone::Faint, entry.created_at.clone()),
    ]
}

impl Common {
    /// The data folder: as typed, or as the configuration has it.
    fn folder(self, before: Flags) -> anyhow::Result<PathBuf> {
        if let Some(folder) = self.data_dir {
            return Ok(folder);
        }
        let flags = Flags { config: self.config.or(before.config), given: before.given };
        let typed = flags.given.iter().rev().find(|(flag, _)| flag == "data-dir");
        if let Some((_, folder)) = typed {
            return Ok(folder.into());
        }
        // Without a file, a variable or the default names it; what else there is in the environment is not our business.
        let named = ["JACKFIELD_CONFIG", "JACKFIELD_DATA_DIR", "JACKFIELD_SERVER__DATA_DIR"];
        let environment = environment()
            .into_iter()
            .filter(|(name, _)| named.contains(&name.as_str()) || !name.starts_with("JACKFIELD_"));
        match Config::load(&flags, environment) {
            Ok(config) => Ok(config.server.data_dir),
            Err(problems) => {
                let next = format!("`--data-dir` names the data folder without it.\n{problems}");
                Err(Failed::new(
                    Exit::Failed,
                    "the configuration is not valid, so the data folder is not known",
                    next,
                )
                .into())
            }
        }
    }
}
