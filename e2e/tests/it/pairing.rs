//! Every start has its one stop, in order, whatever ended it.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Media, Refused, configurations, picture};
use jackfield_e2e::{
    Ended, Event, PlayerKind, Processes, PublisherKind, SOON, Server, check_pairs, clip, eventually,
};
use rustix::process::Signal;

/// Stops the server and checks all that it told.
fn stop(server: Server) -> Result<Vec<Event>> {
    let events = server.stop()?.events.all()?;
    check_pairs(&events)?;
    Ok(events)
}

/// The reasons of the events of this name, in order.
fn reasons<'a>(events: &'a [Event], kind: &str) -> Vec<&'a str> {
    events.iter().filter(|event| event.kind() == kind).filter_map(|event| event.data("reason")).collect()
}

/// Waits for the n-th event of this name.
fn nth(server: &Server, kind: &str, n: usize) -> Result<Event> {
    server.events().lines().wait(&format!("{kind} number {n}"), SOON, |lines| {
        let events = lines.iter().filter_map(|line| Event::parse(line).ok());
        events.filter(|event| event.kind() == kind).nth(n - 1)
    })
}

/// Publishes under this name, with a first picture.
fn publish(server: &Server, name: &str) -> Result<(Client, u32)> {
    let mut client = Client::connect(server.rtmp(), "live")?;
    let stream = client.publish(name)?;
    for media in configurations(&clip::standard()?) {
        client.send(stream, &media)?;
    }
    client.send(stream, &picture(0, 1000))?;
    Ok((client, stream))
}

#[test]
fn a_killed_publisher_stops_as_a_client_that_is_gone() -> Result<()> {
    for kind in PublisherKind::ALL {
        let server = Server::builder().start()?;
        let clip = clip::standard()?;
        let publisher = kind.start(clip.path(), &server.url("live/show"))?;
        let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
        player.wait_video(3, SOON)?;
        publisher.program().signal(Signal::KILL)?;
        nth(&server, "stream_delete", 1)?;
        // The player hears it, and ends by itself.
        player.wait_end(SOON)?;
        drop(player);
        nth(&server, "connection_close", 2)?;
        let events = stop(server)?;
        ensure!(reasons(&events, "publish_stop") == ["client_disconnect"], "{kind}: {events:#?}");
        ensure!(reasons(&events, "media_stop").iter().all(|reason| *reason == "client_disconnect"));
        ensure!(reasons(&events, "play_stop") == ["unpublish"], "{kind}: {events:#?}");
        ensure!(reasons(&events, "stream_delete") == ["client_disconnect"]);
    }
    Ok(())
}

#[test]
fn a_publisher_that_says_its_end_stops_with_unpublish() -> Result<()> {
    let server = Server::builder().start()?;
    let clip = clip::lasting(1)?;
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let ended = publisher.wait(SOON)?;
    ensure!(ended.success(), "{ended}:{}", publisher.program().last_words());
    let stop_event = nth(&server, "publish_stop", 1)?;
    let sent = clip.recording();
    // The configuration is a message too, and so is the end of the sequence that ffmpeg sends.
    let video = stop_event.number("video_packets").context("video_packets")?;
    let units = u64::try_from(sent.video.units.len())?;
    ensure!((units + 1..=units + 2).contains(&video), "{video} messages for {units} pictures");
    // Each way to say so, alone.
    for (number, (command, argument)) in
        [("FCUnpublish", true), ("deleteStream", false), ("closeStream", false)].into_iter().enumerate()
    {
        // Whoever has heard of a stop finds the key free.
        let publishing = publish(&server, "again");
        let (mut client, stream) = publishing.with_context(|| format!("publishing before {command}"))?;
        if argument {
            client.command(command, &["again".into()])?;
        } else if command == "closeStream" {
            client.command_of(stream, command, &[])?;
        } else {
            client.command(command, &[f64::from(stream).into()])?;
        }
        nth(&server, "publish_stop", 2 + number).context(command)?;
    }
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop") == ["unpublish"; 4], "{events:#?}");
    Ok(())
}

#[test]
fn a_publisher_that_replaces_another_comes_after_its_stop() -> Result<()> {
    let server = Server::builder().config("[hub]\ntakeover = \"replace\"\n").start()?;
    let clip = clip::standard()?;
    let mut first = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(5, SOON)?;
    let second = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let start = nth(&server, "publish_start", 2)?;
    ensure!(start.json()["epoch"] == 2, "{}", start.json());
    first.wait(SOON).context("the first publisher is sent away")?;
    // The player goes on with the second one.
    let so_far = player.so_far().video.units.len();
    player.wait_video(so_far + 30, SOON)?;
    drop(player);
    second.end();
    nth(&server, "stream_delete", 1)?;
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop") == ["superseded", "unpublish"], "{events:#?}");
    let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    let of = |name: &str| kinds.iter().filter(|kind| **kind == name).count();
    ensure!(of("stream_create") == 1 && of("stream_delete") == 1 && of("play_start") == 1);
    // Nothing stands between the stop of the one and the start of the other.
    let stop = kinds.iter().position(|kind| *kind == "publish_stop").context("no stop")?;
    ensure!(kinds.get(stop + 1) == Some(&"publish_start"), "{kinds:?}");
    Ok(())
}

#[test]
fn a_silent_publisher_is_replaced_and_a_lively_one_is_not() -> Result<()> {
    let server = Server::builder().start()?;
    let (mut first, stream) = publish(&server, "show")?;
    let refused = publish(&server, "show").err().context("a lively publisher was replaced")?;
    ensure!(refused.to_string().contains("NetStream.Publish.BadName"), "{refused:#}");
    // It says nothing more, and some time later the key is free to take.
    let (second, _) = eventually("second publisher", SOON, || match publish(&server, "show") {
        Err(error) if error.is::<Refused>() => Ok(None),
        result => result.map(Some),
    })?;
    first.expect_status(stream, "NetStream.Unpublish.Success", SOON)?;
    first.wait_closed(SOON)?;
    drop(second);
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop")[0] == "superseded", "{events:#?}");
    let stops = events.iter().find(|event| event.kind() == "publish_stop").context("no stop")?;
    ensure!(stops.number("duration_ms").is_some_and(|ms| ms >= 3000), "{}", stops.json());
    Ok(())
}

#[test]
fn a_publisher_that_returns_in_time_keeps_its_players() -> Result<()> {
    let server = Server::builder().config("[hub]\nresume_ms = 60000\n").start()?;
    let clip = clip::standard()?;
    let first = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(5, SOON)?;
    first.program().signal(Signal::KILL)?;
    nth(&server, "publish_stop", 1)?;
    let so_far = player.so_far().video.units.len();
    let second = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    player.wait_video(so_far + 30, SOON)?;
    second.end();
    nth(&server, "publish_stop", 2)?;
    player.finish()?;
    let events = stop(server)?;
    ensure!(reasons(&events, "play_stop") == ["client_disconnect"], "{events:#?}");
    ensure!(reasons(&events, "publish_stop") == ["client_disconnect", "unpublish"], "{events:#?}");
    ensure!(reasons(&events, "stream_delete").len() == 1, "one stream for both publishers: {events:#?}");
    Ok(())
}

#[test]
fn nobody_is_asked_about_a_key_that_is_busy() -> Result<()> {
    let receiver = jackfield_e2e::Receiver::start(|_| jackfield_e2e::Reply::status(204))?;
    let server = Server::builder()
        .config("[hub]\ntakeover = \"refuse\"\n")
        .args(["--hook-webhook", &format!("authorize_publish={}", receiver.url("/"))])
        .start()?;
    let (first, _) = publish(&server, "show")?;
    let refused = publish(&server, "show").err().context("replaced")?;
    ensure!(refused.to_string().contains("NetStream.Publish.BadName"), "{refused:#}");
    ensure!(receiver.requests().len() == 1, "{} questions", receiver.requests().len());
    drop(first);
    stop(server).map(drop)
}

#[test]
fn a_killed_player_stops_as_a_client_that_is_gone() -> Result<()> {
    let server = Server::builder().start()?;
    let clip = clip::standard()?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    nth(&server, "media_start", 2)?;
    for (number, kind) in PlayerKind::ALL.into_iter().enumerate() {
        let player = kind.start(&server.url("live/show"))?;
        player.wait_video(3, SOON)?;
        player.program().signal(Signal::KILL)?;
        let stop = nth(&server, "play_stop", number + 1)?;
        ensure!(stop.data("reason") == Some("client_disconnect"), "{kind}: {}", stop.json());
        ensure!(stop.number("bytes_sent").is_some_and(|bytes| bytes > 1000), "{kind}: {}", stop.json());
    }
    publisher.end();
    stop(server).map(drop)
}

#[test]
fn a_player_without_a_stream_neither_starts_nor_stops() -> Result<()> {
    let server = Server::builder().config("[hub]\nwait_ms = 300\n").start()?;
    let player = PlayerKind::Ffmpeg.start(&server.url("live/nothing"))?;
    player.wait_end(SOON)?;
    drop(player);
    let early = Client::connect(server.rtmp(), "live")?.play("nothing").err().context("played nothing")?;
    ensure!(early.to_string().contains("NetStream.Play.StreamNotFound"), "{early:#}");
    let events = stop(server)?;
    ensure!(!events.iter().any(|event| event.stream_key().is_some()), "{events:#?}");
    Ok(())
}

#[test]
fn a_publisher_that_falls_silent_is_ended_with_timeout() -> Result<()> {
    let server = Server::builder().config("[rtmp]\npublish_timeout = \"1s\"\n").start()?;
    let (mut publisher, _) = publish(&server, "show")?;
    publisher.wait_closed(SOON)?;
    nth(&server, "connection_close", 1)?;
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop") == ["timeout"], "{events:#?}");
    ensure!(reasons(&events, "connection_close") == ["timeout"], "{events:#?}");
    Ok(())
}

#[test]
fn a_player_that_does_not_read_is_ended_as_a_slow_subscriber_and_slows_nobody() -> Result<()> {
    let config = "[hub]\nqueue_bytes = \"64KiB\"\nqueue_ms = 500\nslow_ms = 500\n";
    let server = Server::builder().config(config).start()?;
    let (mut publisher, stream) = publish(&server, "show")?;
    let mut slow = Client::connect(server.rtmp(), "live")?;
    slow.play("show")?;
    nth(&server, "play_start", 1)?;
    let mut quick = Client::connect(server.rtmp(), "live")?;
    quick.play("show")?;
    // More than both sockets take; the quick player reads all of it.
    let mut number = 0;
    while server.events().kinds(|event| event.kind() == "play_stop")?.is_empty() {
        number += 1;
        ensure!(number < 5000, "no play_stop");
        let media = picture(number, 100_000);
        publisher.send(stream, &media)?;
        read_until(&mut quick, &media)?;
    }
    let stop_event = nth(&server, "play_stop", 1)?;
    ensure!(stop_event.data("reason") == Some("slow_subscriber"), "{}", stop_event.json());
    ensure!(stop_event.number("dropped_frames").is_some_and(|frames| frames > 0), "{}", stop_event.json());
    drop((slow, quick, publisher));
    let events = stop(server)?;
    ensure!(events.iter().filter(|event| event.kind() == "play_start").count() == 2);
    Ok(())
}

/// Reads up to this message; others come in between only at the start.
fn read_until(player: &mut Client, media: &Media) -> Result<()> {
    while player.media(SOON)?.body != media.body {}
    Ok(())
}

#[test]
fn bad_rtmp_in_mid_stream_stops_everything_that_had_started() -> Result<()> {
    use std::io::Write;
    let server = Server::builder().start()?;
    let (publisher, _) = publish(&server, "show")?;
    nth(&server, "media_start", 1)?;
    // Set Chunk Size to 0 (RTMP 1.0 §5.4.1).
    publisher.socket().write_all(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0])?;
    nth(&server, "connection_close", 1)?;
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop") == ["protocol_error"], "{events:#?}");
    ensure!(reasons(&events, "connection_close") == ["protocol_error"], "{events:#?}");
    Ok(())
}

#[test]
fn a_thousand_sessions_leave_nothing_behind() -> Result<()> {
    const CYCLES: usize = 1000;
    const KEYS: usize = 4;
    let notes = jackfield_e2e::Scratch::new()?;
    let worker = jackfield_e2e::hook_fixture()?.display().to_string();
    let script = jackfield_e2e::fixture("hooks/script.bash")?.display().to_string();
    let config = format!(
        "[[hook]]\nname = \"worker\"\non = [\"authorize_publish\", \"publish_*\"]\nqueue = 10000\n\
         worker = [{worker:?}, \"worker\"]\nmin = 1\nmax = 1\nenv = [\"NOTES={0}/notes\"]\n\
         [[hook]]\nname = \"script\"\non = [\"publish_stop\"]\nqueue = 10000\nstreams = [\"live/show-0\"]\n\
         run = [{script:?}]\nenv = [\"NOTES={0}/of-script\"]\n[server]\ndrain_timeout = \"60s\"\n",
        notes.path().display()
    );
    // Its log would be the largest part of the work.
    let server = Server::builder().config(config).log_level("info").start()?;
    cycle(&server, 0)?;
    settle(&server, 1)?;
    // Once the first script has ended there are the helper that starts programs, and the worker.
    let programs = || Ok((Processes::now()?.below(server.pid()).len() == 2).then_some(()));
    eventually("end of the first script", SOON, programs)?;
    let descriptors = server.descriptors()?;

    std::thread::scope(|scope| {
        let server = &server;
        let runs = (0..KEYS).map(|key| {
            scope.spawn(move || (key + 1..=CYCLES).step_by(KEYS).try_for_each(|number| cycle(server, number)))
        });
        let runs: Vec<_> = runs.collect();
        runs.into_iter().try_for_each(|run| run.join().ok().context("a thread panicked")?)
    })?;
    settle(&server, CYCLES + 1)?;
    // One script at a time: the last of them ends some time after its event.
    eventually("end of all scripts", 3 * SOON, programs)?;
    eventually("as few descriptors as before", SOON, || {
        Ok((server.descriptors()? <= descriptors).then_some(()))
    })?;

    let pid = server.pid();
    let events = stop(server)?;
    let started = events.iter().filter(|event| event.kind() == "publish_start").count();
    ensure!(started == CYCLES + 1, "{started} sessions");
    ensure!(Processes::now()?.below(pid).is_empty());
    let of_script = std::fs::read_to_string(notes.path().join("of-script"))?;
    ensure!(of_script.lines().count() == CYCLES / KEYS + 1, "{} scripts", of_script.lines().count());
    let told = std::fs::read_to_string(notes.path().join("notes"))?;
    for key in 0..KEYS {
        let name = format!("live/show-{key}");
        let of_key: Vec<&str> = told.lines().filter(|line| line.ends_with(&name)).collect();
        ensure!(of_key.len() >= 2 * CYCLES / KEYS, "{} notices of {name}", of_key.len());
        let alternate = of_key
            .iter()
            .enumerate()
            .all(|(at, line)| line.contains(if at % 2 == 0 { "publish_start" } else { "publish_stop" }));
        ensure!(alternate, "a worker got the notices of {name} in another order");
    }
    Ok(())
}

/// One publish session, each third with a picture, ended in one of four ways.
fn cycle(server: &Server, number: usize) -> Result<()> {
    let name = format!("show-{}", number % 4);
    let mut client = Client::connect(server.rtmp(), "live")?;
    let stream = publish_when_free(&mut client, &name).with_context(|| format!("cycle {number}"))?;
    if number.is_multiple_of(3) {
        client.send(stream, &picture(0, 100))?;
    }
    match number / 4 % 4 {
        0 => client.unpublish(stream, &name)?,
        1 => client.shut_down(),
        2 => client.command("deleteStream", &[f64::from(stream).into()])?,
        _ => return Ok(()),
    }
    // The next session of this key finds it free, or is asked again.
    Ok(())
}

/// The former session of the key may end a moment after its client has.
fn publish_when_free(client: &mut Client, name: &str) -> Result<u32> {
    eventually("free key", SOON, || match client.publish(name) {
        Err(error) if error.is::<Refused>() => {
            // A refused publisher is sent away.
            *client = client.again()?;
            Ok(None)
        }
        result => result.map(Some),
    })
}

/// Waits until so many sessions have ended, and all connections.
fn settle(server: &Server, sessions: usize) -> Result<()> {
    server.events().lines().wait("end of all sessions", SOON, |lines| {
        let count = |kind: &str| {
            let name = format!("\"type\":\"{kind}\"");
            lines.iter().filter(|line| line.contains(&name)).count()
        };
        let closed = count("connection_accept") == count("connection_close");
        (closed && count("publish_stop") == sessions).then_some(())
    })
}

#[test]
fn takeovers_in_a_storm_stay_in_order() -> Result<()> {
    const EACH: usize = 40;
    let server = Server::builder().config("[hub]\ntakeover = \"replace\"\n").log_level("info").start()?;
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6)
            .map(|_| {
                let server = &server;
                scope.spawn(move || -> Result<()> {
                    for _ in 0..EACH {
                        let mut client = Client::connect(server.rtmp(), "live")?;
                        let stream = client.publish("show")?;
                        // Whoever was replaced meanwhile may find its connection closed.
                        drop(client.send(stream, &picture(0, 100)));
                    }
                    Ok(())
                })
            })
            .collect();
        runs.into_iter().try_for_each(|run| run.join().ok().context("a thread panicked")?)
    })?;
    settle(&server, 6 * EACH)?;
    let events = stop(server)?;
    ensure!(reasons(&events, "publish_stop").contains(&"superseded"));
    let epochs = events.iter().filter(|event| event.kind() == "publish_start");
    let epochs: Vec<u64> = epochs.filter_map(|event| event.json()["epoch"].as_u64()).collect();
    let expect: Vec<u64> = (1..=6 * EACH as u64).collect();
    ensure!(epochs == expect, "{epochs:?}");
    Ok(())
}

/// What is left when a server was told to stop while a stream was on.
fn stopped_in_mid_stream(server: Server) -> Result<Ended> {
    let clip = clip::standard()?;
    let mut publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(3, SOON)?;
    // One that waits for a stream, one that is in its handshake.
    let mut waiting = Client::connect(server.rtmp(), "live")?;
    let stream = waiting.create_stream()?;
    waiting.command_of(stream, "play", &["later".into()])?;
    let half = std::net::TcpStream::connect(server.rtmp())?;
    nth(&server, "connection_accept", 4)?;
    let pid = server.pid();
    let ended = server.stop()?;
    publisher.wait(SOON)?;
    player.wait_end(SOON)?;
    drop(half);
    ensure!(Processes::now()?.below(pid).is_empty(), "programs are left");
    Ok(ended)
}

#[test]
fn a_server_that_stops_in_mid_stream_stops_everything_and_lets_the_stop_scripts_end() -> Result<()> {
    let folder = jackfield_e2e::Scratch::new()?;
    let notes = folder.path().join("notes");
    let late = jackfield_e2e::fixture("hooks/late.sh")?.display().to_string();
    let mut server = Server::builder().env("NOTES", &notes).env("LATE", "0.7");
    for event in ["publish_stop", "play_stop", "stream_delete", "connection_close"] {
        server = server.args(["--hook-script", &format!("{event}={late}")]);
    }
    let ended = stopped_in_mid_stream(server.start()?)?;
    let events = ended.events.all()?;
    check_pairs(&events)?;
    for kind in ["publish_stop", "media_stop", "play_stop", "stream_delete", "connection_close"] {
        let reasons = reasons(&events, kind);
        ensure!(
            !reasons.is_empty() && reasons.iter().all(|reason| *reason == "server_shutdown"),
            "{kind}: {reasons:?}"
        );
    }
    let told = std::fs::read_to_string(&notes)?;
    for line in [
        "publish_stop live/show server_shutdown",
        "play_stop live/show server_shutdown",
        "stream_delete live/show server_shutdown",
        "connection_close  server_shutdown",
    ] {
        ensure!(told.lines().any(|told| told == line), "no `{line}` in {told}");
    }
    ensure!(told.lines().filter(|line| line.starts_with("connection_close")).count() == 4, "{told}");
    Ok(())
}

#[test]
fn a_program_in_the_background_ends_with_the_server_after_the_stop_scripts() -> Result<()> {
    let folder = jackfield_e2e::Scratch::new()?;
    let notes = folder.path().join("notes");
    let start = folder.script(
        "start.sh",
        "#!/bin/bash\ntrap '' TERM\n(trap 'echo background ended >>\"$NOTES\"; exit' TERM\n\
         while :; do sleep 0.05; done) &\necho \"pid $!\" >>\"$NOTES\"\n",
    )?;
    let stop_script =
        folder.script("stop.sh", "#!/bin/bash\nsleep 0.5\necho stop script ended >>\"$NOTES\"\n")?;
    let server = Server::builder()
        .args(["--hook-script", &format!("publish_start={}", start.display())])
        .args(["--hook-script", &format!("publish_stop={}", stop_script.display())])
        .args(["--hook-timeout", "1s"])
        .env("NOTES", &notes)
        .start()?;
    let (publisher, _) = publish(&server, "show")?;
    server.wait_log("end of the start script", SOON, |line| line.field("outcome") == Some("answered"))?;
    let pid = std::fs::read_to_string(&notes)?;
    let pid: u32 = pid.trim().trim_start_matches("pid ").parse()?;
    ensure!(Processes::now()?.lives(pid), "the background program has ended with its script");
    drop(publisher);
    stop(server)?;
    let told = std::fs::read_to_string(&notes)?;
    let lines: Vec<&str> = told.lines().skip(1).collect();
    ensure!(lines == ["stop script ended", "background ended"], "{told}");
    ensure!(!Processes::now()?.lives(pid));
    Ok(())
}

#[test]
fn a_second_signal_ends_at_once() -> Result<()> {
    let folder = jackfield_e2e::Scratch::new()?;
    let notes = folder.path().join("notes");
    let late = jackfield_e2e::fixture("hooks/late.sh")?.display().to_string();
    let server = Server::builder()
        .config("[server]\ndrain_timeout = \"10m\"\n[hooks]\ntimeout = \"1h\"\n")
        .args(["--hook-script", &format!("publish_stop={late}")])
        .env("NOTES", &notes)
        .env("LATE", "600")
        .start()?;
    let (publisher, _) = publish(&server, "show")?;
    let pid = server.pid();
    server.signal(Signal::TERM)?;
    // The stop script is on its way, and would take ten minutes.
    server.wait_log("the start of the stop script", SOON, |line| {
        line.field("event").is_some_and(|event| event.contains("publish_stop"))
    })?;
    let programs = Processes::now()?.below(pid);
    server.signal(Signal::TERM)?;
    let ended = server.wait(SOON)?;
    ensure!(ended.status.code() == Some(0), "{}", ended.status);
    for program in programs {
        jackfield_e2e::wait_end(program, SOON)?;
    }
    ensure!(!notes.exists(), "the stop script has ended");
    drop(publisher);
    Ok(())
}
