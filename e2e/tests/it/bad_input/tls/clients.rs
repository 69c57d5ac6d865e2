//! Our own client before a server whose certificate does not hold.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{Program, SOON, Scratch, clip, server};

#[test]
fn our_client_speaks_to_no_server_whose_certificate_does_not_hold() -> Result<()> {
    let (ours, others) = (Authority::new()?, Authority::new()?);
    let folder = Scratch::new()?;
    let ca = folder.file("ca.pem", &ours.pem())?.display().to_string();
    let clip = clip::standard()?.path().display().to_string();
    let cases = [
        ("of an authority with the same name", others.identity(&["localhost"])?, "BadSignature"),
        ("another host's", ours.identity(&["other.example"])?, "not valid for name"),
        ("an old one", ours.expired_identity(&["localhost"])?, "expired"),
    ];
    for (name, identity, words) in cases {
        let (address, handshakes) = identity.silent_server()?;
        let url = format!("rtmps://localhost:{}/live/show", address.port());
        for command in [["play", &url, "-o", "-"].as_slice(), &["publish", &clip, &url]] {
            let ended = Program::new(server()?)
                .args(command.iter().copied())
                .args(["--tls-ca", &ca])
                .run(SOON)
                .context(name)?;
            ensure!(ended.code == Some(1) && ended.stdout.is_empty(), "{name}: {ended:?}");
            ensure!(ended.stderr.contains(words), "{name}: {}", ended.stderr);
        }
        handshakes.wait("end of both handshakes", SOON, |all| (all.len() == 2).then_some(()))?;
        ensure!(handshakes.all() == [false, false], "{name}: the client went on");
    }
    Ok(())
}

#[test]
fn our_client_trusts_the_authority_that_it_is_told_or_any() -> Result<()> {
    let (ours, others) = (Authority::new()?, Authority::new()?);
    let folder = Scratch::new()?;
    let ca = folder.file("ca.pem", &ours.pem())?.display().to_string();
    let cases = [
        (ours.identity(&["localhost"])?, vec!["--tls-ca", &ca]),
        (others.identity(&["localhost"])?, vec!["--insecure"]),
        (ours.expired_identity(&["other.example"])?, vec!["--insecure"]),
    ];
    for (identity, options) in cases {
        let (address, handshakes) = identity.silent_server()?;
        let url = format!("rtmps://localhost:{}/live/show", address.port());
        let _player = Program::new(server()?).args(["play", &url, "-o", "-"]).args(options).start()?;
        let went_on = handshakes.wait("end of the handshake", SOON, |all| all.first().copied())?;
        ensure!(went_on, "the client did not go on");
    }
    Ok(())
}
