//! The rules guide: its recipes work, and it quotes them as they are.

use ctl_core::network::Network;
use ctl_core::rules::scenario::{RuleSet, TestReport, run};
use ctl_core::rules::{compile, format};
use zt_proto::Timestamp;

use crate::evaluate::NETWORK;

const GUIDE: &str = include_str!("../../../docs/rules.md");

macro_rules! recipes {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../testdata/rules/recipes/", $name, ".rules")))),*]
    };
}

const RECIPES: [(&str, &str); 10] = recipes![
    "default-deny",
    "servers-only",
    "web-server",
    "guest-isolation",
    "admin-capability",
    "voip",
    "bridge-protection",
    "anti-spoofing",
    "departments",
    "observer"
];

/// Runs the tests of a recipe, with its own rules or with `instead`.
fn reports(recipe: &str, instead: Option<&str>) -> Vec<TestReport> {
    let network = Network::new(NETWORK, Timestamp(0));
    let mut compiled = compile(recipe).unwrap();
    if let Some(table) = instead {
        compiled.base = compile(table).unwrap().base;
    }
    let tests = std::mem::take(&mut compiled.tests);
    run(&tests, &RuleSet::of_source(&network, compiled), &[])
}

#[test]
fn recipes_do_what_their_tests_say() {
    let mut cases = 0;
    for (name, recipe) in RECIPES {
        let compiled = compile(recipe).unwrap_or_else(|errors| panic!("{name}: {errors}"));
        assert_eq!(compiled.warnings, [], "{name}");
        assert_eq!(format(recipe).unwrap(), recipe, "{name}");
        for report in reports(recipe, None) {
            assert!(report.passed() && !report.cases.is_empty(), "{name}: {report}");
            cases += report.cases.len();
        }
    }
    assert_eq!(cases, 68);
}

#[test]
fn recipes_are_tested_in_both_directions() {
    for (name, recipe) in RECIPES {
        for table in ["accept;", "drop;"] {
            let passed = reports(recipe, Some(table)).iter().all(TestReport::passed);
            assert!(!passed, "{name} passes with {table}");
        }
    }
}

#[test]
fn guide_quotes_the_recipes() {
    let blocks: Vec<&str> =
        GUIDE.split("```rules\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let recipes: Vec<&str> = RECIPES.iter().map(|(_, recipe)| *recipe).collect();
    assert_eq!(blocks.len(), recipes.len());
    for ((name, recipe), block) in RECIPES.iter().zip(blocks) {
        assert_eq!(block, *recipe, "{name}");
        assert!(GUIDE.contains(&format!("`{name}.rules`")), "{name}");
    }
}
