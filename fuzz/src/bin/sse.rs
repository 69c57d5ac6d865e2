//! Server-sent events, whatever the server says: the pieces in which they arrive make no difference, and what was
//! read reads the same when it is written again.
#![no_main]

use jackfield_fuzz::pieces;
use jackfield_net::sse::{Message, Reader};
use libfuzzer_sys::fuzz_target;

fn read<'a>(blocks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Message> {
    let (mut reader, mut messages) = (Reader::default(), Vec::new());
    for block in blocks {
        reader.feed(block, &mut messages).expect("the input is smaller than an event may be");
    }
    messages
}

fuzz_target!(|data: &[u8]| {
    let whole = read([data]);
    if let Some((pattern, _)) = data.split_first() {
        assert_eq!(read(pieces(*pattern, data)), whole);
    }
    let mut written = String::new();
    for Message { id, event, data } in &whole {
        if let Some(id) = id {
            written += &format!("id: {id}\n");
        }
        written += &format!("event: {event}\n");
        for line in data.split('\n') {
            written += &format!("data: {line}\n");
        }
        written.push('\n');
    }
    assert_eq!(read([written.as_bytes()]), whole);
});
