//! Questions: what the answers of hooks do, and what clients read of them.

use anyhow::{Context, Result, bail, ensure};
use jackfield_e2e::receiver::{Latch, refusing_url};
use jackfield_e2e::rtmp::{Client, Media, Refused, TrackKind, configurations, picture, sound};
use jackfield_e2e::{
    Ended, Journal, PlayerKind, PublisherKind, Receiver, Reply, SOON, Scratch, Server, ServerBuilder,
    check_pairs, clip, compare, hook_fixture,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A configuration whose players do not wait for their stream.
const IMPATIENT: &str = "[hub]\nwait_ms = 0\n";

/// A server with a hook of flags.
fn with(flag: &str, hook: &str) -> ServerBuilder {
    Server::builder().config(IMPATIENT).args([flag, hook])
}

/// A receiver that gives this answer to every question.
fn answering(answer: Value) -> Result<Receiver> {
    Receiver::start(move |_| Reply::json(200, &answer))
}

fn deny(public: &str) -> Value {
    json!({ "decision": "deny", "reason": { "code": "no", "text": "for the log only", "public": public } })
}

/// Why a client was refused.
fn refusal<T>(result: Result<T>) -> Result<Refused> {
    let Err(error) = result else { bail!("not refused") };
    error.downcast_ref::<Refused>().cloned().with_context(|| format!("refused otherwise: {error:#}"))
}

/// Stops the server, and checks that nobody published or played.
fn nothing_happened(server: Server) -> Result<Ended> {
    let ended = server.stop()?;
    let events = ended.events.all()?;
    check_pairs(&events)?;
    let happened = |event: &&jackfield_e2e::Event| {
        !matches!(
            event.kind(),
            "connection_accept" | "handshake_complete" | "connection_close" | "auth_failed"
        )
    };
    ensure!(!events.iter().any(|event| happened(&event)), "{:#?}", ended.events.lines().all());
    Ok(ended)
}

/// Publishes with ffmpeg until it ends, and returns what it said.
fn refused_ffmpeg(server: &Server, key: &str) -> Result<String> {
    let clip = clip::standard()?;
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url(key))?;
    let status = publisher.wait(SOON)?;
    ensure!(!status.success(), "ffmpeg published");
    let stderr = publisher.program().stderr();
    stderr.wait_closed("ffmpeg's standard error", SOON)?;
    Ok(stderr.all().join("\n"))
}

#[test]
fn a_denied_publisher_reads_the_public_reason_and_nothing_was_published() -> Result<()> {
    let receiver = answering(deny("Your token has expired."))?;
    let hook = format!("authorize_publish={}", receiver.url("/auth"));
    let server = with("--hook-webhook", &hook).start()?;
    let said = refused_ffmpeg(&server, "live/show?token=old")?;
    ensure!(said.contains("Your token has expired.") && !said.contains("for the log only"), "{said}");

    // The question told everything, secrets too.
    let question = receiver.wait("question", SOON, |_| true)?.json();
    ensure!(question["type"] == "authorize_publish" && question["stream_key"] == "live/show");
    ensure!(question["hook"] == "webhook-1" && question["attempt"] == 1, "{question}");
    ensure!(question["deadline_ms"].as_u64().is_some_and(|left| left > 0 && left <= 2000), "{question}");
    let data = &question["data"];
    ensure!(data["query"] == "token=old" && data["app"] == "live" && data["publish_type"] == "live");
    ensure!(data["flash_ver"].as_str().is_some_and(|version| version.contains("Lavf")), "{question}");
    ensure!(data["tc_url"].as_str().is_some_and(|url| url.ends_with("/live")), "{question}");

    let player = refusal(Client::connect(server.rtmp(), "live")?.play("show"))?;
    ensure!(player.code == "NetStream.Play.StreamNotFound", "{player}");
    let close =
        server.events().wait_for("connection_close", SOON, |event| event.conn_id() == Some("c000001"))?;
    ensure!(close.data("reason") == Some("denied"), "{}", close.json());
    let ended = nothing_happened(server)?;
    ensure!(ended.log.iter().any(|line| line.contains("for the log only")), "the log has the text");
    Ok(())
}

#[test]
fn a_status_without_a_body_denies_and_reads_refused() -> Result<()> {
    for (status, body, expect) in [
        (403, None, "Refused."),
        (401, Some(json!({ "reason": "Log in first." })), "Log in first."),
        (200, Some(json!({ "decision": "deny" })), "Refused."),
        (200, Some(json!({ "decision": "deny", "reason": "Not now." })), "Not now."),
    ] {
        let answer = body.clone();
        let receiver = Receiver::start(move |_| match &answer {
            Some(body) => Reply::json(status, body),
            None => Reply::status(status),
        })?;
        let hook = format!("authorize_publish={}", receiver.url("/auth"));
        let server = with("--hook-webhook", &hook).start()?;
        let refused = refusal(Client::connect(server.rtmp(), "live")?.publish("show"))?;
        ensure!(refused.code == "NetStream.Publish.BadName", "{status} {body:?}: {refused}");
        ensure!(refused.description == expect, "{status} {body:?}: {refused}");
        nothing_happened(server)?;
    }
    Ok(())
}

#[test]
fn a_dead_webhook_denies() -> Result<()> {
    let hook = format!("authorize_publish={}", refusing_url()?);
    let server = with("--hook-webhook", &hook).start()?;
    let said = refused_ffmpeg(&server, "live/show")?;
    ensure!(said.contains("Refused."), "{said}");
    server.wait_log("outcome connect_error", SOON, |line| line.field("outcome") == Some("connect_error"))?;
    nothing_happened(server)?;
    Ok(())
}

#[test]
fn a_dead_webhook_with_on_error_allow_passes_and_the_start_says_so() -> Result<()> {
    let config = format!(
        "[[hook]]\nname = \"dead\"\non = [\"authorize_publish\", \"authorize_play\"]\nurl = \"{}\"\n\
         on_error = \"allow\"\n",
        refusing_url()?
    );
    let server = Server::builder().config(config).start()?;
    let clip = clip::standard()?;
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let start = server.events().wait_for("publish_start", SOON, |_| true)?;
    ensure!(start.json()["data"]["failopen"] == json!(["dead"]), "{}", start.json());
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(10, SOON)?;
    let start = server.events().wait_for("play_start", SOON, |_| true)?;
    ensure!(start.json()["data"]["failopen"] == json!(["dead"]), "{}", start.json());
    compare(clip.recording(), &player.finish()?, 10)?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_failed_hook_stands_in_the_questions_that_follow() -> Result<()> {
    let receiver = answering(json!({ "decision": "allow" }))?;
    let config = format!(
        "[[hook]]\nname = \"dead\"\non = [\"resolve_publish\"]\nurl = \"{}\"\non_error = \"keep\"\n\
         [[hook]]\nname = \"alive\"\non = [\"authorize_publish\"]\nurl = \"{}\"\n",
        refusing_url()?,
        receiver.url("/")
    );
    let server = Server::builder().config(config).start()?;
    Client::connect(server.rtmp(), "live")?.publish("show")?;
    let question = receiver.wait("question", SOON, |_| true)?.json();
    ensure!(question["data"]["failopen"] == json!(["dead"]), "{question}");
    let start = server.events().wait_for("publish_start", SOON, |_| true)?;
    ensure!(start.json()["data"]["failopen"] == json!(["dead"]), "{}", start.json());
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn exit_code_77_denies_with_the_first_line_of_standard_error() -> Result<()> {
    let folder = Scratch::new()?;
    let script = folder.script(
        "auth.sh",
        "#!/bin/sh\n[ \"$RTMP_STREAM_NAME\" = good ] && exit 0\necho 'Not on Sundays.' >&2\necho more >&2\nexit 77\n",
    )?;
    let hook = format!("authorize_publish={}", script.display());
    let server = with("--hook-script", &hook).start()?;
    let said = refused_ffmpeg(&server, "live/bad")?;
    ensure!(said.contains("Not on Sundays.") && !said.contains("more"), "{said}");
    nothing_happened(server)?;

    // A hook of a file keeps that line for its log.
    let config = format!(
        "[[hook]]\nname = \"auth\"\non = [\"authorize_publish\"]\nrun = {:?}\n",
        script.display().to_string()
    );
    let server = Server::builder().config(config).start()?;
    let refused = refusal(Client::connect(server.rtmp(), "live")?.publish("bad"))?;
    ensure!(refused.description == "Refused.", "{refused}");
    let log = |line: &str| line.contains("Not on Sundays.");
    server.log().wait("reason in the log", SOON, |lines| lines.iter().find(|line| log(line)).cloned())?;
    Client::connect(server.rtmp(), "live")?.publish("good")?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/good"))?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn each_asker_gets_its_own_answer_from_a_worker_that_answers_in_any_order() -> Result<()> {
    let program = serde_json::to_string(&[hook_fixture()?.display().to_string(), "worker".to_owned()])?;
    let config = format!(
        "[[hook]]\nname = \"auth\"\non = [\"authorize_publish\"]\nworker = {program}\nmax = 2\n\
         timeout = \"10s\"\n[hooks]\nquestion_budget = \"10s\"\n"
    );
    let server = Server::builder().config(config).start()?;
    let mut asking = vec![];
    for number in 0..24 {
        let allowed = number % 3 != 0;
        let name = format!("show-{number}-{}", if allowed { "yes" } else { "no" });
        let mut client = Client::connect(server.rtmp(), "live")?;
        let stream = client.ask_publish(&name)?;
        asking.push((client, stream, allowed, name));
    }
    for (client, stream, allowed, name) in &mut asking {
        let answer = client.published(*stream);
        match allowed {
            true => answer.with_context(|| name.clone())?,
            false => ensure!(refusal(answer)?.description == "Not in Rust.", "{name}"),
        }
    }
    drop(asking);
    let events = server.stop()?.events.all()?;
    let started = events.iter().filter(|event| event.kind() == "publish_start");
    ensure!(started.clone().count() == 16);
    ensure!(started.clone().all(|event| event.stream_key().is_some_and(|key| key.ends_with("-yes"))));
    check_pairs(&events)
}

/// Renames `s3cret` to `show`, and refuses all others.
const RENAME: &str = r#"#!/bin/bash
if [ "$RTMP_STREAM_NAME" = s3cret ]; then
    echo '{"decision":"replace","value":"show"}'
else
    echo "Unknown stream key." >&2
    exit 77
fi
"#;

#[test]
fn a_renamed_publisher_is_known_by_its_new_name_alone() -> Result<()> {
    let folder = Scratch::new()?;
    let notes = folder.path().join("notes");
    let rename = folder.script("rename.sh", RENAME)?;
    // What scripts and webhooks are told must not have it either.
    let tell = folder.script("tell.sh", "#!/bin/bash\n{ env | grep ^RTMP_; cat; } >>\"$NOTES\"\n")?;
    let receiver = Receiver::start(|_| Reply::status(200))?;
    let server = with("--hook-script", &format!("resolve_publish={}", rename.display()))
        .args(["--hook-script", &format!("publish_start={}", tell.display())])
        .args(["--hook-script", &format!("publish_stop={}", tell.display())])
        .args(["--hook-webhook", &format!("authorize_publish={}", receiver.url("/"))])
        .args(["--hook-webhook", &format!("stream_create={}", receiver.url("/"))])
        .env("NOTES", &notes)
        .start()?;
    let clip = clip::standard()?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/s3cret"))?;
    let start = server.events().wait_for("publish_start", SOON, |_| true)?;
    ensure!(start.stream_key() == Some("live/show") && start.data("stream_name") == Some("show"));
    let question = receiver.wait("question", SOON, |request| {
        request.event().is_some_and(|event| event == "authorize_publish")
    })?;
    ensure!(question.json()["stream_key"] == "live/show", "{}", question.json());

    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(30, SOON)?;
    let old = refusal(Client::connect(server.rtmp(), "live")?.play("s3cret"))?;
    ensure!(old.code == "NetStream.Play.StreamNotFound", "{old}");
    let unknown = refusal(Client::connect(server.rtmp(), "live")?.publish("other"))?;
    ensure!(unknown.description == "Unknown stream key.", "{unknown}");
    compare(clip.recording(), &player.finish()?, 30)?;
    publisher.end();
    server.events().wait_for("publish_stop", SOON, |_| true)?;
    let ended = server.stop()?;
    check_pairs(&ended.events.all()?)?;
    let told = std::fs::read_to_string(&notes)?;
    ensure!(told.contains("live/show") && !told.contains("s3cret"), "{told}");
    for line in ended.events.lines().all() {
        ensure!(!line.contains("s3cret"), "{line}");
    }
    ensure!(
        !receiver
            .requests()
            .all()
            .iter()
            .any(|request| String::from_utf8_lossy(&request.body).contains("s3cret"))
    );
    Ok(())
}

#[test]
fn a_player_gets_the_stream_that_the_answer_names() -> Result<()> {
    let receiver = Receiver::start(|request| {
        let name = request.json()["data"]["stream_name"].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "alias" => Reply::json(200, &json!({ "decision": "replace", "value": "show" })),
            "other-app" => Reply::json(200, &json!({ "decision": "replace", "value": "backup/show" })),
            "nothing" => Reply::json(200, &json!({ "decision": "replace", "value": "../etc" })),
            "closed" => Reply::json(200, &deny("Closed.")),
            _ => Reply::status(204),
        }
    })?;
    let server = with("--hook-webhook", &format!("resolve_play={}", receiver.url("/"))).start()?;
    let clip = clip::standard()?;
    let (mut live, mut backup) =
        (Client::connect(server.rtmp(), "live")?, Client::connect(server.rtmp(), "backup")?);
    for (client, number) in [(&mut live, 0), (&mut backup, 100)] {
        let stream = client.publish("show")?;
        for media in configurations(&clip) {
            client.send(stream, &media)?;
        }
        client.send(stream, &picture(number, 500))?;
    }
    for (name, number, key) in
        [("alias", 0, "live/show"), ("other-app", 100, "backup/show"), ("show", 0, "live/show")]
    {
        let mut player = Client::connect(server.rtmp(), "live")?;
        player.play(name).with_context(|| name.to_owned())?;
        let body = picture(number, 500).body;
        while player.media(SOON)?.body != body {}
        server.events().wait_for("play_start", SOON, |event| event.stream_key() == Some(key))?;
    }
    for (name, text) in [("closed", "Closed."), ("nothing", "Refused.")] {
        let refused = refusal(Client::connect(server.rtmp(), "live")?.play(name))?;
        ensure!(refused.code == "NetStream.Play.Failed" && refused.description == text, "{name}: {refused}");
    }
    drop((live, backup));
    let ended = server.stop()?;
    ensure!(!ended.events.lines().all().iter().any(|line| line.contains("alias")));
    check_pairs(&ended.events.all()?)
}

#[test]
fn a_denied_connection_reads_why() -> Result<()> {
    let receiver = answering(deny("Members only."))?;
    let hook = format!("authorize_connection={}", receiver.url("/"));
    let server = with("--hook-webhook", &hook).start()?;
    let said = refused_ffmpeg(&server, "live/show")?;
    ensure!(said.contains("Members only."), "{said}");
    let refused = refusal(Client::connect(server.rtmp(), "live?token=abc"))?;
    ensure!(refused.code == "NetConnection.Connect.Rejected" && refused.description == "Members only.");
    let question =
        receiver.wait("second question", SOON, |request| request.json()["conn_id"] == "c000002")?;
    ensure!(question.json()["data"]["query"] == "token=abc", "{}", question.json());
    ensure!(question.json().get("stream_key").is_none(), "{}", question.json());
    nothing_happened(server)?;
    Ok(())
}

#[test]
fn a_denied_player_reads_why_and_gets_nothing() -> Result<()> {
    let receiver = answering(deny("Not in your country."))?;
    let server = with("--hook-webhook", &format!("authorize_play={}", receiver.url("/"))).start()?;
    let clip = clip::standard()?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    server.events().wait_for("media_start", SOON, |_| true)?;
    let player = PlayerKind::Ffmpeg.start(&server.url("live/show?token=abc"))?;
    player.wait_end(SOON)?;
    let stderr = player.program().stderr();
    stderr.wait_closed("ffmpeg's standard error", SOON)?;
    let said = stderr.all().join("\n");
    ensure!(said.contains("Not in your country."), "{said}");
    ensure!(player.so_far() == jackfield_e2e::Recording::default());
    let mut client = Client::connect(server.rtmp(), "live")?;
    let refused = refusal(client.play("show"))?;
    ensure!(refused.code == "NetStream.Play.Failed", "{refused}");
    ensure!(client.media(SOON).is_err(), "media after a refusal");
    publisher.end();
    let events = server.stop()?.events.all()?;
    ensure!(!events.iter().any(|event| event.kind() == "play_start"));
    check_pairs(&events)
}

#[test]
fn nothing_is_visible_before_the_verdict() -> Result<()> {
    let latch = Latch::default();
    let held = latch.clone();
    let receiver = Receiver::start(move |_| {
        let allow = Reply::json(200, &json!({ "decision": "allow" }));
        Reply::When(held.clone(), Box::new(allow))
    })?;
    let config = format!(
        "{IMPATIENT}[[hook]]\nname = \"slow\"\non = [\"authorize_publish\"]\nurl = \"{}\"\ntimeout = \"60s\"\n\
         [hooks]\nquestion_budget = \"60s\"\n",
        receiver.url("/")
    );
    let server = Server::builder().config(config).start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.ask_publish("show")?;
    receiver.wait("question", SOON, |_| true)?;
    // Whatever comes to the publisher comes before the answer to its next command.
    publisher.create_stream()?;
    ensure!(publisher.statuses().is_empty(), "{:?}", publisher.statuses());
    let early = refusal(Client::connect(server.rtmp(), "live")?.play("show"))?;
    ensure!(early.code == "NetStream.Play.StreamNotFound", "{early}");
    let seen = server.events().kinds(|event| event.stream_key().is_some())?;
    ensure!(seen.is_empty(), "{seen:?}");

    latch.open();
    publisher.published(stream)?;
    // The event is told before the success message is written.
    ensure!(server.events().wait_for("publish_start", SOON, |_| true).is_ok());
    drop(publisher);
    check_pairs(&server.stop()?.events.all()?)
}

/// A server that asks a webhook about publishers, which answers when the latch is opened.
fn with_held_question() -> Result<(Latch, Receiver, Server)> {
    let latch = Latch::default();
    let held = latch.clone();
    let receiver = Receiver::start(move |_| {
        Reply::When(held.clone(), Box::new(Reply::json(200, &json!({ "decision": "allow" }))))
    })?;
    let config = format!(
        "[[hook]]\nname = \"slow\"\non = [\"authorize_publish\"]\nurl = \"{}\"\ntimeout = \"60s\"\n\
         [hooks]\nquestion_budget = \"60s\"\n[hub]\nwait_ms = 60000\n",
        receiver.url("/")
    );
    let server = Server::builder().config(config).start()?;
    Ok((latch, receiver, server))
}

/// What a player gets from now on up to this picture.
fn play_until(server: std::net::SocketAddr, last: &Media) -> Result<Vec<Media>> {
    let mut player = Client::connect(server, "live")?;
    player.play("show")?;
    let mut got = vec![];
    while got.last() != Some(last) {
        got.push(player.media(SOON)?);
    }
    Ok(got)
}

#[test]
fn media_that_comes_while_a_question_waits_reaches_players_from_the_first_frame_on() -> Result<()> {
    let (latch, receiver, server) = with_held_question()?;
    let clip = clip::standard()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.ask_publish("show")?;
    let mut sent = configurations(&clip);
    sent.extend((0..20).flat_map(|number| [picture(number, 900), sound(number, 200)]));
    for media in &sent {
        publisher.send(stream, media)?;
    }
    receiver.wait("question", SOON, |_| true)?;
    let last = sent.last().context("something was sent")?;
    let address = server.rtmp();
    let got = std::thread::scope(|scope| {
        // This player waits for the stream before it is there.
        let player = scope.spawn(move || play_until(address, last));
        server.events().wait_for("handshake_complete", SOON, |event| event.conn_id() == Some("c000002"))?;
        latch.open();
        publisher.published(stream)?;
        player.join().ok().context("the player panicked")?
    })?;
    let bodies = |all: &[Media], kind| -> Vec<_> {
        all.iter().filter(|media| media.kind == kind).map(|media| media.body.clone()).collect()
    };
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let (got, sent) = (bodies(&got, kind), bodies(&sent, kind));
        ensure!(got == sent, "{kind:?}: {} of {}", got.len(), sent.len());
    }
    drop(publisher);
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn more_than_may_be_held_waits_in_the_socket_and_is_not_lost() -> Result<()> {
    const PICTURES: u32 = 400;
    let (latch, receiver, server) = with_held_question()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.ask_publish("show")?;
    receiver.wait("question", SOON, |_| true)?;
    // Sixteen groups of 1.2 MB: more than is held, and more than the socket takes.
    let sent = Journal::default();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0..PICTURES {
                publisher.send(stream, &picture(number, 50_000))?;
                sent.push(number);
            }
            publisher.published(stream)?;
            publisher.unpublish(stream, "show")
        });
        // Well into the third group, which is not read before the answer.
        sent.wait("picture 60", SOON, |sent| sent.contains(&60).then_some(()))?;
        latch.open();
        sending.join().ok().context("the publisher panicked")?
    })?;
    let stop = server.events().wait_for("publish_stop", SOON, |_| true)?;
    ensure!(stop.number("video_packets") == Some(u64::from(PICTURES)), "{}", stop.json());
    drop(publisher);
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_question_of_a_second_delays_an_encoder_and_loses_nothing() -> Result<()> {
    let receiver = Receiver::start(|_| {
        Reply::After(Duration::from_secs(1), Box::new(Reply::json(200, &json!({ "decision": "allow" }))))
    })?;
    let server = Server::builder()
        .args(["--hook-webhook", &format!("authorize_publish={}", receiver.url("/"))])
        .start()?;
    let clip = clip::lasting(2)?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    server.events().wait_for("handshake_complete", SOON, |_| true)?;
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let all = clip.recording().video.units.len();
    player.wait_video(all, SOON)?;
    ensure!(publisher.wait(SOON)?.success());
    let got = compare(clip.recording(), &player.finish()?, all)?;
    ensure!(got.first == 0, "from #{}", got.first);
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_hook_that_only_listens_delays_no_question() -> Result<()> {
    const QUESTIONS: [&str; 3] = ["authorize_connection", "resolve_publish", "authorize_publish"];
    let receiver = Receiver::start(|_| Reply::Silence)?;
    // A hook each: one hook's notices about a stream wait for each other.
    let mut config = "[server]\ndrain_timeout = \"0s\"\n".to_owned();
    for question in QUESTIONS {
        config.push_str(&format!(
            "[[hook]]\nname = \"{question}\"\non = [\"{question}\"]\nmode = \"notify\"\nurl = \"{}\"\n",
            receiver.url("/")
        ));
    }
    let server = Server::builder().config(config).start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    publisher.publish("show")?;
    // All three questions of a publish were told, and none was answered.
    for question in QUESTIONS {
        receiver.wait(question, SOON, |request| request.event().is_some_and(|event| event == question))?;
    }
    drop(publisher);
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_chain_ends_at_the_first_deny_and_each_hook_sees_what_the_former_left() -> Result<()> {
    let seen = Receiver::start(|request| {
        let event = request.json();
        let key = event["stream_key"].as_str().unwrap_or_default();
        match request.path.as_str() {
            "/first" => Reply::json(200, &json!({ "decision": "replace", "value": "second" })),
            "/second" if key == "live/second" => {
                Reply::json(200, &json!({ "decision": "replace", "value": "third" }))
            }
            "/deny" => Reply::json(200, &deny("No third.")),
            _ => Reply::status(500),
        }
    })?;
    let mut config = String::new();
    for path in ["first", "second", "deny", "never"] {
        config.push_str(&format!(
            "[[hook]]\nname = \"{path}\"\non = [\"resolve_publish\"]\nurl = \"{}\"\n",
            seen.url(&format!("/{path}"))
        ));
    }
    let server = Server::builder().config(config).start()?;
    let refused = refusal(Client::connect(server.rtmp(), "live")?.publish("show"))?;
    ensure!(refused.description == "No third.", "{refused}");
    let asked: Vec<String> = seen
        .requests()
        .all()
        .iter()
        .map(|request| {
            format!("{} {}", request.path, request.json()["stream_key"].as_str().unwrap_or_default())
        })
        .collect();
    ensure!(asked == ["/first live/show", "/second live/second", "/deny live/third"], "{asked:?}");
    nothing_happened(server)?;
    Ok(())
}
