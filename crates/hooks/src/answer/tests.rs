//! Every sentence of the answers' native form.

use super::*;

const ID: Ulid = Ulid(42);

fn parse(kind: Kind, text: &str) -> Result<Answer, Failure> {
    parse_answer(kind, ID, text.as_bytes())
}

#[track_caller]
fn decides(text: &str, expect: Decision) {
    assert_eq!(parse(Kind::Resolve, text).unwrap().decision, expect, "{text}");
}

#[track_caller]
fn fails(text: &str) {
    assert_eq!(parse(Kind::Authorize, text).unwrap_err().outcome, Outcome::ProtocolError, "{text}");
}

#[test]
fn nothing_and_an_empty_object_and_the_echoed_event_pass() {
    for text in
        ["", " \n", "{}", "{\"d\":\"dlv_1\"}", &format!("{{\"id\":\"{ID}\",\"type\":\"x\",\"data\":{{}}}}")]
    {
        decides(text, Decision::Pass);
    }
}

#[test]
fn words_decide() {
    decides(r#"{"decision":"allow"}"#, Decision::Allow);
    decides(r#"{"decision":"keep"}"#, Decision::Allow);
    decides(r#"{"decision":"deny"}"#, Decision::Deny);
    decides(r#"{"decision":"pass"}"#, Decision::Pass);
    decides(r#"{"decision":"replace","value":"a"}"#, Decision::Replace("a".into()));
    decides(&format!("{{\"id\":\"{ID}\",\"decision\":\"deny\"}}"), Decision::Deny);
}

#[test]
fn known_fields_without_a_decision_allow() {
    for field in ["\"record\":true", "\"tags\":{}", "\"ttl_ms\":1", "\"recheck_ms\":1", "\"room\":\"a\""] {
        decides(&format!("{{{field}}}"), Decision::Allow);
    }
}

#[test]
fn anything_else_is_an_error() {
    for text in [
        "yes",
        "true",
        "[]",
        "\"allow\"",
        "{\"decision\":\"maybe\"}",
        "{\"decision\":1}",
        "{\"allowed\":false}",
        "{\"reason\":\"x\"}",
        "{\"id\":\"another\"}",
        "{\"decision\":\"allow\"} trailing",
        "{\"decision\":\"allow\"",
        "{\"decision\":\"deny\",\"reason\":[]}",
        "{\"decision\":\"deny\",\"reason\":{\"code\":1}}",
        "{\"decision\":\"allow\",\"tags\":[1]}",
        "{\"decision\":\"replace\",\"value\":\"a\"}",
        "{\"decision\":\"allow\"}\u{0}",
    ] {
        fails(text);
    }
    assert!(parse_answer(Kind::Authorize, ID, b"\xff\xfe").is_err());
    assert!(parse(Kind::Resolve, r#"{"decision":"replace"}"#).is_err());
    assert!(parse(Kind::Resolve, r#"{"decision":"replace","value":""}"#).is_err());
    fails(&format!("{{\"decision\":{}{}}}", "[".repeat(5000), "]".repeat(5000)));
    fails(&" ".repeat(ANSWER_CAP + 1));
}

/// An answer that allows, with something in it that is `depth` deep with the answer itself.
fn nested(depth: usize) -> String {
    let [open, close] = ["[", "]"].map(|bracket| bracket.repeat(depth - 1));
    format!("{{\"decision\":\"allow\",\"x\":{open}{close}}}")
}

#[test]
fn an_answer_may_be_sixteen_deep_and_no_deeper() {
    decides(&nested(16), Decision::Allow);
    fails(&nested(17));
    fails(&format!(
        "{{\"decision\":\"allow\",\"x\":{}{}}}",
        "{\"y\":".repeat(16),
        "1".to_owned() + &"}".repeat(16)
    ));
}

#[test]
fn what_is_beside_each_other_or_in_a_text_is_not_deep() {
    decides(&format!("{{\"decision\":\"allow\",\"x\":[{}1]}}", "[],{},".repeat(20)), Decision::Allow);
    for text in [
        "[".repeat(20),
        "{".repeat(20),
        format!("\\\"{}", "[".repeat(20)),
        format!("\\\\\",\"z\":\"{}", "[".repeat(20)),
    ] {
        decides(&format!("{{\"decision\":\"allow\",\"x\":\"{text}\"}}"), Decision::Allow);
    }
    // Nor does a bracket in a text close one outside of it, or what stands outside hide in it.
    fails(&nested(17).replace("[[", "[\"]]]]]]]]\",["));
    fails(&nested(17).replace("[[", "[\"\\\\\",["));
    fails(&nested(17).replace("[[", "[\"}}}}\",["));
}

#[test]
fn an_answer_may_be_as_long_as_the_cap() {
    let deny = r#"{"decision":"deny"}"#;
    let padded = |bytes: usize| deny.to_owned() + &" ".repeat(bytes - deny.len());
    assert_eq!(ANSWER_CAP, 65_536);
    decides(&padded(65_536), Decision::Deny);
    fails(&padded(65_537));
}

#[test]
fn null_says_nothing() {
    for text in [
        r#"{"decision":"allow","reason":null}"#,
        r#"{"decision":"allow","reason":{"code":null,"text":"","public":" "}}"#,
        r#"{"decision":"allow","tags":null}"#,
    ] {
        assert_eq!(parse(Kind::Authorize, text).unwrap(), Answer::bare(Decision::Allow), "{text}");
    }
}

#[test]
fn sixty_four_tags_are_read_and_one_more_is_told_as_too_many() {
    let tagged = |count: usize| {
        let tags: Vec<String> = (0..count).map(|nth| format!("\"t{nth}\":{nth}")).collect();
        parse(Kind::Authorize, &format!("{{\"tags\":{{{}}}}}", tags.join(",")))
    };
    assert_eq!(tagged(64).unwrap().tags.len(), 64);
    assert_eq!(tagged(65).unwrap_err().detail, "`tags` has more than 64 tags");
}

#[test]
fn reasons_are_objects_or_the_public_text() {
    let denied = parse(Kind::Authorize, r#"{"decision":"deny","reason":"No\nway"}"#).unwrap();
    assert_eq!(denied.reason.public.as_deref(), Some("No way"));
    let text = r#"{"decision":"deny","reason":{"code":"c","text":"t","public":"p"},"x":1,"y":2}"#;
    let denied = parse(Kind::Authorize, text).unwrap();
    assert_eq!(
        (denied.reason.code.as_deref(), denied.reason.text.as_deref(), denied.reason.public.as_deref()),
        (Some("c"), Some("t"), Some("p"))
    );
    assert_eq!(denied.unknown_fields, 2);
    assert_eq!(parse_reason(br#"{"reason":"gone"}"#).public.as_deref(), Some("gone"));
    assert_eq!(parse_reason(b"<html>"), Reason::default());
}

#[test]
fn long_public_texts_are_cut_at_a_character() {
    let long = "ä".repeat(150);
    let denied = parse(Kind::Authorize, &format!("{{\"decision\":\"deny\",\"reason\":\"{long}\"}}")).unwrap();
    assert_eq!(denied.reason.public.unwrap().len(), 200);
}

#[test]
fn tags_are_texts_numbers_and_booleans() {
    let answer = parse(Kind::Authorize, r#"{"tags":{"plan":"pro","n":3,"b":true}}"#).unwrap();
    let tags: Vec<String> = answer.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(tags, ["b=true", "n=3", "plan=pro"]);
}

#[test]
fn of_a_notice_nothing_is_read() {
    assert_eq!(parse(Kind::Notice, "}{ whatever").unwrap(), Answer::bare(Decision::Pass));
}
