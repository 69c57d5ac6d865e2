//! The ledger in a file: written whole beside the former one, and put in its place.

use super::Ledger;
use super::pairs::{OpenPair, Opened, kind_of, protocol_of};
use jackfield_events::Scope;
use jackfield_journal::MAX_POSITION;
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, UnixTime};
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Version of the form of the file.
const VERSION: u64 = 1;
/// A file longer than this is none of ours.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// How the server that wrote the file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It wrote this as its last word: no number was given since.
    InOrder,
    /// It ran on.
    Running,
}

/// Why a file is no ledger.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is damaged")]
    Damaged,
}

impl Ledger {
    /// Writes the file; returns how long it is.
    pub(crate) fn store(&self, path: &Path, how: How) -> io::Result<u64> {
        let epochs: Vec<Value> =
            self.epochs.known().map(|(key, epoch)| json!([key.as_str(), epoch])).collect();
        let text = json!({
            "v": VERSION, "in_order": how == How::InOrder, "seq": self.seq, "conn": self.conn,
            "session": self.session, "floor": self.epochs.floor(), "epochs": epochs,
            "open": self.open.values().map(OpenPair::json).collect::<Vec<Value>>(),
        });
        let text = text.to_string();
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, path)?;
        Ok(text.len() as u64)
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn load(path: &Path) -> Result<Option<(Self, How)>, CheckpointError> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            // To open a pipe would be to wait for a writer.
            Ok(file) if file.len() > MAX_BYTES || !file.is_file() => return Err(CheckpointError::Damaged),
            Ok(_) => {}
        }
        let text = fs::read(path)?;
        read(&text).map(Some).ok_or(CheckpointError::Damaged)
    }
}

fn read(text: &[u8]) -> Option<(Ledger, How)> {
    let file: Map<String, Value> = serde_json::from_slice(text).ok()?;
    // Numbers so high were given by nobody, and counting on from them would end.
    let number = |name: &str| file.get(name)?.as_u64().filter(|number| *number <= MAX_POSITION);
    if number("v")? != VERSION {
        return None;
    }
    let mut ledger = Ledger {
        seq: number("seq")?,
        conn: number("conn")?,
        session: number("session")?,
        ..Ledger::default()
    };
    ledger.epochs.raise_floor(number("floor")?);
    for known in file.get("epochs")?.as_array()? {
        let (key, epoch) = (known.get(0)?.as_str()?, known.get(1)?.as_u64()?);
        if epoch > MAX_POSITION {
            return None;
        }
        ledger.epochs.saw(&StreamKey::parse(key).ok()?, Epoch(epoch));
    }
    for pair in file.get("open")?.as_array()? {
        let pair = OpenPair::read(pair)?;
        ledger.open.insert(pair.key()?, pair);
    }
    let how = if file.get("in_order")?.as_bool()? { How::InOrder } else { How::Running };
    Some((ledger, how))
}

impl OpenPair {
    fn json(&self) -> Value {
        let scope = &self.scope;
        let mut pair = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                pair.insert(name.to_owned(), value);
            }
        };
        put("conn", scope.conn_id.map(|id| id.0.into()));
        put("session", scope.session_id.map(|id| id.0.into()));
        put("key", scope.stream_key.as_ref().map(|key| key.as_str().into()));
        put("epoch", scope.epoch.map(|epoch| epoch.0.into()));
        put("at", Some(self.started_at.0.into()));
        let (what, client) = match &self.opened {
            Opened::Media { kind, track, first_ms } => {
                put("kind", Some(kind.as_str().into()));
                put("track", Some((*track).into()));
                put("first_ms", Some((*first_ms).into()));
                ("media", None)
            }
            Opened::Publish { client_ip, protocol } => ("publish", Some((client_ip, protocol))),
            Opened::Play { client_ip, protocol } => ("play", Some((client_ip, protocol))),
            Opened::Stream => ("stream", None),
            Opened::Connection { client_ip, protocol } => ("connection", Some((client_ip, protocol))),
        };
        put("what", Some(what.into()));
        put("ip", client.map(|(ip, _)| ip.to_string().into()));
        put("protocol", client.map(|(_, protocol)| protocol.as_str().into()));
        Value::Object(pair)
    }

    fn read(pair: &Value) -> Option<Self> {
        let number = |name: &str| pair.get(name)?.as_u64();
        let text = |name: &str| pair.get(name)?.as_str();
        let client = || Some((text("ip")?.parse().ok()?, protocol_of(text("protocol")?)?));
        let opened = match text("what")? {
            "media" => Opened::Media {
                kind: kind_of(text("kind")?)?,
                track: number("track")?.try_into().ok()?,
                first_ms: pair.get("first_ms")?.as_i64()?,
            },
            "publish" => client().map(|(client_ip, protocol)| Opened::Publish { client_ip, protocol })?,
            "play" => client().map(|(client_ip, protocol)| Opened::Play { client_ip, protocol })?,
            "stream" => Opened::Stream,
            "connection" => {
                client().map(|(client_ip, protocol)| Opened::Connection { client_ip, protocol })?
            }
            _ => return None,
        };
        let stream_key = match text("key") {
            Some(key) => Some(StreamKey::parse(key).ok()?),
            None => None,
        };
        let scope = Scope {
            conn_id: number("conn").map(ConnId),
            session_id: number("session").map(SessionId),
            stream_key,
            epoch: number("epoch").map(Epoch),
        };
        Some(Self { scope, started_at: UnixTime(pair.get("at")?.as_i64()?), opened })
    }
}
