//! What users of the event-hook specification type, and what their scripts do: as written there, with the binary's name.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Clip, Program, PublisherKind, Receiver, Recording, Reply, SOON, Scratch, Server, all_cases, clip,
    compare, fixture, free_port, server, wait_end,
};
use std::path::Path;
use std::time::Duration;

/// The path of a hook in the fixtures, as text.
fn hook(name: &str) -> Result<String> {
    Ok(fixture(&format!("hooks/{name}"))?.display().to_string())
}

/// What the stop script does to the recorder.
#[derive(Clone, Copy, PartialEq)]
enum Kill {
    /// It is killed in any case, but has had time to read the end of the stream.
    AfterTheEnd,
    /// It is killed at once, and may have read a little less.
    AtOnce,
}

/// Checks that the recording has every picture of the clip from the first on, and its sound.
fn is_whole(clip: &Clip, file: &Path, kill: Kill) -> Result<()> {
    let got = Recording::parse(&std::fs::read(file).with_context(|| file.display().to_string())?)?;
    let source = clip.recording();
    // Sound before the first picture is not the player's. Killed in a hurry, it misses what it had not read.
    let unread = if kill == Kill::AtOnce { 10 } else { 0 };
    let found = compare(source, &got, source.video.units.len() - unread)?;
    ensure!(found.first == 0, "from picture {} on", found.first);
    let missing = source.audio.units.len() - got.audio.units.len();
    ensure!(missing <= 10 + 2 * unread, "{missing} units of sound are missing");
    let last = |recording: &Recording| recording.audio.units.last().map(|unit| unit.hash);
    ensure!(kill == Kill::AtOnce || last(source) == last(&got), "the end of the sound is missing");
    Ok(())
}

/// Serves with this flag for the port and these scripts, publishes a clip to its end, and looks at everything that the
/// two scripts leave.
fn record(listen: &str, seconds: u32, timeout: &str, kill: Kill) -> Result<()> {
    let clip = clip::lasting(seconds)?;
    let chat = Receiver::start(|_| Reply::status(204))?;
    let (recordings, port) = (Scratch::new()?, free_port()?);
    let (start, stop) = (hook("notify-start.sh")?, hook("cleanup.sh")?);
    let server = Server::builder()
        .line(format!(
            "jackfield {listen} :{port} --hook-script publish_start={start} --hook-script publish_stop={stop} \
             --hook-timeout {timeout}"
        ))
        .env("DISCORD_WEBHOOK_URL", chat.url("/chat"))
        .env("RECORDINGS", recordings.path())
        .env("MEDIA_PORT", port.to_string())
        .env("HURRY", if kill == Kill::AtOnce { "1" } else { "" })
        .start()?;
    ensure!(server.rtmp().port() == port);

    let url = format!("rtmp://127.0.0.1:{port}/live/show");
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &url)?;
    let content = |what: &str| {
        let says = |text: &str| text.starts_with("live/show") && text.contains(what);
        chat.wait(what, SOON, |request| request.json()["content"].as_str().is_some_and(says))
    };
    content("is live")?;
    let note = server.wait_log("note of the start script", SOON, |line| {
        line.field("line").or(line.field("text")).unwrap_or(line.message()).contains("Recording started")
    });
    note?;
    let named = |end: &str| {
        let files = std::fs::read_dir(recordings.path())?.map(|file| Ok(file?.path()));
        let files: Vec<_> = files.collect::<Result<_>>()?;
        files.into_iter().find(|file| file.to_string_lossy().ends_with(end)).with_context(|| end.to_owned())
    };
    let recorder: u32 = std::fs::read_to_string(named(".pid")?)?.trim().parse()?;

    let status = publisher.wait(Duration::from_secs(u64::from(seconds)) + SOON)?;
    ensure!(status.success(), "the publisher:{}", publisher.program().last_words());
    let said = content("was live for")?.json()["content"].as_str().unwrap_or_default().to_owned();
    let numbers: Vec<u64> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
    let &[duration, kib] = numbers.as_slice() else { anyhow::bail!("no two numbers in: {said}") };
    let size = std::fs::metadata(clip.path())?.len() / 1024;
    ensure!(
        duration.abs_diff(u64::from(seconds)) <= 2 && kib > size / 2 && kib <= size,
        "{said}, {size} KiB"
    );

    wait_end(recorder, SOON).context("the recorder")?;
    ensure!(named(".pid").is_err(), "the stop script ends by removing the pid file");
    is_whole(&clip, &named(".flv")?, kill).context(std::fs::read_to_string(named(".log")?)?)?;
    let ended = server.stop()?;
    ensure!(ended.events.lines().is_empty(), "standard output belongs to events, and none were asked for");
    Ok(())
}

#[test]
fn a_recording_that_a_start_script_leaves_in_the_background_is_whole() -> Result<()> {
    let (seconds, timeout) = if all_cases() { (25, "5s") } else { (5, "2s") };
    record("--listen", seconds, timeout, Kill::AfterTheEnd)
}

#[test]
fn a_single_dash_is_as_good_as_two() -> Result<()> {
    record("-listen", 3, "30s", Kill::AtOnce)
}

#[test]
fn a_processor_finds_events_by_their_prefix_and_passes_on_other_lines() -> Result<()> {
    let (port, processor) = (free_port()?, hook("processor.sh")?);
    let line = format!(
        "{{ echo 'Good morning'; jackfield --listen :{port} --hook-stdio-format json; }} | {processor}"
    );
    let server = Server::builder().line(line).start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    publisher.unpublish(stream, "show")?;
    let says = |text: &str| {
        server.events().lines().wait(text, SOON, |lines| lines.iter().find(|line| *line == text).cloned())
    };
    says("Stream live/show ended")?;
    drop(publisher);
    says("Event connection_close")?;
    let lines = server.events().lines().all();
    let expect = [
        "Good morning",
        "Event connection_accept",
        "Event handshake_complete",
        "Event stream_create",
        "Stream live/show started by c000001",
        "Stream live/show ended",
        "Event stream_delete",
        "Event connection_close",
    ];
    ensure!(lines == expect, "{lines:#?}");
    server.signal(rustix::process::Signal::TERM)?;
    ensure!(server.wait(SOON)?.status.success());
    Ok(())
}

#[test]
fn scripts_webhooks_and_standard_output_get_the_same_event() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(200))?;
    let (folder, port) = (Scratch::new()?, free_port()?);
    let notes = folder.path().join("notes");
    let (show, url) = (hook("show.sh")?, receiver.url("/hook"));
    let server = Server::builder()
        .line(format!(
            "jackfield --listen :{port} --hook-script publish_start={show} --hook-webhook publish_start={url} \
             --hook-stdio-format json"
        ))
        .env("NOTES", &notes)
        .env("DISCORD_WEBHOOK_URL", "https://chat.example/hook")
        .env("JACKFIELD_TOKEN", "kept back")
        .start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    publisher.publish("show?token=abc&camera=2")?;

    let printed = server.events().wait_for("publish_start", SOON, |_| true)?;
    let posted = receiver.wait("publish_start", SOON, |request| request.event().is_some())?;
    ensure!(&posted.json() == printed.json(), "{} is not {}", posted.json(), printed.json());
    let id = printed.json()["id"].as_str().context("no id")?;
    ensure!(posted.header("webhook-id") == Some(id) && posted.header("webhook-timestamp").is_some());
    ensure!(posted.header("content-type") == Some("application/json"));
    drop(publisher);
    server.stop()?;

    // The stop has waited for the script.
    let notes = std::fs::read_to_string(&notes)?;
    let input = notes.lines().find_map(|line| line.strip_prefix("input ")).context("no input")?;
    ensure!(&serde_json::from_str::<serde_json::Value>(input)? == printed.json(), "{input}");
    let of_events = notes.lines().filter(|line| line.contains("RTMP_") || line.contains("JACKFIELD_"));
    let events = of_events.collect::<Vec<_>>().join("\n");
    for variable in [
        "RTMP_EVENT_TYPE=publish_start",
        "RTMP_STREAM_KEY=live/show",
        "JACKFIELD_EVENT_STREAM_KEY=live/show",
        "RTMP_CONN_ID=c000001",
        "RTMP_CLIENT_IP=127.0.0.1",
        "RTMP_QUERY=token=***&camera=2",
        &format!("RTMP_ID={id}"),
        "DISCORD_WEBHOOK_URL=https://chat.example/hook",
    ] {
        ensure!(
            notes.lines().any(|line| line == format!("variable {variable}")),
            "no {variable} in {events}"
        );
    }
    ensure!(notes.contains("variable PATH="), "no PATH");
    ensure!(!notes.contains("JACKFIELD_LISTEN") && !notes.contains("JACKFIELD_TOKEN"), "{events}");
    Ok(())
}

#[test]
fn a_script_has_the_arguments_that_stand_behind_its_path() -> Result<()> {
    let folder = Scratch::new()?;
    let notes = folder.path().join("notes");
    let show = hook("show.sh")?;
    // A path as it is typed: relative to where the server was started, and nothing in it expands.
    let scripts = Scratch::new()?;
    std::os::unix::fs::symlink(&show, scripts.path().join("my hook.sh"))?;
    let server = Server::builder()
        .arg("--hook-script")
        .arg(format!(
            "stream_create='{}/my hook.sh' --verbose 'two words' \"\" $HOME *",
            scripts.path().display()
        ))
        .env("NOTES", &notes)
        .start()?;
    Client::connect(server.rtmp(), "live")?.publish("show")?;
    server.stop()?;
    let notes = std::fs::read_to_string(&notes)?;
    let arguments: Vec<&str> = notes.lines().filter_map(|line| line.strip_prefix("argument ")).collect();
    ensure!(arguments == ["--verbose", "two words", "", "$HOME", "*"], "{arguments:?}");
    Ok(())
}

#[test]
fn the_stop_script_starts_when_the_start_script_has_ended() -> Result<()> {
    let folder = Scratch::new()?;
    let notes = folder.path().join("notes");
    let late = hook("late.sh")?;
    let quick = folder.script(
        "quick.sh",
        "#!/bin/dash\necho \"$RTMP_EVENT_TYPE $RTMP_STREAM_KEY $RTMP_REASON\" >>$NOTES\n",
    )?;
    let server = Server::builder()
        .args(["--hook-script", &format!("publish_start={late}")])
        .args(["--hook-script", &format!("publish_stop={}", quick.display())])
        .env("NOTES", &notes)
        .env("LATE", "0.5")
        .start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    publisher.unpublish(stream, "show")?;
    server.events().wait_for("publish_stop", SOON, |_| true)?;
    server.stop()?;
    let notes = std::fs::read_to_string(&notes)?;
    ensure!(notes == "publish_start live/show \npublish_stop live/show unpublish\n", "{notes}");
    Ok(())
}

/// Runs the server with arguments that it should refuse or only answer: exit code, standard output and error.
fn outcome(folder: &Scratch, args: &[&str]) -> Result<(Option<i32>, String, String)> {
    let program = Program::new(server()?).args(["--listen", "127.0.0.1:0", "--http-listen", "off"]);
    let done = program.args(args.iter().copied()).cwd(folder.path()).run(SOON)?;
    Ok((done.code, done.stdout, done.stderr))
}

#[test]
fn what_cannot_work_is_refused_at_the_start_with_the_nearest_word() -> Result<()> {
    let folder = Scratch::new()?;
    folder.script("notify.sh", "#!/bin/sh\n")?;
    folder.file("plain.sh", "#!/bin/sh\n")?;
    std::fs::create_dir(folder.path().join("hooks"))?;
    let cases: [(&[&str], &[&str]); 11] = [
        (&["--hook-script", "publish_start=./notfy.sh"], &["does not exist", "notify.sh"]),
        (&["--hook-script", "publish_start=./hooks"], &["is a folder"]),
        (&["--hook-script", "publish_start=./plain.sh"], &["cannot be executed", "chmod +x"]),
        (&["--hook-script", "publish_start=no-such-program"], &["is not in PATH"]),
        (&["--hook-script", "publish_strat=./notify.sh"], &["publish_strat", "publish_start"]),
        (&["--hook-script", "./notify.sh"], &["an event and a handler are needed"]),
        (&["--hook-webhook", "publish_stop=htps://chat.example/hook"], &["no URL", "https"]),
        (&["--hook-webhook", "publish_stop=chat.example"], &["no URL"]),
        (&["--hook-webhook", "publish_stop=http://chat.example/hook"], &["http://", "--hook-plain-http"]),
        (&["--hook-webhook", "connection_clos=https://chat.example/"], &["connection_close"]),
        (&["--config", "./nowhere.toml"], &["nowhere.toml"]),
    ];
    for (args, words) in cases {
        let (code, stdout, stderr) = outcome(&folder, args)?;
        ensure!(code == Some(1) && stdout.is_empty(), "{args:?}: {code:?} {stdout}{stderr}");
        for word in words {
            ensure!(stderr.contains(word), "{args:?}: no `{word}` in {stderr}");
        }
    }
    // All of them at once.
    let (_, _, stderr) = outcome(
        &folder,
        &["--hook-script", "publish_strat=./notify.sh", "--hook-script", "publish_start=./hooks"],
    )?;
    ensure!(stderr.contains("publish_strat") && stderr.contains("is a folder"), "{stderr}");
    Ok(())
}

#[test]
fn exit_codes_tell_usage_from_configuration_and_both_from_success() -> Result<()> {
    let folder = Scratch::new()?;
    folder.file("good.toml", "[server]\nlog_level = \"warn\"\n")?;
    folder.file("bad.toml", "[server]\nlog_levl = \"warn\"\n")?;
    let cases: [(&[&str], i32); 9] = [
        (&["--version"], 0),
        (&["--help"], 0),
        (&["check", "--config", "good.toml"], 0),
        (&["check", "--config", "bad.toml"], 1),
        (&["--config", "bad.toml"], 1),
        (&["--no-such-flag"], 2),
        (&["--log-level", "loud"], 2),
        (&["no-such-command"], 2),
        (&["--hook-stdio-format", "xml"], 2),
    ];
    for (args, expect) in cases {
        let (code, stdout, stderr) = outcome(&folder, args)?;
        ensure!(code == Some(expect), "{args:?}: {code:?}\n{stdout}{stderr}");
    }
    // A port that is taken is a start-up error; the data folder is not made for nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (code, _, stderr) = outcome(&folder, &["--listen", &taken.local_addr()?.to_string()])?;
    ensure!(code == Some(1) && stderr.contains(&taken.local_addr()?.to_string()), "{stderr}");
    Ok(())
}

#[test]
fn the_word_serve_may_be_there_and_both_signals_stop_with_0() -> Result<()> {
    for (line, signal) in [
        ("exec jackfield --hook-stdio-format ndjson", rustix::process::Signal::INT),
        ("exec jackfield serve -hook-stdio-format=ndjson", rustix::process::Signal::TERM),
    ] {
        let server = Server::builder().line(line).start()?;
        Client::connect(server.rtmp(), "live")?;
        server.events().wait_for("connection_accept", SOON, |_| true)?;
        server.signal(signal)?;
        let ended = server.wait(SOON)?;
        ensure!(ended.status.code() == Some(0), "{line}: {}", ended.status);
        ensure!(ended.events.kinds(|_| true)?.last().is_some_and(|kind| kind == "connection_close"));
    }
    Ok(())
}
