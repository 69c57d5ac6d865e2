//! The configuration from outside: texts in, merged values or rendered errors out.

use super::source::Source;
use super::*;

mod certificates;
mod print_out;

/// A folder with a program, a text, and a program without its execute bit.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("jackfield-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, text, mode) in [
            ("start.sh", "#!/bin/sh\n", 0o755),
            ("naked.sh", "#!/bin/sh\n", 0o644),
            ("bare.sh", "echo\n", 0o755),
            ("key.txt", "whsec_aHVzaA==\n", 0o600),
        ] {
            let file = path.join(file);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn load_with(
    text: &str,
    base: &Path,
    variables: &[(&str, &str)],
    given: &[(&str, &str)],
) -> Result<Config, Problems> {
    let pairs =
        |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let environment: Vec<(String, String)> = pairs(variables);
    let flags = Flags { config: None, given: pairs(given) };
    let mut loading = Loading::default();
    loading.cx.environment = environment.into_iter().collect();
    loading.text(Source { name: "j.toml".to_owned(), text: text.to_owned(), base: base.to_owned() });
    loading.overrides(&flags);
    loading.finish(None)
}

fn load(text: &str) -> Result<Config, Problems> {
    load_with(text, Path::new(""), &[], &[])
}

/// Each rendered error of the text, in a folder that `@` stands for.
fn check_errors(text: &str, expect: &str) {
    let folder = Folder::new("errors");
    let rendered = load_with(text, &folder.0, &[], &[]).unwrap_err().to_string();
    let rendered = rendered.replace(&folder.0.display().to_string(), "@");
    assert_eq!(rendered.trim(), expect.trim(), "\n{rendered}");
}

#[test]
fn every_error_is_shown_at_once_with_its_place_and_the_nearest_word() {
    check_errors(
        "[rtmp]\nlistn = \":1935\"\nlisten = [\":1935\", \"nope\"]\nchunk_size = \"2MiB\"\n\n[hubb]\n",
        "
error: unknown key `listn`
 --> j.toml:2:1
  |
2 | listn = \":1935\"
  | ^^^^^ [rtmp] has no such key
  |
  = help: did you mean `listen`?

error: `nope` is no address to listen on
 --> j.toml:3:20
  |
3 | listen = [\":1935\", \"nope\"]
  |                    ^^^^^^ write it like `:1935`, `127.0.0.1:1935` or `[::1]:1935`

error: `chunk_size` is out of range
 --> j.toml:4:14
  |
4 | chunk_size = \"2MiB\"
  |              ^^^^^^ must be 128 to 65536

error: unknown table `hubb`
 --> j.toml:6:2
  |
6 | [hubb]
  |  ^^^^ tables are [server] [rtmp] [rtmps] [http] [hub] [security] [api] [events] [deliveries] [metrics] [hooks] [[hook]]
  |
  = help: did you mean `hub`?",
    );
}

/// Loads one line in a table; `expect` is `column: title (label) = help`.
fn check_line(table: &str, line: &str, expect: &str) {
    let problems = load(&format!("{table}\n{line}\n")).expect_err(line);
    let at_line: Vec<&str> = problems.list.iter().map(|problem| problem.title.as_str()).collect();
    let [problem] = problems.list.as_slice() else { panic!("{line}: {at_line:?}") };
    let column = problem.at.as_ref().unwrap().span.start - table.len();
    let help = problem.help.as_ref().map(|help| format!(" = {help}")).unwrap_or_default();
    assert_eq!(format!("{column}: {} ({}){help}", problem.title, problem.label), expect, "{line}");
}

#[test]
fn wrong_types_words_and_ranges_are_refused() {
    let duration = "write it like \"2s\", \"500ms\" or \"1h30m\"";
    check_line(
        "[server]",
        "log_level = \"inof\"",
        "13: unknown word `inof` (must be `error`, `warn`, `info`, `debug` or `trace`) = did you mean `info`?",
    );
    check_line(
        "[server]",
        "log_level = 3",
        "13: expected a string, found an integer (write it like \"text\")",
    );
    check_line("[server]", "data_dir = \"\"", "12: this is no path (must not be empty or have a NUL)");
    check_line(
        "[server]",
        "max_connections = 0",
        "19: `max_connections` is out of range (must be 1 to 1000000)",
    );
    check_line("[server]", "max_connections = -1", "19: the number is negative (must be 0 or more)");
    check_line(
        "[server]",
        "max_connections = 1.5",
        "19: expected an integer, found a float (write it like 10)",
    );
    check_line(
        "[server]",
        "max_connections = 99999999999999999999",
        "19: expected an integer, found an integer beyond 64 bits (write it like 10)",
    );
    check_line("[server]", "drain_timeout = \"2 s\"", &format!("17: this is no duration ({duration})"));
    check_line(
        "[server]",
        "drain_timeout = 2",
        &format!("17: expected a duration, found an integer ({duration})"),
    );
    check_line(
        "[hub]",
        "queue_bytes = \"4 parsecs\"",
        "15: this is no size (write it like \"64KiB\", \"4MiB\" or 65536)",
    );
    check_line(
        "[hub]",
        "queue_bytes = -1",
        "15: this is no size (write it like \"64KiB\", \"4MiB\" or 65536)",
    );
    check_line(
        "[hub]",
        "listen = \":1\"",
        "1: unknown key `listen` ([hub] has no such key) = `listen` is a key of [rtmp]",
    );
    check_line(
        "[hub]",
        "take_over = \"stale\"",
        "1: unknown key `take_over` ([hub] has no such key) = did you mean `takeover`?",
    );
    check_line(
        "[http]",
        "listen = \"of\"",
        "10: `of` is no address to listen on (write it like `:1935`, `127.0.0.1:1935` or `[::1]:1935`)",
    );
    check_line(
        "[security]",
        "trusted_proxies = \"10.0.0.0/33\"",
        "19: `10.0.0.0/33` is no network (write it like `10.0.0.0/8`, `192.0.2.1` or `fd00::/8`)",
    );
    check_line(
        "[hooks]",
        "plain_http = \"yes\"",
        "14: expected a boolean, found a string (write it like true or false)",
    );
    check_line("", "rtmp = 3", "8: expected a table, found an integer (write [rtmp])");
    check_line("", "hook = {}", "1: hooks are a list of tables (write [[hook]])");
    check_line(
        "",
        "listen = 1",
        "1: unknown key `listen` (keys stand in tables) = `listen` is a key of [rtmp]",
    );
}

#[test]
fn text_that_is_not_toml_is_an_error_at_its_place_and_the_rest_is_still_checked() {
    let problems = load("[hub]\ntakeover = \nwait_ms = \"x\"\n").unwrap_err();
    let lines: Vec<String> = problems.lines().collect();
    assert!(lines[0].starts_with("j.toml:2:"), "{lines:?}");
    assert!(lines[0].contains("this is not TOML"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("j.toml:3:11: expected an integer")), "{lines:?}");
}

/// Loads a hook on `publish_start` unless the text says otherwise.
fn check_hook(text: &str, expect: &str) {
    let folder = Folder::new("hooks");
    let problems = load_with(&format!("[[hook]]\n{text}\n"), &folder.0, &[], &[]);
    let lines: Vec<String> = match &problems {
        Err(problems) => problems.lines().collect(),
        Ok(config) => config.warnings.lines().map(|line| format!("warning {line}")).collect(),
    };
    let lines = lines.join("\n").replace(&folder.0.display().to_string(), "@").replace("j.toml:", "");
    assert_eq!(lines, expect, "{text}");
}

#[test]
fn a_hook_has_one_handler_and_only_that_handlers_keys() {
    check_hook(
        "on = \"publish_start\"",
        "1:1: the hook calls nothing (needs one of `run`, `worker`, `url` and `stdio`)",
    );
    check_hook(
        "on = \"publish_start\"\nrun = \"./start.sh\"\nurl = \"https://h\"",
        "4:1: `url` beside `run` (a hook has only one of them)",
    );
    check_hook("run = \"./start.sh\"", "1:1: the hook has no event (needs `on = [\"…\"]`)");
    check_hook("on = []\nrun = \"./start.sh\"", "2:6: `on` is empty (must name an event)");
    check_hook(
        "on = \"publish_start\"\nurl = \"https://h\"\nmin = 1",
        "4:1: `min` has no meaning for `url` (is for `worker`)",
    );
    check_hook(
        "on = \"publish_start\"\nrun = \"./start.sh\"\ncert = \"x\"",
        "4:1: `cert` has no meaning for `run` (is for `url`)",
    );
    check_hook(
        "stdio = \"stdout\"\nformat = \"xml\"",
        "3:10: unknown word `xml` (must be `json`, `ndjson` or `env`)",
    );
    check_hook("stdio = \"stdout\"", "");
    check_hook("on = \"publish_start\"\nrun = \"http-request https://h/x\"\nheaders = { A = \"b\" }", "");
    check_hook(
        "name = \"a b\"\nstdio = \"stdout\"",
        "2:8: `a b` is no name of a hook (1 to 64 of `A-Z a-z 0-9 _ . -`)",
    );
    check_hook(
        "name = \"a\"\nstdio = \"stdout\"\n[[hook]]\nname = \"a\"\nstdio = \"stdout\"",
        "5:8: two hooks are named `a` (must differ)",
    );
    check_hook(
        "worker = \"./start.sh\"\non = \"play_stop\"\nmin = 3\nmax = 2",
        "4:7: `min` is above `max` (must be at most 2)",
    );
}

#[test]
fn events_modes_and_policies_must_fit_together() {
    check_hook(
        "on = [\"publish_strat\"]\nrun = \"./start.sh\"",
        "2:7: unknown event `publish_strat` (`jackfield events` lists them)",
    );
    check_hook(
        "on = \"publish_start\"\nmode = \"decide\"\nrun = \"./start.sh\"",
        "3:8: `publish_start` is a notice: there is nothing to decide (must be `notify`, or absent)",
    );
    check_hook("mode = \"decide\"\nstdio = \"stdout\"", "2:8: `stdio` cannot decide (must be `notify`)");
    check_hook(
        "on = \"publish_start\"\non_error = \"deny\"\nrun = \"./start.sh\"",
        "3:12: `on_error` without a question (nobody waits for this hook)",
    );
    check_hook(
        "on = \"authorize_play\"\nmode = \"notify\"\non_error = \"deny\"\nrun = \"./start.sh\"",
        "4:12: `on_error` without a question (nobody waits for this hook)",
    );
    check_hook(
        "on = \"authorize_play\"\non_error = \"keep\"\nrun = \"./start.sh\"",
        "3:12: `keep` is no answer to `authorize_play` (must be `deny` or `allow`)",
    );
    check_hook(
        "on = \"authorize_play\"\non_error = \"value:live/x\"\nrun = \"./start.sh\"",
        "3:12: a value is no answer to `authorize_play` (must be `deny` or `allow`)",
    );
    check_hook(
        "on = \"resolve_play\"\non_error = \"allow\"\nrun = \"./start.sh\"",
        "3:12: `allow` is no answer to `resolve_play` (must be `deny`, `keep` or `value:KEY`)",
    );
    check_hook(
        "on = \"resolve_play\"\non_error = \"value:../x\"\nrun = \"./start.sh\"",
        "3:12: the stream name has a character that is not allowed (must be a stream key, as `live/show`)",
    );
    check_hook("on = \"resolve_play\"\non_error = \"value:live/x\"\nrun = \"./start.sh\"", "");
    check_hook(
        "on = \"resolve_play\"\non_error = \"dney\"\nrun = \"./start.sh\"",
        "3:12: unknown word `dney` (must be `deny`, `allow`, `keep` or `value:KEY`)",
    );
}

#[test]
fn programs_and_urls_are_checked_before_the_start() {
    let on = "on = \"publish_start\"\n";
    check_hook(&format!("{on}run = \"./strat.sh a\""), "3:7: @/./strat.sh does not exist (no such file)");
    check_hook(
        &format!("{on}run = \"./naked.sh\""),
        "3:7: @/./naked.sh cannot be executed (has no execute bit)",
    );
    check_hook(&format!("{on}run = \"../\""), "3:7: @/../ is a folder (must be a program)");
    check_hook(
        &format!("{on}run = \"no-such-program\""),
        "3:7: `no-such-program` is not in PATH (no such program)",
    );
    check_hook(
        &format!("{on}run = \"./start.sh 'a\""),
        "3:7: a quote is not closed (cannot be split into words)",
    );
    check_hook(&format!("{on}run = []"), "3:7: there is no program (must name a program)");
    check_hook(
        &format!("{on}run = \"./bare.sh\""),
        "warning 3:7: @/./bare.sh may not start (begins neither with `#!` nor as a binary)",
    );
    check_hook(&format!("{on}run = [\"./start.sh\", \"a b\"]"), "");
    check_hook(
        &format!("{on}run = \"./start.sh\"\ncwd = \"none\""),
        "4:7: @/none is no folder (must be a folder)",
    );
    check_hook(
        &format!("{on}run = \"./start.sh\"\nenv = [\"1A=b\"]"),
        "4:8: `1A` is no name of a variable (write it like `NAME`, `AWS_*` or `NAME=value`)",
    );
    check_hook(
        &format!("{on}url = \"https//h\""),
        "3:7: this is no URL of a webhook (must begin with `https://` or `http://` and name a host)",
    );
    check_hook(
        &format!("{on}url = \"htps://h\""),
        "3:7: this is no URL of a webhook (must begin with `https://` or `http://` and name a host)",
    );
    check_hook(
        &format!("{on}url = \"http://example.org\""),
        "3:7: `http://` beyond this machine (anybody on the way could read and answer)",
    );
    check_hook(&format!("{on}url = \"http://127.0.0.1:9000/a\""), "");
    check_hook(&format!("{on}url = \"http://example.org\"\nplain_http = true"), "");
    check_hook(
        &format!("{on}url = \"https://h\"\ncert = \"key.txt\""),
        "4:1: `cert` without `key` (both or neither)",
    );
    check_hook(
        &format!("{on}url = \"https://h\"\nca = \"kye.txt\""),
        "4:6: @/kye.txt does not exist (no such file)",
    );
    check_hook(
        &format!("{on}url = \"https://h\"\nsecret = \"env:NOT_SET\""),
        "4:10: the variable NOT_SET is not set (must be set when the server starts)",
    );
    check_hook(&format!("{on}url = \"https://h\"\nsecret = \"file:key.txt\""), "");
    check_hook(
        &format!("{on}url = \"https://h\"\nsecret = \"ENV:KEY\""),
        "4:10: this is no secret (write it like `env:NAME` or `file:PATH`)",
    );
    check_hook(
        &format!("{on}url = \"https://h\"\nsecret = \"whsec_aHVzaA==\""),
        "warning 4:10: a secret stands in the configuration itself (whoever reads the file has it; `env:NAME` or \
         `file:PATH` keeps it apart)",
    );
    check_hook(
        &format!("{on}url = \"https://h\"\nheaders = {{ \"a b\" = \"c\" }}"),
        "4:13: `a b` is no name of a header (not HTTP)",
    );
}

#[test]
fn hooks_that_can_never_fire_are_named() {
    let idle = |text: &str, why: &str| {
        check_hook(text, &format!("warning 4:11: this hook can never fire ({why})"));
    };
    idle(
        "on = \"connection_close\"\nrun = \"./start.sh\"\nstreams = [\"a\"]",
        "its events are of connections, which have no stream",
    );
    idle("on = \"publish_start\"\nrun = \"./start.sh\"\nstreams = [\"live//a\"]", "no stream key can match");
    idle(
        "on = \"publish_start\"\nrun = \"./start.sh\"\nstreams = [\"a/b\", \"!**\"]",
        "no stream key can match",
    );
    check_hook("on = \"publish_start\"\nrun = \"./start.sh\"\nstreams = [\"!live/test\"]", "");
    check_hook("on = \"publish_start\"\nrun = \"./start.sh\"\nstreams = [\"**\", \"!a\", \"a+*\"]", "");
}

#[test]
fn flags_are_stronger_than_variables_than_the_file_than_defaults() {
    let file = "[rtmp]\nlisten = \":1\"\nchunk_size = 1000\n[hub]\nwait_ms = 1\n";
    let variables = [
        ("JACKFIELD_LISTEN", ":2,[::1]:3"),
        ("JACKFIELD_RTMP__CHUNK_SIZE", "64KiB"),
        ("JACKFIELD_HOOK_TIMEOUT", "3s"),
        ("JACKFIELD_EVENT_TYPE", "x"),
        ("JACKFIELD_TOKEN", "x"),
        ("JACKFIELD_API", "x"),
        ("PATH", "/bin"),
    ];
    let config =
        load_with(file, Path::new(""), &variables, &[("listen", ":4"), ("listen", ":5,:6")]).unwrap();
    let listen: Vec<String> = config.rtmp.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, [":4", ":5", ":6"]);
    assert_eq!(config.rtmp.chunk_size.0, 65536);
    assert_eq!(config.hooks.timeout.as_secs(), 3);
    assert_eq!((config.hub.wait_ms, config.hub.queue_ms), (1, 5000));
    let config = load_with(file, Path::new(""), &variables, &[]).unwrap();
    let listen: Vec<String> = config.rtmp.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, [":2", "[::1]:3"]);
    let off = load_with("", Path::new(""), &[], &[("http-listen", "off")]).unwrap();
    assert!(off.http.listen.0.is_empty());
    // One that is covered is checked all the same.
    assert!(load_with("[rtmp]\nlisten = 3\n", Path::new(""), &[], &[("listen", ":4")]).is_err());
}

#[test]
fn the_variable_of_a_flag_is_stronger_than_that_of_its_key() {
    // Whichever comes first in the alphabet.
    let variables = [
        ("JACKFIELD_LISTEN", ":2"),
        ("JACKFIELD_RTMP__LISTEN", ":3"),
        ("JACKFIELD_HOOK_TIMEOUT", "3s"),
        ("JACKFIELD_HOOKS__TIMEOUT", "4s"),
        ("JACKFIELD_SERVER__LOG_LEVEL", "error"),
        ("JACKFIELD_LOG_LEVEL", "debug"),
    ];
    let config = load_with("[rtmp]\nlisten = \":1\"\n", Path::new(""), &variables, &[]).unwrap();
    assert_eq!(config.rtmp.listen, [":2".parse().unwrap()]);
    assert_eq!(config.hooks.timeout.as_secs(), 3);
    assert_eq!(config.server.log_level, LogLevel::Debug);
}

#[test]
fn what_is_wrong_in_variables_and_flags_is_shown_like_the_file() {
    let variables = [("JACKFIELD_RTMP__LISTE", "secret"), ("JACKFIELD_CHUNK_SIZE", "9")];
    let flags = [("hook-script", "publish_strat=/bin/true"), ("hook-webhook", "nothing")];
    let rendered = load_with("", Path::new(""), &variables, &flags).unwrap_err().to_string();
    let expect = "\
error: unknown variable `JACKFIELD_RTMP__LISTE`
 --> environment:1:1
  |
1 | JACKFIELD_RTMP__LISTE
  | ^^^^^^^^^^^^^^^^^^^^^ sets nothing
  |
  = help: did you mean `JACKFIELD_RTMP__LISTEN`?

error: `chunk_size` is out of range
 --> environment:1:22
  |
1 | JACKFIELD_CHUNK_SIZE=9
  |                      ^ must be 128 to 65536

error: unknown event `publish_strat`
 --> command line:1:15
  |
1 | --hook-script publish_strat=/bin/true --hook-webhook nothing
  |               ^^^^^^^^^^^^^ `jackfield events` lists them
  |
  = help: did you mean `publish_start`?

error: an event and a handler are needed
 --> command line:1:54
  |
1 | --hook-script publish_strat=/bin/true --hook-webhook nothing
  |                                                      ^^^^^^^ write it like EVENT=URL";
    assert_eq!(rendered, expect, "\n{rendered}");
}

#[test]
fn hooks_of_flags_are_named_in_the_order_given_and_decide_questions() {
    let flags = [
        ("hook-script", "publish_start=/bin/true --verbose 'a b'"),
        ("hook-webhook", "authorize_play=http://localhost/x?a=b"),
        ("hook-script", "authorize_publish=/bin/false"),
    ];
    let config = load_with("[[hook]]\nstdio = \"stderr\"\n", Path::new(""), &[], &flags).unwrap();
    let names: Vec<&str> = config.hook.iter().map(|hook| hook.name.as_str()).collect();
    assert_eq!(names, ["hook-1", "script-1", "webhook-1", "script-2"]);
    let Handler::Run { argv, .. } = &config.hook[1].handler else { panic!("a script runs") };
    assert_eq!(argv, &["/bin/true", "--verbose", "a b"]);
    let decides: Vec<bool> =
        config.hook.iter().map(|hook| hook.mode == jackfield_hooks::Mode::Decide).collect();
    assert_eq!(decides, [false, false, true, true]);
    let Handler::Url(webhook) = &config.hook[2].handler else { panic!("a webhook posts") };
    assert_eq!(webhook.url.0, "http://localhost/x?a=b");
}

#[test]
fn a_disabled_hook_is_checked_but_not_there() {
    assert!(load("[[hook]]\nstdio = \"stdout\"\nenabled = false\n").unwrap().hook.is_empty());
    assert!(load("[[hook]]\nenabled = false\n").is_err());
}

#[test]
fn a_queue_holds_for_every_kind_of_hook() {
    let handler = |queue: &str, text: &str| {
        let mut config = load(&format!("[[hook]]\non = \"publish_start\"\n{text}\n{queue}")).unwrap();
        config.hook.remove(0)
    };
    for (text, expect) in [("", None), ("queue = 7", Some(7))] {
        let stdio = handler(text, "stdio = \"stdout\"");
        assert!(
            matches!(stdio.handler, Handler::Stdio { queue, .. } if queue == expect),
            "{:?}",
            stdio.handler
        );
        let worker = handler(text, "worker = \"true\"");
        let waiting = expect.unwrap_or(QUEUE);
        assert!(matches!(worker.handler, Handler::Worker { pool, .. } if pool.queue == waiting));
        assert_eq!(worker.keys.queue, expect);
    }
}

#[test]
fn all_that_is_wrong_with_a_hook_is_told_at_once() {
    let folder = Folder::new("whole");
    let text = "[[hook]]\nname = \"a\"\non = \"publish_start\"\nrun = \"./missing\"\ncwd = \"/no/folder\"\n\
                user = \"nobody-of-this-name\"\n\
                [[hook]]\nname = \"a\"\non = \"publish_start\"\nurl = \"ftp://h\"\nca = \"no.pem\"\n\
                cert = \"nor.pem\"\nsecret = [\"hush\", \"whsec_@\"]\nheaders = { \"a b\" = \"x\", C = \"env:NO\" }\n\
                [[hook]]\non = \"publish_start\"\nworker = \"./missing\"\nmin = 3\nmax = 2\n";
    let problems = load_with(text, &folder.0, &[], &[]).unwrap_err();
    let lines: Vec<String> = problems.lines().map(|line| line.replace("j.toml:", "")).collect();
    for (line, wrong) in [
        (4, "missing does not exist"),
        (5, "/no/folder is no folder"),
        (6, "there is no user `nobody-of-this-name`"),
        (8, "two hooks are named `a`"),
        (10, "this is no URL of a webhook"),
        (11, "no.pem does not exist"),
        (12, "nor.pem does not exist"),
        (12, "`cert` without `key`"),
        (13, "this is no secret"),
        (13, "the secret is empty or no base64"),
        (14, "`a b` is no name of a header"),
        (14, "the variable NO is not set"),
        (17, "missing does not exist"),
        (18, "`min` is above `max`"),
    ] {
        let there = lines.iter().any(|told| told.starts_with(&format!("{line}:")) && told.contains(wrong));
        assert!(there, "{line}: {wrong}\n{lines:#?}");
    }
    assert_eq!(lines.len(), 14, "{lines:#?}");
}

#[test]
fn a_schedule_has_pauses_and_a_hook_begins_where_it_says() {
    let hook = |line: &str| {
        format!("[[hook]]\nname = \"a\"\non = [\"publish_start\"]\nurl = \"https://h/\"\n{line}\n")
    };
    let read = |line: &str| load(&hook(line)).map(|config| config.hook[0].clone());
    let usual = read("").unwrap();
    assert_eq!((usual.id(), usual.keys.schedule.len()), ("a", 9));
    let own = read("id = \"b\"\nschedule = [\"10ms\", \"7d\"]\nfrom = \"2026-01-31T12:00:00Z\"").unwrap();
    assert_eq!((own.id(), own.keys.schedule.len()), ("b", 2));
    let StartWord::At { time, .. } = own.keys.from else { unreachable!("it is a time") };
    assert_eq!(time.seconds(), 1_769_860_800);
    assert_ne!(usual.revision(), own.revision());
    assert_eq!(usual.revision(), read("").unwrap().revision());
    for wrong in [
        "schedule = []",
        "schedule = [\"9ms\"]",
        "schedule = [\"8d\"]",
        "from = \"then\"",
        "from = \"2026-01-31\"",
        "id = \"a/b\"",
        "id = \"\"",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
