//! The tools of hook authors, as far as they need no server: arguments, exit codes, output.

use super::{Folder, jackfield, ran, run};
use serde_json::Value;

#[test]
fn every_tool_has_its_help_and_a_place_in_the_manual_page() {
    let page = run(&["man"]).stdout;
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tools.md")).unwrap();
    for words in [
        &["hooks", "init"][..],
        &["hooks", "test"],
        &["hooks", "conform"],
        &["hooks", "list"],
        &["hooks", "trigger"],
        &["hooks", "enable"],
        &["hooks", "disable"],
        &["tail"],
        &["explain"],
        &["replay"],
        &["dlq", "list"],
        &["dlq", "show"],
        &["dlq", "replay"],
        &["dlq", "drop"],
        &["listen"],
    ] {
        let help = run(&[words, &["--help"]].concat());
        assert_eq!(
            (help.code, help.stdout.contains("--json")),
            (Some(0), true),
            "{words:?}: {}",
            help.stderr
        );
        let title = format!("\\fBjackfield {}\\fR", words.join(" "));
        assert!(page.contains(&title), "{title}");
        assert!(words.iter().all(|word| docs.contains(word)), "{words:?} in docs/tools.md");
    }
    assert!(["JACKFIELD_TOKEN", "NO_COLOR"].iter().all(|word| page.contains(word)));
}

#[test]
fn what_is_typed_wrong_is_2_with_the_nearest_word() {
    for (args, said) in [
        (&["tail", "--type", "publish_strat"][..], "did you mean `publish_start`?"),
        (
            &["listen", "--forward", "http://127.0.0.1:1/", "--type", "plaz_start"],
            "did you mean `play_start`?",
        ),
        (&["listen", "--forward", "http://media.example/"], "--plain-http"),
        (&["tail", "--since", "yesterday"], "how long ago"),
        (&["explain", "live/show"], "s000001"),
        (&["replay"], "--hook"),
        (&["replay", "--hook", "x"], "--since"),
        (&["dlq", "drop"], "which dead letters?"),
        (&["dlq", "replay", "dl_1", "--all"], "cannot be used with"),
        (&["hooks", "conform", "auth"], "./auth"),
        (&["hooks", "list", "--api", "ftp://h"], "http://"),
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_secret_that_is_typed_wrong_is_not_repeated() {
    let refused = run(&["hooks", "list", "--token", "hush hush"]);
    assert_eq!(refused.code, Some(2));
    assert!(!refused.stderr.contains("hush hush"), "{}", refused.stderr);
    let help = ran(jackfield().args(["tail", "--help"]).env("JACKFIELD_TOKEN", "hush").output().unwrap());
    assert!(help.stdout.contains("JACKFIELD_TOKEN") && !help.stdout.contains("hush"), "{}", help.stdout);
}

#[test]
fn a_hook_is_tried_without_a_server() {
    let folder = Folder::new("tried");
    let script = folder.script("deny", "echo said >&2; echo '{\"decision\":\"deny\",\"reason\":\"No.\"}'");
    let tried = run(&["hooks", "test", &script, "--event", "authorize_play", "--json"]);
    let call: Value = serde_json::from_str(&tried.stdout).unwrap_or_else(|_| panic!("{}", tried.stderr));
    assert_eq!(
        (tried.code, &call["verdict"], &call["reason"]["public"]),
        (Some(0), &"deny".into(), &"No.".into())
    );
    assert!(tried.stderr.contains("said"), "{}", tried.stderr);
    let expected = run(&["hooks", "test", &script, "--event", "authorize_play", "--expect", "allow"]);
    assert_eq!(expected.code, Some(1));
    // Nobody reads colours in a file.
    assert!(!expected.stdout.contains('\x1b'), "{}", expected.stdout);
}
