//! The print-out and the example: they read back as what they show, and show no secret.

use super::*;

#[test]
fn the_example_equals_the_defaults_and_the_print_out_reads_back_as_itself() {
    let defaults = load("").unwrap().to_toml();
    assert_eq!(load(&example()).unwrap().to_toml(), defaults);
    assert_eq!(load(&defaults).unwrap().to_toml(), defaults);
    for table in TABLES.iter().chain([&HookTable::SPEC]) {
        for key in table.keys {
            let node = source::parse_value(key.example, 0).expect(key.name);
            let mut cx = Reading::default();
            cx.environment
                .extend(["HOOK_TOKEN", "HOOK_SECRET"].map(|name| (name.to_owned(), "x".to_owned())));
            assert!((key.reads)(&node, &mut cx, key), "{}: {:?}", key.name, cx.problems);
        }
    }
    // Its commented hook is complete: every key is there.
    let keys = HookTable::SPEC.keys.iter().map(|key| format!("# {} = ", key.name));
    for key in keys {
        assert!(example().contains(&key), "{key}");
    }
}

#[test]
fn the_print_out_shows_no_secret() {
    let folder = Folder::new("print");
    let text = "[[hook]]\non = \"publish_start\"\nurl = \"https://u:hush@h/x?token=hush&a=b\"\n\
                secret = [\"whsec_aHVzaA==\", \"env:S\", \"file:key.txt\"]\nheaders = { A = \"hush\", B = \"env:S\" }\n\
                [[hook]]\non = \"publish_start\"\nrun = \"./start.sh\"\nenv = [\"A=hush\", \"B_*\"]\n\
                [[hook]]\non = \"publish_start\"\nrun = \"http-request https://u:hush@h\"\n";
    let flags = [("hook-webhook", "publish_start=https://u:hush@h")];
    let config = load_with(text, &folder.0, &[("S", "hush")], &flags).unwrap();
    let shown = config.to_toml();
    assert!(!shown.contains("hush") && !shown.contains("aHVza"), "{shown}");
    for there in ["env:S", "file:key.txt", "a=b", "\"A=…\"", "\"B_*\"", "https://u:***@h/x?token=***"] {
        assert!(shown.contains(there), "{there}: {shown}");
    }
    let debugged = format!("{config:?}");
    assert!(!debugged.contains("hush") && !debugged.contains("aHVza"), "a panic may show it: {debugged}");
    assert!(!config.warnings.without_text().contains("aHVza"));
}

#[test]
fn the_print_out_of_hooks_reads_back_as_itself() {
    let folder = Folder::new("back");
    let text = "[[hook]]\non = \"publish_*\"\nurl = \"https://h\"\nsecret = \"env:S\"\n\
                [[hook]]\non = \"publish_start\"\nrun = \"./start.sh 'a b'\"\nstdin = \"none\"\n\
                [[hook]]\non = \"publish_start\"\nrun = \"http-request https://h\"\nheaders = { A = \"env:S\" }\n\
                [[hook]]\non = \"authorize_*\"\nworker = \"./start.sh\"\nmax = 2\n\
                [[hook]]\nstdio = \"stdout\"\nformat = \"ndjson\"\n";
    let text = format!("[server]\ndata_dir = \"/d\"\n{text}");
    let shown = load_with(&text, &folder.0, &[("S", "hush")], &[]).unwrap().to_toml();
    let again = load_with(&shown, &folder.0, &[("S", "hush")], &[]);
    assert_eq!(again.unwrap_or_else(|problems| panic!("{problems}\n{shown}")).to_toml(), shown);
}
