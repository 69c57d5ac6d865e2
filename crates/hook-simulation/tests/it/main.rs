//! The simulation's own proof: the laws hold for the core as it is, and every defect is found.

use jackfield_hook_simulation::{Law, Mutation, hunt, run, seeds, trace};

#[test]
fn the_laws_hold() {
    let tally = seeds(0..2000).unwrap();
    assert_eq!(tally.seeds, 2000);
}

#[test]
fn every_defect_is_caught_within_ten_thousand_seeds() {
    let survivors: Vec<&str> = Mutation::ALL
        .iter()
        .filter(|mutation| hunt(**mutation, 10_000).is_none())
        .map(|m| m.name())
        .collect();
    assert!(survivors.is_empty(), "{survivors:?}");
}

#[test]
fn there_are_enough_defects_of_each_law() {
    let count = |law| Mutation::ALL.iter().filter(|mutation| mutation.law() == law).count();
    assert!(Mutation::ALL.len() >= 25);
    for law in [
        Law::OneVerdict,
        Law::NothingBefore,
        Law::FailureIsInert,
        Law::SameVerdict,
        Law::OneOutcome,
        Law::Order,
        Law::Kept,
    ] {
        assert!(count(law) >= 3, "{law:?}");
    }
    for law in [Law::Epochs, Law::Breaker, Law::Policies] {
        assert!(count(law) >= 2, "{law:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_day() {
    for seed in [1, 2, 3] {
        assert_eq!(trace(seed, None), trace(seed, None));
        assert_eq!(run(seed, None), run(seed, None));
    }
}

#[test]
fn a_broken_law_is_told_with_what_led_to_it() {
    let broken = hunt(Mutation::VerdictTwice, 10_000).unwrap();
    let told = trace(broken.seed, Some(Mutation::VerdictTwice));
    assert!(told.contains("< Verdict") && told.trim_end().ends_with(&broken.what), "{told}");
}
