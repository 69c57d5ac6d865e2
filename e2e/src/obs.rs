//! OBS Studio as a publisher: a picture of one colour and silence, on a display that nobody sees.
//!
//! It wants half a core, a display and 300 MB of packages, so that only `make test-all` runs it. Its folder is its home:
//! it finds no settings of the machine's user and leaves none. What it tells of its connection is read from its log file,
//! where a user looks.

use crate::{Program, Running, SOON, Scratch, eventually};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A running OBS that streams, and goes on trying when the server goes away. It is killed when this value goes.
#[derive(Debug)]
pub struct Obs {
    program: Running,
    _display: Running,
    // Last, so that it goes after the program that uses it.
    folder: Scratch,
}

impl Obs {
    /// Whether OBS and a virtual display are on this machine.
    pub fn is_installed() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
        there("obs") && there("Xvfb")
    }

    /// Has it stream to `server` (`rtmp://host/app`) with this stream key, from its start on.
    ///
    /// # Errors
    /// When the display or OBS cannot be started. That it publishes is another matter: wait for `publish_start`.
    pub fn start(server: &str, key: &str) -> Result<Self> {
        let folder = Scratch::new()?;
        settings(folder.path(), server, key)?;
        // The display picks a number that nobody has and tells it.
        let display = Program::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"])
            .start()?;
        let number = display.stdout().wait("number of the display", SOON, |lines| lines.first().cloned())?;
        let program = Program::new("obs")
            .args(["--startstreaming", "--profile", "jf", "--collection", "jf"])
            .args(["--minimize-to-tray", "--multi", "--disable-updater"])
            .env("DISPLAY", format!(":{number}"))
            .env("HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            // It asks its makers for a newer list of services; nobody listens on port 1.
            .env("https_proxy", "http://127.0.0.1:1")
            .cwd(folder.path())
            .start()?;
        Ok(Self { program, _display: display, folder })
    }

    /// Waits until this stands in its log file, and returns the file.
    ///
    /// # Errors
    /// When it does not come `within` that time; the error shows the end of the log.
    pub fn wait_log(&self, text: &str, within: Duration) -> Result<String> {
        let found = eventually(&format!("`{text}` in the log of OBS"), within, || {
            let log = self.log()?;
            Ok(log.contains(text).then_some(log))
        });
        found.with_context(|| {
            let log = self.log().unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
        })
    }

    /// Its log file so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        let folder = self.folder.path().join("obs-studio/logs");
        if !folder.exists() {
            return Ok(String::new());
        }
        let mut log = String::new();
        for file in fs::read_dir(folder)? {
            log.push_str(&fs::read_to_string(file?.path())?);
        }
        Ok(log)
    }

    /// Ends it, with SIGTERM.
    pub fn end(mut self) {
        self.program.end(SOON);
    }
}

/// Writes the files that OBS would ask its user for.
fn settings(home: &Path, server: &str, key: &str) -> Result<()> {
    let root = home.join("obs-studio");
    let service = serde_json::json!({ "type": "rtmp_custom", "settings": { "server": server, "key": key } });
    let files: [(PathBuf, String); 4] = [
        (root.join("global.ini"), GLOBAL.to_owned()),
        (root.join("basic/profiles/jf/basic.ini"), PROFILE.to_owned()),
        (root.join("basic/profiles/jf/service.json"), service.to_string()),
        (root.join("basic/scenes/jf.json"), SCENES.to_owned()),
    ];
    for (path, content) in files {
        let folder = path.parent().context("a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

const GLOBAL: &str = "[General]
FirstRun=true

[Basic]
Profile=jf
ProfileDir=jf
SceneCollection=jf
SceneCollectionFile=jf
";

/// A key frame each second, or a late player waits for ten; retries without the patience that people have.
const PROFILE: &str = "[General]
Name=jf

[Output]
Mode=Simple
Reconnect=true
RetryDelay=1
MaxRetries=20

[SimpleOutput]
UseAdvanced=true
x264Settings=keyint=30
Preset=ultrafast
VBitrate=300
ABitrate=96

[Video]
BaseCX=320
BaseCY=180
OutputCX=320
OutputCY=180
FPSType=0
FPSCommon=30
";

const SCENES: &str = r#"{
  "name": "jf",
  "current_scene": "Scene",
  "current_program_scene": "Scene",
  "scene_order": [{ "name": "Scene" }],
  "sources": [
    { "id": "color_source_v3", "name": "Colour", "settings": { "color": 4281549941, "width": 320, "height": 180 } },
    { "id": "scene", "name": "Scene",
      "settings": { "id_counter": 1, "items": [{ "name": "Colour", "id": 1, "visible": true }] } }
  ]
}
"#;
