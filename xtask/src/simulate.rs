//! `cargo xtask simulate`: the hook engine's core against its laws, by seeds and by defects.
//!
//! | arguments | what is played |
//! |---|---|
//! | `--seeds N` | seeds 0 to N − 1 (100,000 without arguments), then every defect |
//! | `--from S --seeds N` | N seeds from S on, without the defects |
//! | `--seed S [--trace] [--mutation NAME]` | one seed, with all that went in and came out |
//! | `--mutations` | every defect, each of which 10,000 seeds must find |

use anyhow::{Context, Result, anyhow, bail};
use jackfield_hook_simulation::{Law, Mutation, Tally, hunt, run as play, seeds, trace};
use std::collections::BTreeMap;

/// Seeds after which a defect counts as not found.
const HUNT: u64 = 10_000;

#[derive(Default)]
struct Wish {
    seeds: Option<u64>,
    from: Option<u64>,
    seed: Option<u64>,
    mutation: Option<Mutation>,
    trace: bool,
    mutations: bool,
}

/// Plays what the arguments say, and ends with the line `N passed, N failed`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let wish = parse(args)?;
    let failed = match wish.seed {
        Some(seed) => one(seed, &wish),
        None if wish.mutations => mutations(),
        None => {
            let failed = many(wish.from.unwrap_or(0), wish.seeds.unwrap_or(100_000));
            if wish.from.is_some() { failed } else { failed.and_then(|()| mutations()) }
        }
    };
    failed.map_err(|what| anyhow!(what))
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--seeds" => wish.seeds = Some(number(value()?)?),
            "--from" => wish.from = Some(number(value()?)?),
            "--seed" => wish.seed = Some(number(value()?)?),
            "--mutation" => wish.mutation = Some(mutation(value()?)?),
            "--trace" => wish.trace = true,
            "--mutations" => wish.mutations = true,
            other => bail!("unknown argument {other}; see the head of xtask/src/simulate.rs"),
        }
    }
    Ok(wish)
}

fn number(text: &str) -> Result<u64> {
    text.replace('_', "").parse().with_context(|| format!("{text} is no number"))
}

fn mutation(name: &str) -> Result<Mutation> {
    let found = Mutation::ALL.iter().copied().find(|mutation| mutation.name() == name);
    found.with_context(|| {
        let names: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
        format!("no defect is called {name}; there are {}", names.join(" "))
    })
}

fn one(seed: u64, wish: &Wish) -> Result<(), String> {
    if wish.trace {
        print!("{}", trace(seed, wish.mutation));
    }
    match play(seed, wish.mutation) {
        Ok(steps) => {
            println!("simulate: seed {seed}, {steps} steps");
            println!("1 passed, 0 failed");
            Ok(())
        }
        Err(broken) => {
            println!("0 passed, 1 failed");
            Err(broken.to_string())
        }
    }
}

fn many(from: u64, count: u64) -> Result<(), String> {
    match seeds(from..from.saturating_add(count)) {
        Ok(Tally { seeds, steps }) => {
            println!("simulate: {seeds} seeds, {steps} steps, every law holds");
            println!("{seeds} passed, 0 failed");
            Ok(())
        }
        Err(broken) => {
            print!("{}", trace(broken.seed, None));
            println!("simulate: replay it with `cargo xtask simulate --seed {} --trace`", broken.seed);
            println!("{} passed, 1 failed", broken.seed.saturating_sub(from));
            Err(broken.to_string())
        }
    }
}

fn mutations() -> Result<(), String> {
    let mut by_law: BTreeMap<Law, usize> = BTreeMap::new();
    let mut survivors = Vec::new();
    for mutation in Mutation::ALL.iter().copied() {
        match hunt(mutation, HUNT) {
            Some(broken) => {
                *by_law.entry(mutation.law()).or_default() += 1;
                println!("  caught {:<28} {:?}: {broken}", mutation.name(), mutation.law());
            }
            None => survivors.push(mutation.name()),
        }
    }
    let caught: usize = by_law.values().sum();
    println!("simulate: {caught} defects caught, {by_law:?}");
    println!("{caught} passed, {} failed", survivors.len());
    match survivors.as_slice() {
        [] => Ok(()),
        names => Err(format!("not found in {HUNT} seeds: {}", names.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_may_be_grouped_and_unknown_words_are_errors() {
        assert_eq!(parse(&words("--seeds 10_000_000")).unwrap().seeds, Some(10_000_000));
        assert!(parse(&words("--sedes 1")).is_err());
        assert!(parse(&words("--seed")).is_err());
        assert!(parse(&words("--seed 1 --mutation none-such")).is_err());
    }
}
