//! The data folder: one server at a time, and one that is removed under the server.

use anyhow::{Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{LogLine, Program, SOON, Server, server};

#[test]
fn a_second_server_on_the_same_data_folder_is_refused() -> Result<()> {
    let first = Server::builder().start()?;
    let data = first.folder().join("data");
    let second = Program::new(server()?)
        .args(["--listen", "127.0.0.1:0", "--http-listen", "off", "--data-dir"])
        .args([&data])
        .cwd(first.folder())
        .run(SOON)?;
    ensure!(second.code == Some(1), "{second:?}");
    let why = format!("belongs to another running server (process {})", first.pid());
    ensure!(second.stderr.contains(&why), "{}", second.stderr);
    first.stop()?;
    // Once it is gone the folder is free.
    Server::builder().data_dir(&data).start()?.stop()?;
    Ok(())
}

#[test]
fn a_data_folder_that_is_removed_under_the_server_is_made_again_and_that_is_told() -> Result<()> {
    let server = Server::builder().start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("a")?;
    server.events().wait_for("publish_start", SOON, |_| true)?;
    let log = server.folder().join("data/events/log");
    // Its first notices are written: without a segment there would be nothing to miss.
    jackfield_e2e::eventually("a segment", SOON, || Ok(log.read_dir()?.next().map(drop)))?;
    // Taken away at once, and then removed: otherwise the server may write into what is being emptied.
    let away = server.folder().join("away");
    std::fs::rename(server.folder().join("data"), &away)?;
    std::fs::remove_dir_all(&away).or_else(|_| std::fs::remove_dir_all(&away))?;
    publisher.unpublish(stream, "a")?;
    server.wait_log("that it was removed", SOON, |line: &LogLine| {
        line.message().starts_with("The log of events was removed")
    })?;
    jackfield_e2e::eventually("the log", SOON, || Ok(log.is_dir().then_some(())))?;
    server.stop()?;
    Ok(())
}
