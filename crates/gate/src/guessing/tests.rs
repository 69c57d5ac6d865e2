//! The rules of the delays; time is a parameter.

use super::*;

fn guesses() -> Guesses {
    Guesses::new(NonZeroU32::new(5).unwrap())
}

fn origin(address: &str) -> Origin {
    Origin::of(address.parse().unwrap())
}

fn numbered(number: u32) -> Origin {
    Origin::of(std::net::Ipv4Addr::from_bits(number).into())
}

fn at(millis: u64) -> Mono {
    Mono::from_origin(Duration::from_millis(millis))
}

fn seconds(turn: Turn, now: Mono) -> Option<u64> {
    match turn {
        Turn::At(at) => Some(at.since(now).as_secs()),
        Turn::Never => None,
    }
}

#[test]
fn from_the_fifth_denial_within_a_minute_the_delay_doubles_up_to_ten_seconds() {
    let mut guesses = guesses();
    let who = origin("203.0.113.7");
    let delays: Vec<u64> = (0..12).map(|_| guesses.denied(at(0), who, "live").delay.as_secs()).collect();
    assert_eq!(delays, [0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 10, 10]);
    assert_eq!(guesses.denied(at(0), who, "live").denials, 9);
}

#[test]
fn a_client_that_tries_now_and_then_never_waits() {
    let mut guesses = guesses();
    for round in 0..100 {
        let counted = guesses.denied(at(round * 12_000), origin("203.0.113.7"), "live");
        assert_eq!((counted.denials, counted.delay), (1, Duration::ZERO));
    }
}

#[test]
fn what_was_denied_is_forgotten_within_two_minutes() {
    let mut guesses = guesses();
    let who = origin("203.0.113.7");
    for _ in 0..1000 {
        guesses.denied(at(0), who, "live");
    }
    let wait = |guesses: &mut Guesses, now| seconds(guesses.turn(at(now), who, "live"), at(now));
    assert_eq!(wait(&mut guesses, 0), Some(10));
    assert_eq!(wait(&mut guesses, 59_999), Some(1));
    assert_eq!(wait(&mut guesses, 60_000), Some(0));
    assert_eq!(guesses.origins.level(at(108_000), &who), 0);
}

#[test]
fn questions_of_one_address_wait_one_after_the_other_and_too_many_are_not_asked() {
    let mut guesses = guesses();
    let who = origin("203.0.113.7");
    for _ in 0..6 {
        guesses.denied(at(0), who, "live");
    }
    let turns: Vec<_> = (0..8).map(|_| seconds(guesses.turn(at(0), who, "live"), at(0))).collect();
    assert_eq!(turns, [Some(2), Some(4), Some(6), Some(8), Some(10), None, None, None]);
    assert_eq!(guesses.denied(at(0), who, "live").unasked, 3);
    assert_eq!(guesses.denied(at(0), who, "live").unasked, 0);
}

#[test]
fn an_address_does_not_wait_for_what_another_did() {
    let mut guesses = guesses();
    for _ in 0..20 {
        guesses.denied(at(0), origin("203.0.113.7"), "live");
        guesses.denied(at(0), origin("2001:db8::1"), "live");
    }
    for other in ["203.0.113.8", "2001:db8:0:1::1"] {
        assert_eq!(guesses.turn(at(0), origin(other), "live"), Turn::At(at(0)));
    }
    // The same client, as far as anybody can tell.
    assert_eq!(guesses.turn(at(0), origin("2001:db8::2"), "live"), Turn::At(at(10_000)));
}

#[test]
fn guesses_from_everywhere_make_those_wait_that_were_denied_and_nobody_else() {
    let mut guesses = guesses();
    for number in 0..49 {
        assert_eq!(guesses.denied(at(0), numbered(number), "live").delay, Duration::ZERO);
    }
    assert_eq!(guesses.denied(at(0), numbered(49), "live").delay, Duration::from_secs(1));
    assert_eq!(guesses.turn(at(0), numbered(3), "live"), Turn::At(at(1000)));
    // Other streams, and clients that never were denied.
    assert_eq!(guesses.turn(at(0), numbered(4), "vod"), Turn::At(at(0)));
    assert_eq!(guesses.turn(at(0), numbered(1000), "live"), Turn::At(at(0)));
}

#[test]
fn what_clients_name_does_not_fill_the_memory() {
    let mut guesses = Guesses::new(NonZeroU32::new(1).unwrap());
    let count = u32::try_from(MAX_ORIGINS).unwrap() + 100;
    for number in 0..count {
        guesses.denied(at(0), numbered(number), &format!("app{number}"));
    }
    assert_eq!(guesses.origins.level(at(0), &numbered(0)), 1);
    assert_eq!(guesses.origins.level(at(0), &numbered(count - 1)), 0);
    assert_eq!(guesses.prefixes.level(at(0), format!("app{MAX_PREFIXES}").as_str()), 0);
}

#[test]
fn any_limit_that_can_be_set_works() {
    for free in [1, 2, 1000, u32::MAX] {
        let mut guesses = Guesses::new(NonZeroU32::new(free).unwrap());
        let counted = guesses.denied(at(0), numbered(1), "live");
        assert_eq!(counted.delay.as_secs(), u64::from(free == 1));
        guesses.turn(at(0), numbered(1), "live");
    }
}

#[test]
fn what_is_guessed_is_the_last_part_of_a_key() {
    let check = |key: &str, expect: &str| assert_eq!(prefix(&StreamKey::parse(key).unwrap()), expect);
    check("live/s3cret", "live");
    check("live/user/s3cret", "live/user");
}
