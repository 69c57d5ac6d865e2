//! Reading server-sent events: the client's side of a stream of `text/event-stream`, without input or output.
//!
//! | specification | where |
//! |---|---|
//! | HTML Living Standard, 9.2.6 "Interpreting an event stream" | [`Reader::feed`] |
//!
//! What differs from a browser: a field `retry` is ignored, since its callers have a schedule of their own, and an event has
//! a bound ([`MAX_EVENT_BYTES`]), over which the stream is given up.

/// Bytes of one event, its longest line included: a server that never ends one must not fill memory.
pub const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where the stream goes on behind this event; the last `id` that was told, none if none was.
    pub id: Option<String>,
    /// Its type; `message` if it has none.
    pub event: String,
    /// Its data, lines joined by a newline.
    pub data: String,
}

/// An event is larger than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than 4 MiB")]
pub struct TooLong;

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub struct Reader {
    /// What came of the line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right behind it belongs to it.
    after_return: bool,
    begun: bool,
    /// The `id` so far; it counts when the event that it stands in is whole.
    id: Option<String>,
    last: Option<String>,
    event: String,
    data: String,
    has_data: bool,
}

impl Reader {
    /// Takes what was read, in pieces of any size, and adds the events that are whole to `messages`.
    ///
    /// # Errors
    /// [`TooLong`]; nothing may be fed after that.
    pub fn feed(&mut self, bytes: &[u8], messages: &mut Vec<Message>) -> Result<(), TooLong> {
        for &byte in bytes {
            let goes_on = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if goes_on => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    messages.extend(self.line(&line));
                    // The allocation serves the next line.
                    self.line = line;
                    self.line.clear();
                }
                _ => {
                    if self.line.len() + self.data.len() >= MAX_EVENT_BYTES {
                        return Err(TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    /// Where the stream goes on: the last `id` of what was whole, with an event or without.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last.as_deref()
    }

    fn line(&mut self, line: &[u8]) -> Option<Message> {
        let line = String::from_utf8_lossy(line);
        // A byte order mark may stand before the first line.
        let line = match std::mem::replace(&mut self.begun, true) {
            false => line.strip_prefix('\u{feff}').unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            return self.finish();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // A comment, or a field that is not known.
            _ => {}
        }
        None
    }

    /// An empty line ends an event; one without data is none.
    fn finish(&mut self) -> Option<Message> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        let has_data = std::mem::take(&mut self.has_data);
        self.last.clone_from(&self.id);
        let event = if event.is_empty() { "message".to_owned() } else { event };
        has_data.then(|| Message { id: self.id.clone(), event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Vec<(Option<String>, String, String)> {
        let (mut reader, mut messages) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.feed(piece.as_bytes(), &mut messages).unwrap();
        }
        messages.into_iter().map(|message| (message.id, message.event, message.data)).collect()
    }

    fn message(id: &str, event: &str, data: &str) -> (Option<String>, String, String) {
        ((!id.is_empty()).then(|| id.to_owned()), event.to_owned(), data.to_owned())
    }

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = "\u{feff}: hello\nid: 7\nevent: publish_start\ndata: {\"a\":\ndata:1}\n\ndata: x\r\n\r\n:\n\nid\ndata\r\rdata";
        let expect = vec![
            message("7", "publish_start", "{\"a\":\n1}"),
            message("7", "message", "x"),
            (Some(String::new()), "message".to_owned(), String::new()),
        ];
        assert_eq!(read(&[text]), expect);
        let (mut reader, mut messages) = (Reader::default(), Vec::new());
        for byte in text.as_bytes() {
            reader.feed(&[*byte], &mut messages).unwrap();
        }
        assert_eq!(messages.len(), expect.len());
    }

    #[test]
    fn an_event_without_data_is_none_but_its_id_counts() {
        assert_eq!(read(&["id: 3\n\n", "event: x\n\n", "data: y\n\n"]), [message("3", "message", "y")]);
        assert_eq!(read(&["retry: 5\nnonsense\n\n"]), []);
    }

    #[test]
    fn the_id_of_an_event_that_is_not_whole_does_not_count() {
        let (mut reader, mut messages) = (Reader::default(), Vec::new());
        for (text, last) in [
            ("id: 1\ndata: x\n\n", Some("1")),
            ("id: 2\ndata: y\n", Some("1")),
            ("\n", Some("2")),
            (":\nid: 7\n\n", Some("7")),
            ("id: 8\n", Some("7")),
        ] {
            reader.feed(text.as_bytes(), &mut messages).unwrap();
            assert_eq!(reader.last_id(), last, "{text:?}");
        }
        assert_eq!(messages.len(), 2);
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut reader = Reader::default();
        let block = vec![b'x'; 64 * 1024];
        let fed: Result<Vec<()>, TooLong> = (0..=64).map(|_| reader.feed(&block, &mut Vec::new())).collect();
        assert_eq!(fed, Err(TooLong));
        let mut reader = Reader::default();
        let line = format!("data: {}\n", "y".repeat(60 * 1024));
        let fed: Result<Vec<()>, TooLong> =
            (0..=70).map(|_| reader.feed(line.as_bytes(), &mut Vec::new())).collect();
        assert_eq!(fed, Err(TooLong));
    }
}
