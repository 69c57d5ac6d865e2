//! `run` with real programs.

use crate::log::Log;
use crate::{
    Folder, alive, decision, host, nothing_runs, notice, outcome, program, question, run_once, sh, within,
};
use jackfield_events::Decision;
use jackfield_hook_transports::{Cwd, DenialLine, EnvEntry, Inherit, ProgramConfig, RunConfig, StdinOf, run};
use jackfield_hooks::{Outcome, Retry};
use jackfield_media::Text;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

fn with_env(mut config: RunConfig, entries: &[&str]) -> RunConfig {
    config.program.env = entries.iter().map(|entry| EnvEntry::parse(entry).unwrap()).collect();
    config
}

#[tokio::test]
async fn a_program_gets_the_event_as_one_line_and_as_variables() {
    let folder = Folder::new();
    let script = r#"cat > "$OUT/stdin"; printf '%s|%s|%s|%s' "$RTMP_EVENT_TYPE" "$RTMP_STREAM_KEY" "$RTMP_CLIENT_IP" "$JACKFIELD_EVENT_CONN_ID" > "$OUT/env""#;
    let out = format!("OUT={}", folder.path().display());
    let reply = run_once(with_env(sh(script), &[&out]), notice()).await;
    assert_eq!(decision(&reply), Ok(Decision::Pass));
    assert!(reply.pid.is_some());
    let stdin = folder.file("stdin").await;
    assert!(
        stdin.ends_with("}\n") && stdin.lines().count() == 1 && !stdin.contains("deadline_ms"),
        "{stdin}"
    );
    assert_eq!(folder.file("env").await, "publish_start|live/show|203.0.113.7|c000001");
}

#[tokio::test]
async fn a_questions_event_has_its_delivery_fields() {
    let script =
        r#"read -r line; case $line in *'"hook":"test","attempt":1,"deadline_ms":'*) exit 0;; esac; exit 9"#;
    assert_eq!(decision(&run_once(sh(script), question()).await), Ok(Decision::Pass));
}

#[tokio::test]
async fn exit_codes_mean_what_the_contract_says() {
    let ask = async |script: &str| run_once(sh(script), question()).await;
    assert_eq!(decision(&ask("exit 0").await), Ok(Decision::Pass));
    assert_eq!(decision(&ask(r#"echo '{"decision":"allow"}'"#).await), Ok(Decision::Allow));
    assert_eq!(decision(&ask(r#"echo '{"decision":"deny"}'"#).await), Ok(Decision::Deny));
    assert_eq!(outcome(&ask("echo not json").await), Outcome::ProtocolError);
    assert_eq!(
        decision(&ask("echo why >&2; exit 3").await),
        Err((Outcome::HandlerError, "exit code 3: why"))
    );
    assert_eq!(outcome(&ask("exit 75").await), Outcome::HandlerError);
    assert_eq!(decision(&ask("kill -9 $$").await), Err((Outcome::Crashed, "killed by signal 9")));

    let told = async |script: &str| run_once(sh(script), notice()).await.result;
    told("echo not json").await.unwrap();
    assert_eq!(told("exit 75").await.unwrap_err().retry, Retry::Scheduled);
    for script in ["exit 1", "exit 77"] {
        let failure = told(script).await.unwrap_err();
        assert_eq!((failure.outcome, failure.retry), (Outcome::HandlerError, Retry::No));
    }
}

#[tokio::test]
async fn exit_77_denies_with_the_first_error_line_as_reason() {
    let script = r#"printf '  go \033away\nsecond' >&2; exit 77"#;
    let denied = async |denial| {
        let answer = run_once(RunConfig { denial, ..sh(script) }, question()).await.result.unwrap();
        assert_eq!(answer.decision, Decision::Deny);
        answer.reason
    };
    assert_eq!(denied(DenialLine::Text).await.text, Some(Text::from("go away")));
    assert_eq!(denied(DenialLine::Public).await.public, Some(Text::from("go away")));
    let silent = run_once(sh("exit 77"), question()).await.result.unwrap();
    assert_eq!(silent.reason, jackfield_events::Reason::default());
}

#[tokio::test]
async fn a_program_that_never_reads_or_closes_its_input_is_no_error() {
    for script in ["exec 0<&-; sleep 0.05", "true", "sleep 0.05"] {
        assert_eq!(decision(&run_once(sh(script), notice()).await), Ok(Decision::Pass), "{script}");
    }
    let none = RunConfig { stdin: StdinOf::None, ..sh("read -r line && exit 1; exit 0") };
    assert_eq!(decision(&run_once(none, notice()).await), Ok(Decision::Pass));
}

#[tokio::test]
async fn the_environment_is_the_servers_or_nothing_and_what_env_says() {
    let kept = run_once(sh(r#"[ -n "$HOME" ] && [ -n "$PATH" ]"#), notice()).await;
    assert_eq!(decision(&kept), Ok(Decision::Pass));
    let mut config = with_env(sh(r#"[ -z "$HOME" ] && [ "$A" = "b=c" ] && [ -n "$RTMP_TIME" ]"#), &["A=b=c"]);
    config.program.inherit = Inherit::Nothing;
    assert_eq!(decision(&run_once(config, notice()).await), Ok(Decision::Pass));
}

#[tokio::test]
async fn a_program_works_where_it_is_told() {
    let folder = Folder::new();
    let pwd_is = async |cwd: Cwd, test: &str| {
        let mut config = sh(test);
        config.program.cwd = cwd;
        assert_eq!(decision(&run_once(config, notice()).await), Ok(Decision::Pass), "{test}");
    };
    let here = std::env::current_dir().unwrap();
    pwd_is(Cwd::Server, &format!("[ \"$(pwd -P)\" = '{}' ]", here.display())).await;
    pwd_is(Cwd::Folder(folder.path().into()), &format!("[ $(pwd) = {} ]", folder.path().display())).await;
    let out = folder.path().join("private");
    pwd_is(
        Cwd::Private,
        &format!("touch left; pwd > {0}.new; mv {0}.new {0}; [ $(ls -A | wc -l) = 1 ]", out.display()),
    )
    .await;
    let private = folder.file("private").await;
    while std::path::Path::new(private.trim()).exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_answer_does_not_wait_for_a_grandchild_that_holds_stdout() {
    let log = Log::start();
    let folder = Folder::new();
    let go = folder.path().join("go");
    let script = format!(
        r#"printf '{{"decision":"deny"}}'; (until [ -e {} ]; do sleep 0.01; done; echo later; echo still >&2) & exit 0"#,
        go.display()
    );
    let host = host().await;
    let transport = run(sh(&script), &host).unwrap();
    assert_eq!(decision(&transport.call(question()).await), Ok(Decision::Deny));
    // Our ends are still open: what is printed later is logged and does not kill who prints it.
    std::fs::write(go, "").unwrap();
    log.has("later").await;
    log.has("still").await;
}

#[tokio::test]
async fn what_a_finished_program_leaves_in_the_background_lives_past_its_deadline() {
    let log = Log::start();
    let host = host().await;
    let transport = run(sh("sleep 1000 & echo pid $!"), &host).unwrap();
    let call = within(notice(), SHORT);
    let deadline = call.deadline;
    assert_eq!(decision(&transport.call(call).await), Ok(Decision::Pass));
    log.has("pid ").await;
    let text = log.text();
    let pid = text.split("pid ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
    jackfield_runtime::clock::sleep_until(deadline.after(SHORT)).await;
    assert!(alive(pid));
    transport.drain(jackfield_runtime::clock::now()).await;
    assert!(alive(pid));
    host.launcher.end_background(Duration::ZERO).await.unwrap();
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_question_is_answered_at_its_deadline_and_the_program_is_ended_with_its_group() {
    let host = host().await;
    for script in [
        "while :; do sleep 1; done",
        "trap '' TERM; while :; do sleep 1; done",
        "sleep 1000 & sleep 1000 & wait",
        "exec 1>&- 2>&-; sleep 1000",
    ] {
        let transport = run(sh(script), &host).unwrap();
        let call = within(question(), SHORT);
        let deadline = call.deadline;
        let reply = transport.call(call).await;
        assert_eq!(outcome(&reply), Outcome::Timeout, "{script}");
        assert!(jackfield_runtime::clock::now() >= deadline);
        // Ended in the background of the answer; `drain` waits for that.
        transport.drain(deadline.after(crate::LONG)).await;
        nothing_runs(&host).await;
    }
}

#[tokio::test]
async fn programs_that_are_slow_to_end_keep_their_place_until_they_have_ended() {
    let log = Log::start();
    let host = host().await;
    let script = "trap '' TERM; echo ready >&2; while :; do sleep 1; done";
    let transport = run(RunConfig { max_programs: 2, ..sh(script) }, &host).unwrap();
    let short = || async { outcome(&transport.call(within(question(), SHORT)).await) };
    {
        let two = async { tokio::join!(transport.call(question()), transport.call(question())) };
        tokio::pin!(two);
        tokio::select! {
            _ = &mut two => panic!("they never end"),
            () = log.has_times("ready", 2) => {}
        }
    }
    assert_eq!(short().await, Outcome::Overload, "nobody waits for them any more, but both are still there");
    transport.drain(jackfield_runtime::clock::now().after(crate::LONG)).await;
    assert_eq!(short().await, Outcome::Timeout, "both are gone");
    transport.drain(jackfield_runtime::clock::now().after(crate::LONG)).await;
}

#[tokio::test]
async fn a_notices_program_has_ended_when_its_call_has() {
    let host = host().await;
    let transport = run(sh("trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.01; done"), &host).unwrap();
    let reply = transport.call(within(notice(), SHORT)).await;
    assert_eq!(outcome(&reply), Outcome::Timeout);
    assert!(!alive(&reply.pid.unwrap().to_string()));
}

#[tokio::test]
async fn what_the_program_of_a_question_prints_is_logged_without_secrets() {
    let log = Log::start();
    let reply = run_once(sh(r#"echo "no: token=hush&a=1" >&2; exit 1"#), question()).await;
    assert_eq!(decision(&reply), Err((Outcome::HandlerError, "exit code 1: no: token=***&a=1")));
    assert!(log.text().contains("no: token=***&a=1") && !log.text().contains("hush"), "{}", log.text());
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends_its_program() {
    let host = host().await;
    let log = Log::start();
    let transport =
        run(sh("trap 'echo saved; exit' TERM; echo ready >&2; while :; do sleep 0.01; done"), &host).unwrap();
    {
        let call = transport.call(notice());
        tokio::pin!(call);
        tokio::select! {
            _ = &mut call => panic!("it never ends"),
            () = log.has("ready") => {}
        }
    }
    transport.drain(jackfield_runtime::clock::now().after(crate::LONG)).await;
    assert!(log.text().contains("saved"), "it could end in good order");
}

#[tokio::test]
async fn more_than_the_cap_is_a_protocol_error_and_memory_stays_flat() {
    let host = host().await;
    let before = resident_bytes();
    for script in
        ["head -c 1000000000 /dev/zero", "yes", "yes x | tr -d '\\n'", "head -c 70000 /dev/zero; sleep 1000"]
    {
        let transport = run(sh(script), &host).unwrap();
        let reply = transport.call(question()).await;
        assert_eq!(outcome(&reply), Outcome::ProtocolError, "{script}");
        transport.drain(jackfield_runtime::clock::now().after(crate::LONG)).await;
        nothing_runs(&host).await;
    }
    // A notice may say as much as it likes; the log takes what it can. Many times what may be held will do: reading more takes
    // longer than a busy machine has until the deadline.
    for script in ["head -c 200000000 /dev/zero", "yes | head -c 50000000"] {
        let transport = run(sh(script), &host).unwrap();
        assert_eq!(decision(&transport.call(notice()).await), Ok(Decision::Pass), "{script}");
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "{grown}");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn a_program_may_run_as_another_user_in_a_folder_of_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut config = sh(r#"touch mine && [ "$(id -un)" = nobody ]"#);
    config.program.cwd = Cwd::Private;
    config.program.user = Some("nobody".parse().unwrap());
    assert_eq!(decision(&run_once(config, notice()).await), Ok(Decision::Pass));
}

#[tokio::test]
async fn stderr_never_disturbs_the_answer() {
    let script =
        r#"head -c 1048576 /dev/urandom >&2; echo '{"decision":"allow"}'; head -c 1048576 /dev/zero >&2"#;
    assert_eq!(decision(&run_once(sh(script), question()).await), Ok(Decision::Allow));
    let noise = "head -c 1000 /dev/urandom";
    assert_eq!(outcome(&run_once(sh(noise), question()).await), Outcome::ProtocolError);
}

#[tokio::test]
async fn a_program_that_is_gone_is_a_connect_error() {
    let folder = Folder::new();
    let file = folder.path().join("hook.sh");
    std::fs::write(&file, "#!/bin/sh\nexit 0\n").unwrap();
    make_executable(&file);
    let host = host().await;
    let config = ProgramConfig::new("test", vec!["./hook.sh".to_owned()], folder.path().into());
    let transport = run(RunConfig::new(config), &host).unwrap();
    assert_eq!(decision(&transport.call(notice()).await), Ok(Decision::Pass));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(outcome(&transport.call(notice()).await), Outcome::ConnectError);
    std::fs::write(&file, "#!/no/such/interpreter\n").unwrap();
    make_executable(&file);
    assert_eq!(outcome(&transport.call(notice()).await), Outcome::ConnectError);
}

fn make_executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn scripts_of_any_language_are_programs() {
    let answer = r#"{"decision":"deny","reason":{"public":"no"}}"#;
    let python = format!(
        "import sys,json; e=json.load(sys.stdin); assert e['type']=='authorize_publish'; print('{answer}')"
    );
    let node = format!(
        "const e=JSON.parse(require('fs').readFileSync(0)); if(e.type!=='authorize_publish')process.exit(1); console.log('{answer}')"
    );
    let bash = format!("read -r e; [[ $e == *authorize_publish* ]] && echo '{answer}'");
    let dash = format!("read -r e; case $e in *authorize_publish*) echo '{answer}';; esac");
    let programs =
        [["python3", "-c", &python], ["node", "-e", &node], ["bash", "-c", &bash], ["dash", "-c", &dash]];
    for words in programs {
        let reply = run_once(program(words), question()).await;
        assert_eq!(decision(&reply), Ok(Decision::Deny), "{words:?}");
    }
}

#[tokio::test]
async fn many_calls_at_once_leave_nothing_behind() {
    let host = host().await;
    let transport = run(sh("cat >/dev/null; echo; exit 0"), &host).unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    transport.call(notice()).await.result.unwrap();
    let before = descriptors();
    for _ in 0..10 {
        let calls = (0..20).map(|_| transport.call(notice()));
        for reply in futures_util::future::join_all(calls).await {
            reply.result.unwrap();
        }
    }
    while host.tasks.count() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(descriptors() <= before, "{} after {before}", descriptors());
}
