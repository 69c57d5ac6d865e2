//! Every file of `examples/hooks/`, run as its head says.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused, configurations};
use jackfield_e2e::{
    Program, PublisherKind, Receiver, Recording, Reply, SOON, Scratch, Server, ServerBuilder, clip, compare,
    free_port, wait_end,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first build with Go may compile its library.
const LONG: Duration = Duration::from_secs(300);

/// The project's folder, where the heads of the examples are typed.
fn root() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?;
    Ok(root.to_path_buf())
}

/// The comment at the head of an example, without the signs of a comment.
fn head(name: &str) -> Result<Vec<String>> {
    let path = root()?.join("examples/hooks").join(name);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let bare = |line: &str| line.trim_start_matches(['#', '/', '!', ' ', '\t', '"']).to_owned();
    Ok(text.lines().skip(1).take(20).map(bare).collect())
}

/// The command line in the head, typed in the project's folder. Lines that end with a backslash go on.
fn command(name: &str) -> Result<String> {
    let head = head(name)?;
    let first =
        head.iter().position(|line| line.starts_with("jackfield ")).context("no command in the head")?;
    let mut command = String::new();
    for line in head.iter().skip(first) {
        command += line.trim_end_matches('\\');
        if !line.ends_with('\\') {
            break;
        }
    }
    Ok(format!("cd '{}' && {command}", root()?.display()))
}

/// The configuration in the head.
fn configuration(name: &str) -> Result<String> {
    let head = head(name)?;
    let lines = head.iter().skip_while(|line| *line != "[[hook]]");
    let lines: Vec<&str> =
        lines.map(String::as_str).take_while(|line| *line == "[[hook]]" || line.contains(" = ")).collect();
    ensure!(lines.len() > 2, "no configuration in the head of {name}");
    Ok(lines.join("\n"))
}

/// A server with the configuration in the head. The examples' paths begin at the project's folder there.
fn configured(name: &str) -> Result<ServerBuilder> {
    let examples = format!("{}/examples/", root()?.display());
    Ok(Server::builder().config(configuration(name)?.replace("examples/", &examples)))
}

fn refusal<T>(answer: Result<T>) -> Result<String> {
    let refused: Refused = answer.err().context("it was allowed")?.downcast()?;
    Ok(refused.description)
}

fn publish(server: &Server, name: &str) -> Result<Client> {
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish(name)?;
    Ok(client)
}

/// Waits for a line of a script in the log that has all of this.
fn wait_printed(server: &Server, parts: &[&str]) -> Result<()> {
    let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
    server.wait_log("line of a script", SOON, |line| {
        line.message() == "Hook printed" && line.field("line").is_some_and(has_all)
    })?;
    Ok(())
}

#[test]
fn every_example_has_a_test() -> Result<()> {
    let mut names = std::fs::read_dir(root()?.join("examples/hooks"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<String>>>()?;
    names.sort();
    let tested = [
        "README.md",
        "auth-webhook.py",
        "auth-worker.go",
        "auth-worker.js",
        "auth-worker.py",
        "auth-worker.rs",
        "follow.sh",
        "notify-start.sh",
        "record-start.sh",
        "record-stop.sh",
        "rename.sh",
        "worker.sh",
    ];
    ensure!(names == tested, "{names:?}");
    let readme = std::fs::read_to_string(root()?.join("examples/hooks/README.md"))?;
    ensure!(
        tested.iter().skip(1).all(|name| readme.contains(&format!("`{name}`"))),
        "one is not in the README"
    );
    Ok(())
}

#[test]
fn notify_start_posts_to_the_chat_and_notes_the_stream() -> Result<()> {
    let (chat, folder) = (Receiver::start(|_| Reply::status(204))?, Scratch::new()?);
    let notes = folder.path().join("notes.txt");
    let server = Server::builder()
        .line(command("notify-start.sh")?)
        .env("CHAT_WEBHOOK_URL", chat.url("/chat"))
        .env("NOTE_FILE", &notes)
        .start()?;
    let _client = publish(&server, "show")?;
    let post = chat.wait("post", SOON, |request| request.path == "/chat")?;
    let said = "live/show is live, published by 127.0.0.1 (connection c000001)";
    ensure!(post.json() == serde_json::json!({ "content": said }), "{:?}", post.json());
    ensure!(std::fs::read_to_string(&notes)?.trim() == said, "the note differs");
    wait_printed(&server, &[said])?;
    server.stop()?;
    Ok(())
}

#[test]
fn record_start_and_stop_make_a_whole_recording_in_the_background() -> Result<()> {
    let (folder, port, clip) = (Scratch::new()?, free_port()?, clip::lasting(4)?);
    let recordings = folder.path().join("recordings");
    let server = Server::builder()
        .line(command("record-start.sh")?)
        .env("JACKFIELD_LISTEN", format!("127.0.0.1:{port}"))
        .env("MEDIA_URL", format!("rtmp://127.0.0.1:{port}"))
        .env("RECORD_DIR", &recordings)
        .start()?;
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let ended = |hook: &'static str| {
        server.wait_log(&format!("end of {hook}"), SOON, |line| {
            line.message() == "Hook called" && line.field("hook") == Some(hook)
        })
    };
    ensure!(ended("script-1")?.field("outcome") == Some("answered"), "the start script failed");
    let recorder: u32 = std::fs::read_to_string(recordings.join("c000001.pid"))?.trim().parse()?;
    ensure!(publisher.wait(SOON)?.success(), "the publisher failed");
    ensure!(ended("script-2")?.field("outcome") == Some("answered"), "the stop script failed");
    wait_end(recorder, SOON)?;
    ensure!(!recordings.join("c000001.pid").exists(), "the pid file is still there");
    let file = std::fs::read(recordings.join("live_show_1.flv"))?;
    // It begins with the first key frame, and the last pictures are those before the end of the stream.
    compare(clip.recording(), &Recording::parse(&file)?, 75)?;
    wait_printed(&server, &["live/show was live for ", " KiB"])?;
    server.stop()?;
    Ok(())
}

#[test]
fn rename_publishes_under_the_public_name_and_nobody_hears_the_secret() -> Result<()> {
    let folder = Scratch::new()?;
    let keys = folder.file("keys.txt", "s3cr3t show\nother live/other\n")?;
    let line = format!("{} --hook-stdio-format ndjson", command("rename.sh")?);
    let server = Server::builder().line(line).env("KEYS_FILE", keys).start()?;
    let _secret = publish(&server, "s3cr3t")?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/show"))?;
    let _other = publish(&server, "other")?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/other"))?;
    ensure!(refusal(publish(&server, "guess"))? == "Unknown stream key.", "another reason");
    let ended = server.stop()?;
    let printed = ended.events.lines().all();
    ensure!(
        !printed.iter().any(|line| line.contains("s3cr3t") || line.contains("guess")),
        "a secret was told"
    );
    Ok(())
}

#[test]
fn auth_webhook_lets_in_who_has_the_token_and_tells_others_why() -> Result<()> {
    let script = root()?.join("examples/hooks/auth-webhook.py");
    let webhook = Program::new(script).args(["0"]).env("PUBLISH_TOKEN", "open sesame").start()?;
    let url = webhook.stdout().wait("address", SOON, |lines| lines.first().cloned())?;
    let line = command("auth-webhook.py")?;
    ensure!(line.contains("http://127.0.0.1:9000/auth"), "{line}");
    let server = Server::builder().line(line.replace("http://127.0.0.1:9000/auth", &url)).start()?;
    let clip = clip::standard()?;
    let mut wrong = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show?token=wrong"))?;
    ensure!(!wrong.wait(SOON)?.success(), "a wrong token was taken");
    let said = |line: &String| line.contains("Wrong or missing token.");
    wrong.program().stderr().wait("reason", SOON, |lines| lines.iter().any(said).then_some(()))?;
    ensure!(refusal(publish(&server, "show"))? == "Wrong or missing token.", "another reason");
    let _client = publish(&server, "show?token=open%20sesame")?;
    server.stop()?;
    Ok(())
}

/// Publishers and players with the right token and without, at once.
fn let_in_by_token(server: &Server) -> Result<()> {
    let mut source = publish(server, "source?token=letmein")?;
    let clip = clip::standard()?;
    for media in configurations(&clip) {
        source.send(1, &media)?;
    }
    std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn(move || {
                    let token = if number % 2 == 0 { "letmein" } else { "guess" };
                    let published = publish(server, &format!("show-{number}?token={token}")).map(drop);
                    let mut player = Client::connect(server.rtmp(), "live")?;
                    let played = player.play(&format!("source?token={token}")).map(drop);
                    for answer in [published, played] {
                        if number % 2 == 0 {
                            answer?;
                        } else {
                            let reason = refusal(answer)?;
                            ensure!(reason == "Wrong or missing token.", "{reason}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        tries.into_iter().try_for_each(|tried| tried.join().ok().context("a client panicked")?)
    })
}

#[test]
fn auth_worker_in_python_lets_in_who_has_the_token() -> Result<()> {
    let server = configured("auth-worker.py")?.start()?;
    let_in_by_token(&server)?;
    server.stop()?;
    Ok(())
}

#[test]
fn auth_worker_in_javascript_lets_in_who_has_the_token() -> Result<()> {
    let server = configured("auth-worker.js")?.start()?;
    let_in_by_token(&server)?;
    server.stop()?;
    Ok(())
}

/// Those that are built first are not in the examples' folder.
fn let_in_by_what_was_built(name: &str, at: &str, built: &Path) -> Result<()> {
    let config = configuration(name)?;
    let built = format!("\"{}\"", built.display());
    ensure!(config.contains(&format!("\"{at}\"")), "another place in the head of {name}: {config}");
    let server = Server::builder().config(config.replace(&format!("\"{at}\""), &built)).start()?;
    let_in_by_token(&server)?;
    server.stop()?;
    Ok(())
}

#[test]
fn auth_worker_in_go_lets_in_who_has_the_token() -> Result<()> {
    if Program::new("go").args(["version"]).run(SOON).is_err() {
        println!("skipped: no go here");
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let built = scratch.path().join("auth-worker");
    let head = head("auth-worker.go")?;
    let build = head.iter().map(|line| line.trim()).find(|line| line.starts_with("go build"));
    let build = build.context("no `go build` in the head")?;
    let line = build.replace("target/auth-worker-go", &built.display().to_string());
    let ran = Program::new("sh").args(["-c", &line]).cwd(root()?).run(LONG)?;
    ensure!(ran.code == Some(0), "{line}: {}", ran.stderr);
    let_in_by_what_was_built("auth-worker.go", "target/auth-worker-go", &built)
}

#[test]
fn auth_worker_in_rust_lets_in_who_has_the_token() -> Result<()> {
    let build = "cargo build --release --package jackfield-cli --example auth-worker";
    ensure!(head("auth-worker.rs")?.iter().any(|line| line.trim() == build), "another build in the head");
    let built = jackfield_e2e::example("auth-worker")?;
    let_in_by_what_was_built("auth-worker.rs", "target/release/examples/auth-worker", &built)
}

#[test]
fn the_smallest_worker_closes_an_app() -> Result<()> {
    let server = configured("worker.sh")?.start()?;
    let _open = publish(&server, "show")?;
    let mut client = Client::connect(server.rtmp(), "closed")?;
    ensure!(refusal(client.publish("show"))? == "This app is closed.", "another reason");
    let _open = publish(&server, "show-2")?;
    server.stop()?;
    Ok(())
}

#[test]
fn follow_shows_events_by_jq_and_lets_other_lines_pass() -> Result<()> {
    let server = Server::builder().line(command("follow.sh")?).start()?;
    drop(publish(&server, "show")?);
    let printed = server.events().lines();
    for wanted in ["publish_start live/show c000001 ", "publish_stop live/show c000001 client_disconnect"] {
        printed.wait(wanted, SOON, |lines| {
            lines.iter().any(|line| line.trim_end().ends_with(wanted.trim_end())).then_some(())
        })?;
    }
    server.signal(rustix::process::Signal::TERM)?;
    server.wait(SOON)?;

    let script = root()?.join("examples/hooks/follow.sh");
    let mut follow =
        Program::new("sh").args(["-c", "echo \"  another line\" | \"$0\""]).args([script]).start()?;
    ensure!(follow.wait(SOON)?.success(), "it failed");
    follow.stdout().wait_closed("its output", SOON)?;
    ensure!(follow.stdout().all() == ["  another line"], "{:?}", follow.stdout().all());
    Ok(())
}
