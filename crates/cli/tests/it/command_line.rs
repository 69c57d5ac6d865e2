//! Arguments in, text and exit code out.

use super::{Folder, jackfield, ran, run};

#[test]
fn usage_is_2_and_help_and_version_are_0() {
    for args in [
        &["--no-such-flag"][..],
        &["nonsense"],
        &["--log-level", "loud"],
        &["--chunk-size", "1"],
        &["--hook-timeout", "soon"],
        &["--listen", "here"],
        &["--listen"],
        &["events", "publish_strat"],
        &["events", "--json", "--markdown"],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ran.stderr);
    }
    assert!(run(&["events", "publish_strat"]).stderr.contains("did you mean `publish_start`?"));
    for args in [&["--help"][..], &["-help"], &["--version"], &["-version"], &["help", "check"]] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(!ran.stdout.is_empty());
    }
    assert_eq!(run(&["-version"]).stdout, concat!("jackfield ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn one_dash_is_as_good_as_two() {
    let two = run(&["check", "--print", "--listen", ":7", "--log-level=debug", "--hook-plain-http"]);
    let one = run(&["check", "-print", "-listen", ":7", "-log-level=debug", "-hook-plain-http"]);
    assert_eq!((one.code, &one.stdout), (Some(0), &two.stdout));
    assert!(one.stdout.contains("listen = [\":7\"]"));
    // Flags may stand before the subcommand too; those behind it are stronger.
    let before = run(&["-listen", ":7", "-log-level", "error", "check", "-print", "-log-level", "debug"]);
    assert!(before.stdout.contains("listen = [\":7\"]"), "{}", before.stdout);
    assert!(before.stdout.contains("log_level = \"debug\""), "{}", before.stdout);
}

#[test]
fn check_shows_every_error_and_ends_with_1() {
    let folder = Folder::new("check");
    let file = folder.write("jackfield.toml", "[rtmp]\nlistn = \":1\"\n[hub]\nwait_ms = \"x\"\n");
    let bad = run(&["check", "--config", &file, "--hook-script", "publish_start=./missing"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(1), ""));
    for expected in [
        "jackfield.toml:2:1",
        "unknown key `listn`",
        "did you mean `listen`?",
        "jackfield.toml:4:11",
        "command line:1:29",
        "./missing does not exist",
        "3 problems",
    ] {
        assert!(bad.stderr.contains(expected), "{expected}: {}", bad.stderr);
    }
    assert_eq!(run(&["check", "--config", "/no/such/file"]).code, Some(1));
    let served = run(&["--config", &file]);
    assert_eq!((served.code, served.stdout.as_str()), (Some(1), ""));
    let good = folder.write("good.toml", "");
    assert_eq!(run(&["check", "--config", &good]).code, Some(0));
    let warned =
        folder.write("idle.toml", "[[hook]]\non = \"connection_close\"\nstreams = \"a\"\nrun = \"true\"\n");
    let warned = run(&["check", "--config", &warned]);
    assert_eq!(warned.code, Some(0));
    assert!(warned.stderr.contains("warning: this hook can never fire"), "{}", warned.stderr);
}

#[test]
fn check_tells_programs_what_is_wrong_and_where_and_shows_no_text() {
    let folder = Folder::new("check-json");
    let check = |args: &[&str], code| {
        let ran = run(&[&["check", "--json"][..], args].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{args:?}");
        serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap()
    };
    let file = folder.write("jackfield.toml", "[rtmp]\nlistn = \":1\"\n[hub]\nwait_ms = \"hush\"\n");
    let bad = check(&["--config", &file, "--hook-script", "publish_start=./missing"], 1);
    assert!(bad["valid"] == false && !bad.to_string().contains("hush"), "{bad:#}");
    let places: Vec<String> = bad["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            assert_eq!(problem["severity"], "error");
            let source = problem["source"].as_str().unwrap();
            format!("{}:{}:{}", source.rsplit('/').next().unwrap(), problem["line"], problem["column"])
        })
        .collect();
    assert_eq!(places, ["jackfield.toml:2:1", "jackfield.toml:4:11", "command line:1:29"], "{bad:#}");
    assert_eq!(bad["problems"][0]["title"], "unknown key `listn`");
    assert_eq!(bad["problems"][0]["help"], "did you mean `listen`?");
    let nowhere = check(&["--config", "/no/such/file"], 1);
    assert!(nowhere["problems"][0]["line"].is_null(), "{nowhere:#}");
    let good = folder.write("good.toml", "");
    assert_eq!(check(&["--config", &good], 0), serde_json::json!({"valid": true, "problems": []}));
    let odd =
        folder.write("idle.toml", "[[hook]]\non = \"connection_close\"\nstreams = \"a\"\nrun = \"true\"\n");
    let odd = check(&["--config", &odd], 0);
    assert!(odd["valid"] == true && odd["problems"][0]["severity"] == "warning", "{odd:#}");
    assert_eq!(run(&["check", "--json", "--print"]).code, Some(2));
}

#[test]
fn the_example_configuration_is_valid_and_equals_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/jackfield.toml");
    let printed = run(&["check", "--config", file, "--print", "--data-dir", "./jackfield-data"]).stdout;
    assert_eq!(printed, run(&["check", "--print"]).stdout);
}

#[test]
fn variables_configure_and_a_misspelt_one_is_an_error() {
    let with = |name: &str, value: &str| {
        ran(jackfield().args(["check", "--print"]).env(name, value).output().unwrap())
    };
    assert!(with("JACKFIELD_LISTEN", ":9").stdout.contains("listen = [\":9\"]"));
    assert!(with("JACKFIELD_HUB__WAIT_MS", "9").stdout.contains("wait_ms = 9\n"));
    let folder = Folder::new("variable");
    let file = folder.write("j.toml", "[hub]\nwait_ms = 77\n");
    assert!(with("JACKFIELD_CONFIG", &file).stdout.contains("wait_ms = 77\n"));
    let misspelt = with("JACKFIELD_LISTN", "secret");
    assert_eq!(misspelt.code, Some(1));
    assert!(misspelt.stderr.contains("did you mean `JACKFIELD_LISTEN`?"), "{}", misspelt.stderr);
    assert!(!misspelt.stderr.contains("secret"));
    for free in ["JACKFIELD_TOKEN", "JACKFIELD_API", "JACKFIELD_EVENT_TYPE"] {
        assert_eq!(with(free, "x").code, Some(0), "{free}");
    }
}

#[test]
fn the_catalogue_is_shown_as_text_json_and_markdown() {
    let all: serde_json::Value = serde_json::from_str(&run(&["events", "--json"]).stdout).unwrap();
    let all = all.as_array().unwrap();
    assert!(all.iter().all(|event| {
        ["name", "kind", "when", "fields", "example", "on_error"].iter().all(|key| event.get(key).is_some())
    }));
    let table = run(&["events"]).stdout;
    assert_eq!(table.lines().count(), all.len());
    assert!(run(&["events", "publish_start"]).stdout.contains("stream_name"));
    let one: serde_json::Value =
        serde_json::from_str(&run(&["events", "play_stop", "--json"]).stdout).unwrap();
    assert_eq!(one["name"], "play_stop");
}

#[test]
fn the_generated_documents_are_up_to_date() {
    for (file, args) in [
        ("docs/events.md", ["events", "--markdown"]),
        ("docs/configuration.md", ["check", "--reference"]),
        ("examples/jackfield.toml", ["check", "--example"]),
    ] {
        let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
        let there = std::fs::read_to_string(path).unwrap();
        assert!(run(&args).stdout == there, "{file} is out of date: `cargo xtask generate` writes it");
    }
}

#[test]
fn completions_and_the_manual_page_know_the_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(script.stdout.contains("hook-stdio-format"), "{shell}");
    }
    let page = run(&["man"]);
    assert!(page.stdout.contains(".TH jackfield 1"), "{}", page.stdout);
    assert!(page.stdout.contains("hook\\-concurrency"));
    // The subcommands have no pages of their own, so theirs stands here.
    for below in
        ["jackfield check", "\\-\\-print", "jackfield events", "\\-\\-json", "SHELL", ".SH EXIT STATUS"]
    {
        assert!(page.stdout.contains(below), "{below}: {}", page.stdout);
    }
    assert!(!page.stdout.contains("\\-events(1)"), "{}", page.stdout);
}
