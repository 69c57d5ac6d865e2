//! The configuration: read from flags, environment, file and defaults, in that order of strength; checked
//! whole, with every error at its place.
//!
//! The module `tables` says what there is; everything else follows from it: reading, ranges, flags, variables, the
//! merged print-out, the reference and the example.

mod api_hook;
mod certificates;
mod hook;
mod kinds;
mod overrides;
mod problem;
mod program;
mod reference;
mod source;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod value;
mod veil;

pub use api_hook::FieldProblem;
pub(crate) use api_hook::runs_program;
pub use hook::{Cwd, EnvironmentFrom, Handler, Hook, HookOrigin, PoolSize, ProgramPlace, QUEUE, Webhook};
pub use kinds::{
    ApiOrigins, Command, EventNames, FsyncWord, Headers, ListenOrOff, OnErrorWord, ProxyNetwork, Secret,
};
pub use kinds::{SecretRef, SigningSecret, SpareWord, StartWord, Url, Variable};
pub use overrides::{Arity, FlagSpec, Flags, flags};
pub use problem::{Colour, Place, Problems, Told, nearest};
pub use reference::{example, reference};
pub use tables::{
    ApiTable, DeliveriesTable, EventsTable, HookTable, HooksTable, HttpTable, HubTable, MetricsTable,
    RtmpTable, RtmpsTable, SecurityTable, ServerTable,
};
pub use tables::{
    LogFormat, LogLevel, ModeWord, StdinWord, StdioForm, StdioTarget, TakeoverWord, TlsVersionWord,
};

use problem::{Problem, Severity};
use source::{At, Entry, Node, Raw, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use table::{Given, Table, TableSpec};
use value::Reading;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: ServerTable,
    /// `[rtmp]`.
    pub rtmp: RtmpTable,
    /// `[rtmps]`, or each `[[rtmps]]`; never none.
    pub rtmps: Vec<RtmpsTable>,
    /// `[http]`.
    pub http: HttpTable,
    /// `[hub]`.
    pub hub: HubTable,
    /// `[security]`.
    pub security: SecurityTable,
    /// `[api]`.
    pub api: ApiTable,
    /// `[events]`.
    pub events: EventsTable,
    /// `[deliveries]`.
    pub deliveries: DeliveriesTable,
    /// `[metrics]`.
    pub metrics: MetricsTable,
    /// `[hooks]`.
    pub hooks: HooksTable,
    /// Hooks of the file, then those of flags, in the order given. Disabled ones are not among them.
    pub hook: Vec<Hook>,
    /// The variables whose values are secrets of hooks: kept back from programs.
    pub secret_variables: Vec<String>,
    /// What is odd, but no error.
    pub warnings: Problems,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// The tables with one of each, and `[rtmps]`, which may repeat; `[[hook]]` always does.
const TABLES: [TableSpec; 11] = [
    ServerTable::SPEC,
    RtmpTable::SPEC,
    RtmpsTable::SPEC,
    HttpTable::SPEC,
    HubTable::SPEC,
    SecurityTable::SPEC,
    ApiTable::SPEC,
    EventsTable::SPEC,
    DeliveriesTable::SPEC,
    MetricsTable::SPEC,
    HooksTable::SPEC,
];

/// The environment as text; what is not UTF-8 cannot be configuration and is left out.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The table that has this key.
fn table_with(key: &str) -> Option<&'static str> {
    let named = TABLES.iter().find(|table| table.keys.iter().any(|spec| spec.name == key));
    named.map(|table| match table.name {
        "server" => "[server]",
        "rtmp" => "[rtmp]",
        "rtmps" => "[rtmps]",
        "http" => "[http]",
        "hub" => "[hub]",
        "security" => "[security]",
        "api" => "[api]",
        "events" => "[events]",
        "deliveries" => "[deliveries]",
        "metrics" => "[metrics]",
        _ => "[hooks]",
    })
}

/// The key of some table that was probably meant.
fn nearest_key(word: &str) -> Option<String> {
    let keys = TABLES.iter().flat_map(|table| table.keys).map(|key| key.name);
    let near = nearest(word, keys)?;
    Some(format!("did you mean `{near}` of {}?", table_with(near)?))
}

impl Config {
    /// Reads flags, environment and the file that they name.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let file = flags.config.clone().or_else(|| environment.get("JACKFIELD_CONFIG").map(PathBuf::from));
        let mut loading = Loading { cx: Reading { environment, ..Reading::default() }, ..Loading::default() };
        if let Some(path) = &file {
            loading.file(path);
        }
        loading.overrides(flags);
        loading.finish(file)
    }
}

impl Config {
    /// The tables whose changes need a restart and that are not the same in the other configuration.
    #[must_use]
    pub fn tables_that_differ(&self, other: &Self) -> Vec<&'static str> {
        let tables = [
            ("[server]", self.server != other.server),
            ("[rtmp]", self.rtmp != other.rtmp),
            ("[rtmps]", !self.rtmps.iter().map(fixed).eq(other.rtmps.iter().map(fixed))),
            ("[http]", fixed_of_http(&self.http) != fixed_of_http(&other.http)),
            ("[hub]", self.hub != other.hub),
            ("[security]", self.security != other.security),
            ("[api]", self.api.cors != other.api.cors),
            ("[events]", self.events != other.events),
            ("[deliveries]", self.deliveries != other.deliveries),
            ("[metrics]", self.metrics != other.metrics),
        ];
        tables.into_iter().filter(|(_, differs)| *differs).map(|(table, _)| table).collect()
    }
}

/// Certificates are read again by a reload.
fn fixed(table: &RtmpsTable) -> RtmpsTable {
    RtmpsTable { cert: Vec::new(), key: Vec::new(), ..table.clone() }
}

fn fixed_of_http(table: &HttpTable) -> HttpTable {
    HttpTable { cert: Vec::new(), key: Vec::new(), ..table.clone() }
}

/// What was given so far.
#[derive(Debug, Default)]
struct Loading {
    cx: Reading,
    /// By the table's name.
    tables: BTreeMap<&'static str, Given>,
    /// Those of a second `[[rtmps]]` and later.
    more_rtmps: Vec<Given>,
    hooks: Vec<(Given, HookOrigin)>,
}

impl Loading {
    fn file(&mut self, path: &Path) {
        match source::read_file(path) {
            Ok(source) => self.text(source),
            Err(error) => self.cx.problems.push(Problem {
                severity: Severity::Error,
                at: None,
                title: format!("cannot read the configuration {}", path.display()),
                label: error,
                help: None,
            }),
        }
    }

    fn text(&mut self, source: Source) {
        let text = source.text.clone();
        let number = self.cx.sources.add(source);
        let (entries, errors) = source::parse(&text, number);
        for error in errors {
            let _none: Option<()> = self.cx.refuse(&error.at, "this is not TOML", error.message);
        }
        for entry in entries {
            self.table(entry);
        }
    }

    fn table(&mut self, entry: Entry) {
        if entry.key == "hook" {
            return self.hook_tables(entry);
        }
        let Some(spec) = TABLES.iter().find(|table| table.name == entry.key) else {
            return self.refuse_table(&entry);
        };
        match entry.value.raw {
            Raw::Table(keys) => {
                self.tables.insert(spec.name, Given::new(Some(entry.key_at), keys));
            }
            Raw::List(tables) if spec.name == RtmpsTable::SPEC.name => self.rtmps_tables(tables),
            other => {
                let title = format!("expected a table, found {}", other.kind());
                let _none: Option<()> =
                    self.cx.refuse(&entry.value.at, title, format!("write {}", spec.title()));
            }
        }
    }

    /// The first stands where flags and variables find it.
    fn rtmps_tables(&mut self, tables: Vec<Node>) {
        let mut given = Vec::new();
        for table in tables {
            match table.raw {
                Raw::Table(keys) => given.push(Given::new(Some(table.at), keys)),
                other => {
                    let title = format!("expected a table, found {}", other.kind());
                    let _none: Option<()> = self.cx.refuse(&table.at, title, "write [[rtmps]]");
                }
            }
        }
        let mut given = given.into_iter();
        if let Some(first) = given.next() {
            self.tables.insert(RtmpsTable::SPEC.name, first);
        }
        self.more_rtmps.extend(given);
    }

    fn hook_tables(&mut self, entry: Entry) {
        let Raw::List(tables) = entry.value.raw else {
            let _none: Option<()> =
                self.cx.refuse(&entry.key_at, "hooks are a list of tables", "write [[hook]]");
            return;
        };
        for table in tables {
            match table.raw {
                Raw::Table(keys) => self.hooks.push((Given::new(Some(table.at), keys), HookOrigin::File)),
                other => {
                    let title = format!("expected a table, found {}", other.kind());
                    let _none: Option<()> = self.cx.refuse(&table.at, title, "write [[hook]]");
                }
            }
        }
    }

    fn refuse_table(&mut self, entry: &Entry) {
        let is_table = matches!(entry.value.raw, Raw::Table(_) | Raw::List(_));
        let names = TABLES.iter().map(|table| table.name).chain(["hook"]);
        let (what, label) = if is_table {
            (
                "table",
                "tables are [server] [rtmp] [rtmps] [http] [hub] [security] [api] [events] [deliveries] [metrics] [hooks] [[hook]]",
            )
        } else {
            ("key", "keys stand in tables")
        };
        let title = format!("unknown {what} `{}`", entry.key);
        let help = match table_with(&entry.key) {
            Some(table) => Some(format!("`{}` is a key of {table}", entry.key)),
            None => match nearest(&entry.key, names) {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => nearest_key(&entry.key),
            },
        };
        self.cx.note(Severity::Error, &entry.key_at, title, label, help);
    }

    fn finish(mut self, file: Option<PathBuf>) -> Result<Config, Problems> {
        let cx = &mut self.cx;
        for spec in &TABLES {
            let given = self.tables.entry(spec.name).or_default();
            given.refuse_unknown(spec, table_with, cx);
        }
        let given = |name| self.tables.get(name).expect("invariant: every table has an entry");
        let server = ServerTable::read(given("server"), cx);
        let rtmp = RtmpTable::read(given("rtmp"), cx);
        let rtmps = read_rtmps(given("rtmps"), &self.more_rtmps, cx);
        let http = HttpTable::read(given("http"), cx);
        certificates::check_http(given("http"), &http, &rtmps, cx);
        let hub = HubTable::read(given("hub"), cx);
        let security = SecurityTable::read(given("security"), cx);
        let api = ApiTable::read(given("api"), cx);
        let events = EventsTable::read(given("events"), cx);
        let deliveries = DeliveriesTable::read(given("deliveries"), cx);
        let metrics = MetricsTable::read(given("metrics"), cx);
        let hooks = HooksTable::read(given("hooks"), cx);
        let hook = read_hooks(&self.hooks, hooks.plain_http, cx);
        let secret_variables = self.cx.secret_variables.into_iter().collect();
        let mut problems = Problems { sources: self.cx.sources, list: self.cx.problems };
        problems.list.sort_by_key(|problem| problem.at.as_ref().map(|at| (at.source, at.span.start)));
        if problems.list.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        let warnings = problems.of(Severity::Warning);
        Ok(Config {
            server,
            rtmp,
            rtmps,
            http,
            hub,
            security,
            api,
            events,
            deliveries,
            metrics,
            hooks,
            hook,
            secret_variables,
            warnings,
            file,
        })
    }
}

/// Reads every `[[rtmps]]`.
fn read_rtmps(first: &Given, more: &[Given], cx: &mut Reading) -> Vec<RtmpsTable> {
    let mut tables = vec![RtmpsTable::read(first, cx)];
    certificates::check_rtmps(first, &tables, cx);
    for given in more {
        given.refuse_unknown(&RtmpsTable::SPEC, table_with, cx);
        tables.push(RtmpsTable::read(given, cx));
        certificates::check_rtmps(given, &tables, cx);
    }
    tables
}

/// Reads all hooks; their names must differ.
fn read_hooks(given: &[(Given, HookOrigin)], plain_http: bool, cx: &mut Reading) -> Vec<Hook> {
    let mut hooks: Vec<Hook> = Vec::new();
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for (index, (given, origin)) in given.iter().enumerate() {
        let (name, hook) = hook::read(given, index + 1, *origin, plain_http, cx);
        let at: Option<At> = given.value("name").map(|value| value.at.clone()).or(given.at.clone());
        let is_new = names.insert(name.clone());
        if let (Some(at), false) = (at, is_new) {
            let title = format!("two hooks are named `{name}`");
            let _none: Option<()> = cx.refuse(&at, title, "must differ");
        }
        if let Some(hook) = hook.as_ref().filter(|_| is_new) {
            let at = given.value("id").map(|value| value.at.clone()).or(given.at.clone());
            if let (Some(at), false) = (at, ids.insert(hook.id().to_owned())) {
                let title = format!("two hooks have the id `{}`", hook.id());
                let _none: Option<()> = cx.refuse(&at, title, "must differ");
            }
        }
        hooks.extend(hook);
    }
    hooks.retain(|hook| hook.keys.enabled);
    let secrets: Vec<String> = cx.secret_variables.iter().cloned().collect();
    for hook in &mut hooks {
        if let Handler::Run { place, .. } | Handler::Worker { place, .. } = &mut hook.handler {
            place.kept_back.clone_from(&secrets);
        }
    }
    hooks
}
