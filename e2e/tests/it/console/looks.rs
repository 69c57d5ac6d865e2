//! What everybody must be able to use: by keyboard, with a screen reader, in the dark, on a small screen.

use super::{after_a_refusal, go_and_wait, signed_in, wanted};
use anyhow::{Result, ensure};
use jackfield_e2e::{PublisherKind, SOON, Server, all_cases, clip};
use serde_json::json;

const VIEWS: [&str; 12] = [
    "streams",
    "streams/live%2Fa",
    "connections",
    "hooks",
    "hooks/door",
    "events",
    "deliveries",
    "dead-letters",
    "explain",
    "explain/c000001",
    "configuration",
    "nowhere",
];

#[test]
fn every_view_is_usable_in_light_and_dark_and_at_360_pixels() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let (_door, server) = after_a_refusal()?;
    // The long form looks at it for longer than the usual clip lasts.
    let clip = if all_cases() { clip::lasting(90)? } else { clip::standard()? };
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/a"))?;
    server.events().wait_for("codec_detected", SOON, |event| event.data("kind") == Some("video"))?;
    let browser = signed_in(&server)?;
    // The short form takes each kind of view once, and each theme and width.
    let looks = [("light", 1280, 900), ("dark", 360, 740), ("dark", 1280, 900), ("light", 360, 740)];
    let (looks, step) = if all_cases() { (&looks[..], 1) } else { (&looks[..2], 3) };
    for &(theme, width, height) in looks {
        browser.tell(&json!({"do": "theme", "theme": theme}))?;
        browser.tell(&json!({"do": "resize", "width": width, "height": height}))?;
        for view in VIEWS.iter().step_by(step) {
            go_and_wait(&browser, view)?;
            let found = browser.tell(&json!({"do": "axe"}))?;
            ensure!(
                found.as_array().is_some_and(Vec::is_empty),
                "{view} in {theme}, {width} wide: {found:#}"
            );
            let over = browser
                .evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
            ensure!(over.as_i64().is_some_and(|over| over <= 0), "{view} is {over} wider than {width}");
            browser.picture(&format!("{}-{theme}-{width}", view.replace('/', "-")))?;
        }
    }
    browser.check(&[])?;
    server.stop().map(drop)
}

/// Goes to the deliveries, presses `/` as soon as they stand there, and says two pictures later where the focus is.
const QUICK: &str = "new Promise((found) => {
    const picture = (then) => requestAnimationFrame(then);
    addEventListener('hashchange', () => picture(() => {
        document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }));
        picture(() => picture(() => found(document.activeElement.name)));
    }), { once: true });
    location.hash = '#/deliveries';
})";

#[test]
fn the_keyboard_reaches_everything() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let server = Server::builder().start()?;
    let browser = signed_in(&server)?;
    browser.see("No stream yet")?;
    browser.tell(&json!({"do": "reload"}))?;
    browser.see("No stream yet")?;
    // The first stop leads past the menu.
    browser.press(&["Tab"])?;
    browser.until("document.activeElement.textContent === 'Skip to the content'")?;
    browser.press(&["Enter"])?;
    browser.until("document.activeElement.id === 'main'")?;
    for (keys, title) in [
        (["g", "c"], "Connections"),
        (["g", "h"], "Hooks"),
        (["g", "e"], "Events"),
        (["g", "d"], "Deliveries"),
        (["g", "l"], "Dead letters"),
        (["g", "x"], "Explain"),
        (["g", "o"], "Configuration"),
        (["g", "s"], "Streams"),
    ] {
        browser.press(&keys)?;
        browser.until(&format!(
            "document.title === '{title} · Jackfield' && document.activeElement.textContent === '{title}'"
        ))?;
    }
    browser.press(&["g", "d"])?;
    browser.see("Deliveries")?;
    browser.press(&["/"])?;
    browser.until("document.activeElement.name === 'hook'")?;
    // Who types means letters.
    browser.press(&["g", "s"])?;
    browser.until("document.activeElement.value === 'gs' && document.title.startsWith('Deliveries')")?;
    browser.go("#/streams")?;
    browser.see("No stream yet")?;

    browser.press(&["t", "t"])?;
    browser.until("document.documentElement.dataset.theme === 'dark'")?;
    browser.tell(&json!({"do": "reload"}))?;
    browser.until("document.documentElement.dataset.theme === 'dark'")?;
    browser.see("No stream yet")?;
    ensure!(browser.evaluate(QUICK)? == "hook", "who was quicker than the view has lost the field");
    browser.go("#/streams")?;
    browser.see("No stream yet")?;
    browser.press(&["?"])?;
    browser.until("document.querySelector('dialog[open]') !== null")?;
    browser.tell(&json!({"do": "click", "role": "checkbox", "name": "Keys without Ctrl or Alt do something", "within": "dialog"}))?;
    browser.press(&["Escape"])?;
    browser.until("document.querySelector('dialog') === null")?;
    browser.press(&["g", "h"])?;
    ensure!(browser.evaluate("location.hash")? != "#/hooks", "keys that are off did something");
    browser.check(&[])?;
    server.stop().map(drop)
}
