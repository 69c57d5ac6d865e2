//! AMF3: no input panics or takes much memory, copies stay within the bounds, and what is said to be converted
//! without loss is told in AMF0 so that it reads the same.
#![no_main]

use jackfield_rtmp::amf::{self, AmfError, AmfLimits, AmfReader, Form, Value};
use libfuzzer_sys::fuzz_target;

fn encode(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| amf::write(value, &mut out));
    out
}

/// How many values there are, and bytes of text in them.
fn size(value: &Value) -> (usize, usize) {
    let object = |object: &amf::Object| {
        object.iter().fold((1, 0), |(count, bytes), (name, value)| {
            let (own, text) = size(value);
            (count + own, bytes + name.len() + text)
        })
    };
    match value {
        Value::String(text) | Value::Xml(text) => (1, text.len()),
        Value::Object(own) | Value::EcmaArray(own) => object(own),
        Value::Typed { class, object: own } => {
            let (count, bytes) = object(own);
            (count, bytes + class.len())
        }
        Value::StrictArray(values) => values.iter().fold((1, 0), |(count, bytes), value| {
            let (own, text) = size(value);
            (count + own, bytes + text)
        }),
        _ => (1, 0),
    }
}

/// Makes values that are well formed more often than not.
struct Maker<'a> {
    seed: &'a [u8],
    out: Vec<u8>,
}

impl Maker<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.seed.split_first() else { return 0 };
        self.seed = rest;
        first
    }

    /// A reference, or a length of up to 3.
    fn lead(&mut self) -> u8 {
        let byte = self.byte();
        let number = if byte & 1 == 0 { byte & 0x3e } else { byte & 7 };
        self.out.push(number);
        if number & 1 == 1 { number >> 1 } else { 0 }
    }

    fn string(&mut self) {
        for _ in 0..self.lead() {
            let byte = self.byte();
            self.out.push(byte);
        }
    }

    fn bytes(&mut self, count: usize) {
        for _ in 0..count {
            let byte = self.byte();
            self.out.push(byte);
        }
    }

    fn value(&mut self, depth: usize) {
        let kind = if depth > 40 || self.seed.is_empty() { 1 } else { self.byte() % 0x13 };
        self.out.push(kind);
        match kind {
            0x04 => {
                let number = self.byte() & 0x7f;
                self.out.push(number);
            }
            0x05 => self.bytes(8),
            0x06 | 0x07 | 0x0b | 0x0c => self.string(),
            0x08 => {
                let before = self.out.len();
                self.lead();
                if self.out.get(before).is_some_and(|lead| lead & 1 == 1) {
                    self.bytes(8);
                }
            }
            0x09 => {
                let before = self.out.len();
                let dense = self.lead();
                if self.out.get(before).is_some_and(|lead| lead & 1 == 1) {
                    self.named(depth);
                    (0..dense).for_each(|_| self.value(depth + 1));
                }
            }
            0x0a => self.object(depth),
            0x0d..=0x10 => {
                let before = self.out.len();
                let count = self.lead();
                if self.out.get(before).is_some_and(|lead| lead & 1 == 1) {
                    self.out.push(0);
                    match kind {
                        0x0f => self.bytes(8 * usize::from(count)),
                        0x10 => {
                            self.string();
                            (0..count).for_each(|_| self.value(depth + 1));
                        }
                        _ => self.bytes(4 * usize::from(count)),
                    }
                }
            }
            0x11 => {
                let before = self.out.len();
                let count = self.lead();
                if self.out.get(before).is_some_and(|lead| lead & 1 == 1) {
                    self.out.push(0);
                    (0..2 * count).for_each(|_| self.value(depth + 1));
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, depth: usize) {
        let lead = self.byte() & 0x3f;
        self.out.push(lead);
        // Inline, with traits inline, not externalizable.
        if lead & 7 == 3 {
            self.string();
            (0..lead >> 4).for_each(|_| self.string());
            (0..lead >> 4).for_each(|_| self.value(depth + 1));
            if lead & 8 != 0 {
                self.named(depth);
            }
        }
    }

    fn named(&mut self, depth: usize) {
        while self.byte() & 3 == 3 {
            let before = self.out.len();
            self.string();
            if self.out.get(before) == Some(&1) {
                return;
            }
            self.value(depth + 1);
        }
        self.out.push(1);
    }
}

fn check(bytes: &[u8], limits: AmfLimits) {
    let mut reader = AmfReader::amf3(bytes, limits);
    let Ok(values) = reader.all() else { return };
    let (count, text) = values.iter().map(size).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    assert!(count <= limits.values, "{count} values");
    // Bytes that are no UTF-8 take three times their length; what is inline is counted three times.
    assert!(text <= 9 * bytes.len() + limits.repeated_bytes, "{text} bytes of text");
    if bytes.is_empty() || reader.form() != Form::Converted {
        return;
    }
    let once = encode(&values);
    match AmfReader::new(&once, limits).all() {
        // Bytes are compared and not values: a NaN is not equal to itself.
        Ok(again) => assert_eq!(once, encode(&again)),
        Err(error) => panic!("what was converted cannot be read: {error}"),
    }
}

/// The same values, each behind the marker of AMF0, are the same.
fn check_switch(bytes: &[u8], limits: AmfLimits) {
    let mut reader = AmfReader::amf3(bytes, limits);
    let (mut marked, mut values) = (Vec::new(), Vec::new());
    loop {
        let before = reader.rest();
        match reader.next_value() {
            Ok(Some(value)) => values.push(value),
            Ok(None) => break,
            Err(_) => return,
        }
        marked.push(0x11);
        marked.extend_from_slice(&before[..before.len() - reader.rest().len()]);
    }
    match AmfReader::new(&marked, limits).all() {
        Ok(again) => assert_eq!(encode(&again), encode(&values)),
        // AMF0 counts the value that the marker is, too.
        Err(AmfError::TooManyValues(_)) => {}
        Err(error) => panic!("what was read cannot be read behind a marker: {error}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let [mode, bytes @ ..] = data else { return };
    let limits = match mode & 2 {
        0 => AmfLimits::default(),
        _ => AmfLimits { depth: 4, values: 50, repeated_bytes: 100 },
    };
    if mode & 1 == 0 {
        check(bytes, limits);
        check_switch(bytes, limits);
    } else {
        let mut maker = Maker { seed: bytes, out: Vec::new() };
        while !maker.seed.is_empty() {
            maker.value(0);
        }
        check(&maker.out, limits);
        check_switch(&maker.out, limits);
    }
});
