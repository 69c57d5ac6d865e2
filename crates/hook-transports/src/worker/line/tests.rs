//! Whose answer a line is, and when a worker is not trusted any more.

use super::*;

const A: DeliveryId = DeliveryId(1);
const B: DeliveryId = DeliveryId(2);

fn answer(delivery: DeliveryId, line: &str) -> Heard {
    Heard::Answer { delivery, line: line.as_bytes().to_vec() }
}

/// What it means, in one piece and byte by byte.
fn say(protocol: &mut Protocol, text: &str) -> Result<Vec<Heard>, Violation> {
    let mut heard = Vec::new();
    text.as_bytes().chunks(1).try_for_each(|byte| protocol.feed(byte, &mut heard))?;
    Ok(heard)
}

fn greeted(concurrency: usize) -> Protocol {
    let mut protocol = Protocol::default();
    let hello = format!("{{\"t\":\"hello\",\"proto\":[1,2],\"concurrency\":{concurrency}}}\n");
    assert_eq!(say(&mut protocol, &hello), Ok(vec![Heard::Hello { concurrency }]));
    protocol
}

#[test]
fn a_plain_worker_has_one_request_and_its_next_line_is_the_answer() {
    let mut protocol = Protocol::default();
    assert_eq!(protocol.begin(A), Some(Form::Plain));
    assert_eq!(protocol.begin(B), None);
    assert_eq!(
        say(&mut protocol, "\r\n{\"decision\":\"allow\"}\n"),
        Ok(vec![answer(A, r#"{"decision":"allow"}"#)])
    );
    assert_eq!(protocol.begin(B), Some(Form::Plain));
    assert_eq!(say(&mut protocol, "what"), Ok(vec![]));
    assert_eq!(say(&mut protocol, "ever\n\n"), Ok(vec![answer(B, "whatever")]));
}

#[test]
fn a_plain_line_that_nobody_asked_for_ends_trust() {
    for banner in ["Ready!\n", "{\"t\":\"hi\"}\n", "[1]\n"] {
        assert_eq!(say(&mut Protocol::default(), banner), Err(Violation::Unasked));
    }
    let mut protocol = Protocol::default();
    protocol.begin(A);
    let mut heard = Vec::new();
    let twice = protocol.feed(b"{}\n{}\n", &mut heard);
    assert_eq!((twice, heard), (Err(Violation::Unasked), vec![answer(A, "{}")]));

    let mut protocol = Protocol::default();
    protocol.begin(A);
    let mut heard = Vec::new();
    let begun = protocol.feed(b"{}\n{\"deci", &mut heard);
    assert_eq!(
        (begun, heard),
        (Err(Violation::Unasked), vec![answer(A, "{}")]),
        "the rest is not waited for"
    );
}

#[test]
fn a_hello_counts_only_as_the_first_line() {
    let mut protocol = Protocol::default();
    protocol.begin(A);
    say(&mut protocol, "{}\n").unwrap();
    protocol.begin(B);
    let hello = r#"{"t":"hello","proto":[1]}"#;
    assert_eq!(say(&mut protocol, &format!("{hello}\n")), Ok(vec![answer(B, hello)]));
    assert_eq!(protocol.form(), Form::Plain);
}

#[test]
fn a_hello_names_its_versions_and_wishes() {
    let check = |hello: &str, expect| assert_eq!(say(&mut Protocol::default(), hello), expect, "{hello}");
    let fine = |concurrency| Ok(vec![Heard::Hello { concurrency }]);
    check("{\"t\":\"hello\"}\n", fine(1));
    check("{\"t\":\"hello\",\"proto\":[1],\"concurrency\":0,\"name\":\"x\"}\n", fine(1));
    check("{\"t\":\"hello\",\"concurrency\":18446744073709551615}\n", fine(MAX_CONCURRENCY));
    check("{\"t\":\"hello\",\"proto\":[2]}\n", Err(Violation::Version));
    check("{\"t\":\"hello\",\"proto\":\"1\"}\n", Err(Violation::Unasked));
}

#[test]
fn framed_answers_come_in_any_order() {
    let mut protocol = greeted(2);
    assert_eq!((protocol.begin(A), protocol.begin(B)), (Some(Form::Framed), Some(Form::Framed)));
    assert_eq!(protocol.begin(DeliveryId(3)), None);
    let (a, b) = (r#"{"d":"dlv_00000001"}"#, r#"{"decision":"deny","d":"dlv_00000002"}"#);
    assert_eq!(say(&mut protocol, &format!("{b}\n{a}\n")), Ok(vec![answer(B, b), answer(A, a)]));
    assert_eq!(protocol.begin(A), Some(Form::Framed));
    assert_eq!(protocol.begin(A), None, "it is under way");
}

#[test]
fn a_request_sent_before_the_hello_was_read_is_answered_in_the_plain_form() {
    let mut protocol = Protocol::default();
    assert_eq!(protocol.begin(A), Some(Form::Plain));
    say(&mut protocol, "{\"t\":\"hello\",\"concurrency\":2}\n").unwrap();
    assert_eq!(protocol.begin(B), Some(Form::Framed));
    assert_eq!(protocol.begin(DeliveryId(3)), None);
    assert_eq!(protocol.abandon(A), Abandon::Replace);
    assert_eq!(
        say(&mut protocol, "{\"decision\":\"allow\"}\n"),
        Ok(vec![answer(A, r#"{"decision":"allow"}"#)])
    );
    assert_eq!(say(&mut protocol, "{\"decision\":\"allow\"}\n"), Err(Violation::Unasked));
}

#[test]
fn a_framed_worker_that_answers_what_it_was_not_asked_ends_trust() {
    let check = |line: &str, expect| {
        let mut protocol = greeted(2);
        protocol.begin(A);
        assert_eq!(say(&mut protocol, line), Err(expect), "{line}");
    };
    check("{\"d\":\"dlv_00000002\"}\n", Violation::Unknown);
    check("{\"d\":\"dlv_00000001\"}\n{\"d\":\"dlv_00000001\"}\n", Violation::Unknown);
    check("{\"decision\":\"allow\"}\n", Violation::Unasked);
    check("{\"d\":null}\n", Violation::Unasked);
    for line in [
        "Ready!",
        "{",
        "[\"dlv_00000001\"]",
        "{\"d\":1}",
        "{\"d\":\"dlv_+0000001\"}",
        "{\"d\":\"1\"}",
        "\"x\"",
    ] {
        check(&format!("{line}\n"), Violation::NoAnswer);
    }
    check("{\"d\":\"dlv_00000001\",\"d\":\"dlv_00000002\"}\n", Violation::NoAnswer);
}

#[test]
fn a_cancelled_request_may_be_answered_late_once() {
    let mut protocol = greeted(1);
    protocol.begin(A);
    assert_eq!(protocol.abandon(A), Abandon::Tell);
    assert_eq!(protocol.abandon(A), Abandon::Nothing);
    assert_eq!(protocol.begin(B), Some(Form::Framed), "its place is free");
    assert_eq!(say(&mut protocol, "{\"d\":\"dlv_00000001\"}\n"), Ok(vec![Heard::Late]));
    assert_eq!(say(&mut protocol, "{\"d\":\"dlv_00000001\"}\n"), Err(Violation::Unknown));
}

#[test]
fn a_plain_worker_that_is_given_up_on_must_be_replaced() {
    let mut protocol = Protocol::default();
    assert_eq!(protocol.abandon(A), Abandon::Nothing);
    protocol.begin(A);
    assert_eq!(protocol.abandon(A), Abandon::Replace);
}

#[test]
fn a_line_is_bounded_whether_it_ends_or_not() {
    for end in ["", "\n"] {
        let mut protocol = Protocol::default();
        protocol.begin(A);
        let mut heard = Vec::new();
        let line = "x".repeat(ANSWER_CAP);
        protocol.feed(line.as_bytes(), &mut heard).unwrap();
        assert_eq!(protocol.feed(format!("x{end}").as_bytes(), &mut heard), Err(Violation::TooLong));
        assert!(protocol.partial.len() <= ANSWER_CAP && heard.is_empty());
    }
}

#[test]
fn a_worker_that_stops_answering_is_remembered_within_bounds() {
    let mut protocol = greeted(1);
    for number in 0..3000 {
        protocol.begin(DeliveryId(number)).unwrap();
        assert_eq!(protocol.abandon(DeliveryId(number)), Abandon::Tell);
    }
    assert_eq!(protocol.cancelled.len(), MAX_CANCELLED);
}

#[test]
fn empty_lines_for_ever_end_trust() {
    assert_eq!(say(&mut Protocol::default(), &"\n".repeat(100)), Ok(vec![]));
    assert_eq!(say(&mut Protocol::default(), &"\n".repeat(101)), Err(Violation::Unasked));
}
