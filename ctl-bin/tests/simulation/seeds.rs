//! Which worlds are run.

use crate::world::{Size, World};

const SEED: &str = "CTL_SIMULATION_SEED";
const SEEDS: &str = "CTL_SIMULATION_SEEDS";
/// Small worlds in all; the tests share them, so that they run side by side.
const WORLDS: u64 = 1_000;
const TESTS: u64 = 4;
/// Seeds from here on are large worlds.
const LARGE: u64 = 1_000_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} must be a number")))
}

/// How large the world of a seed is.
fn size(seed: u64) -> Size {
    match seed {
        LARGE.. => Size { members: 280, faults: 3 },
        _ => Size { members: 6, faults: 5 },
    }
}

/// Runs the world of a seed; returns its trace, or what did not hold and how to see it again.
fn run(seed: u64) -> Result<u64, String> {
    let mut world = World::new(seed, size(seed));
    world.run().map(|()| world.trace()).map_err(|violation| {
        let seconds = world.now() / 1_000;
        format!("{SEED}={seed}: at {seconds} s {violation} ({})", world.describe())
    })
}

/// Runs the worlds of all seeds, whatever becomes of the others.
fn run_all(seeds: impl Iterator<Item = u64>) {
    let violations: Vec<_> = seeds.filter_map(|seed| run(seed).err()).collect();
    assert!(violations.is_empty(), "{} worlds:\n{}", violations.len(), violations.join("\n"));
}

fn run_share(n: u64) {
    let worlds = number(SEEDS).unwrap_or(WORLDS);
    run_all((n..worlds).step_by(usize::try_from(TESTS).unwrap()));
}

#[test]
fn every_small_world_keeps_its_properties_first_quarter() {
    run_share(0);
}

#[test]
fn every_small_world_keeps_its_properties_second_quarter() {
    run_share(1);
}

#[test]
fn every_small_world_keeps_its_properties_third_quarter() {
    run_share(2);
}

#[test]
fn every_small_world_keeps_its_properties_fourth_quarter() {
    run_share(3);
}

#[test]
fn worlds_of_hundreds_of_nodes_keep_their_properties() {
    run_all(LARGE..LARGE + 2);
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in 0..5 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Runs the world of `CTL_SIMULATION_SEED`, if that is set.
#[test]
fn replay() {
    if let Some(seed) = number(SEED) {
        let mut world = World::new(seed, size(seed));
        println!("seed {seed}: {}", world.describe());
        let result = world.run();
        println!("{} datagrams in {} s", world.datagrams, world.now() / 1_000);
        assert!(result.is_ok(), "at {} s {}", world.now() / 1_000, result.unwrap_err());
    }
}
