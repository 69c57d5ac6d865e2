//! The answers of handlers: whatever they say, the answer is bounded and clean, and a failure is a protocol error.
#![no_main]

use jackfield_events::{Answer, Decision, Kind, Reason};
use jackfield_hooks::{ANSWER_CAP, Outcome, parse_answer, parse_reason};
use libfuzzer_sys::fuzz_target;
use ulid::Ulid;

fn clean(text: &str, most: usize) {
    assert!(!text.chars().any(char::is_control) && text.len() <= most, "{text:?}");
}

fn check_reason(reason: &Reason) {
    for (part, most) in [(&reason.code, 256), (&reason.text, 1024), (&reason.public, 200)] {
        part.iter().for_each(|part| clean(part.as_str(), most));
    }
}

fn check(kind: Kind, answer: &Answer) {
    check_reason(&answer.reason);
    assert!(answer.tags.len() <= 64);
    for (name, value) in &answer.tags {
        clean(name.as_str(), 256);
        clean(value.as_str(), 512);
    }
    if let Decision::Replace(value) = &answer.decision {
        assert!(kind == Kind::Resolve && !value.as_str().is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    let id = Ulid::from_parts(1, 2);
    for kind in [Kind::Notice, Kind::Authorize, Kind::Resolve] {
        let parsed = parse_answer(kind, id, data);
        match &parsed {
            Ok(answer) => check(kind, answer),
            Err(failure) => assert_eq!(failure.outcome, Outcome::ProtocolError),
        }
        if kind == Kind::Notice {
            assert_eq!(parsed, Ok(Answer::bare(Decision::Pass)));
        }
        // White space around an answer means nothing.
        let padded = [b" \n", data, b"\r\n"].concat();
        if padded.len() <= ANSWER_CAP {
            let again = parse_answer(kind, id, &padded);
            assert_eq!(parsed.as_ref().ok(), again.as_ref().ok());
        }
    }
    check_reason(&parse_reason(data));
});
