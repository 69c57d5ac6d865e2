//! A real browser that a test drives: Chromium, through Playwright, in a process of its own.
//!
//! `scripts/setup browser` brings both. The browser takes commands as lines of JSON (`e2e/browser/driver.js`), so that a
//! test reads as what a person does: [`Browser::fill`], [`Browser::click`], [`Browser::see`]. What goes wrong in the page
//! without being asked for (exceptions, breaches of its policy, failed loads) fails the test: [`Browser::check`].

use crate::{Program, Running, SOON};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::time::Duration;

/// The first start of a browser on a machine that is busy takes its time.
const START: Duration = Duration::from_secs(60);

/// A running browser with one page. It is killed when this value goes.
#[derive(Debug)]
pub struct Browser {
    program: Running,
    commands: RefCell<ChildStdin>,
    answered: Cell<usize>,
}

impl Browser {
    /// Whether a browser and what drives it are on this machine.
    pub fn is_installed() -> bool {
        chromium().is_some() && modules().join("playwright-core").is_dir()
    }

    /// Starts it with an empty profile and no page.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn start() -> Result<Self> {
        let chromium = chromium().context("no Chromium: `scripts/setup browser` installs it")?;
        let mut program = Program::new("node")
            .args([Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/driver.js")])
            .env("NODE_PATH", modules())
            .env("CHROMIUM", chromium)
            .with_stdin()
            .start()?;
        let commands = RefCell::new(program.take_stdin().context("standard input")?);
        let browser = Self { program, commands, answered: Cell::new(0) };
        browser.answer(START).context("starting the browser")?;
        Ok(browser)
    }

    /// Gives a command of `driver.js` and returns what it answers.
    ///
    /// # Errors
    /// When the driver says that it failed, or says nothing.
    pub fn tell(&self, command: &Value) -> Result<Value> {
        writeln!(self.commands.borrow_mut(), "{command}").context("the browser's driver is gone")?;
        self.answer(SOON).with_context(|| command.to_string())
    }

    fn answer(&self, within: Duration) -> Result<Value> {
        let number = self.answered.get();
        self.answered.set(number + 1);
        let line = self
            .program
            .stdout()
            .wait("answer of the browser", within, |lines| lines.get(number).cloned())
            .with_context(|| self.program.last_words())?;
        let answer: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(answer["ok"].clone()),
        }
    }

    /// Opens this address with an empty profile.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.tell(&json!({"do": "open", "url": url})).map(drop)
    }

    /// Goes to a view: `#/streams`.
    ///
    /// # Errors
    /// When there is no page.
    pub fn go(&self, hash: &str) -> Result<()> {
        self.tell(&json!({"do": "go", "hash": hash})).map(drop)
    }

    /// Presses the button of this name.
    ///
    /// # Errors
    /// When there is none soon.
    pub fn click(&self, name: &str) -> Result<()> {
        self.tell(&json!({"do": "click", "name": name})).map(drop)
    }

    /// Presses the button of this name in the dialog that is open.
    ///
    /// # Errors
    /// When there is none soon.
    pub fn confirm(&self, name: &str) -> Result<()> {
        self.tell(&json!({"do": "click", "name": name, "within": "dialog"})).map(drop)
    }

    /// Follows the link of this name in the content.
    ///
    /// # Errors
    /// When there is none soon.
    pub fn follow(&self, name: &str) -> Result<()> {
        self.tell(&json!({"do": "click", "role": "link", "name": name, "within": "main"})).map(drop)
    }

    /// Writes into the field with this label.
    ///
    /// # Errors
    /// When there is none soon.
    pub fn fill(&self, label: &str, value: &str) -> Result<()> {
        self.tell(&json!({"do": "fill", "label": label, "value": value})).map(drop)
    }

    /// Presses keys, one after the other.
    ///
    /// # Errors
    /// When there is no page.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.tell(&json!({"do": "press", "keys": keys})).map(drop)
    }

    /// Waits until this text can be read in the content.
    ///
    /// # Errors
    /// When it does not come; the error has what can be read instead.
    pub fn see(&self, text: &str) -> Result<()> {
        let seen = self.tell(&json!({"do": "see", "text": text, "within": "main"}));
        seen.map(drop).with_context(|| self.text().unwrap_or_default())
    }

    /// Waits until this text cannot be read in the content any more.
    ///
    /// # Errors
    /// When it stays.
    pub fn gone(&self, text: &str) -> Result<()> {
        let gone = self.tell(&json!({"do": "gone", "text": text, "within": "main"}));
        gone.map(drop).with_context(|| self.text().unwrap_or_default())
    }

    /// All that can be read in the content.
    ///
    /// # Errors
    /// When there is no page.
    pub fn text(&self) -> Result<String> {
        let text = self.tell(&json!({"do": "text", "within": "main"}))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// When it throws.
    pub fn evaluate(&self, script: &str) -> Result<Value> {
        self.tell(&json!({"do": "evaluate", "script": script}))
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Errors
    /// When it does not become true.
    pub fn until(&self, script: &str) -> Result<()> {
        self.tell(&json!({"do": "until", "script": script})).map(drop)
    }

    /// Keeps a picture of the page in `target/debug/e2e/console`, for people to look at.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn picture(&self, name: &str) -> Result<()> {
        let path = crate::place::kept("console")?.join(format!("{name}.png"));
        self.tell(&json!({"do": "shot", "path": path})).map(drop)
    }

    /// What went wrong in the page since the last look, but for what the test has caused on purpose.
    ///
    /// # Errors
    /// When anything did.
    pub fn check(&self, but: &[&str]) -> Result<()> {
        let faults = self.tell(&json!({"do": "faults"}))?;
        let faults = faults.as_array().into_iter().flatten().filter_map(Value::as_str);
        let faults: Vec<&str> = faults.filter(|fault| !but.iter().any(|but| fault.contains(but))).collect();
        ensure!(faults.is_empty(), "in the page: {faults:#?}");
        Ok(())
    }
}

/// Debian's browser, or the one that `CHROMIUM` names.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from("/usr/bin/chromium"))).filter(|path| path.is_file())
}

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/browser/node_modules")
}
