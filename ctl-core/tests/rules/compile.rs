//! Replays the scripts that the official compiler was given (`testdata/rules/compile.json`).
//!
//! Each vector says what comes out, or what a better compiler gives (`better`). Where this one differs from
//! that, it is in [`DEVIATIONS`].

use std::collections::BTreeSet;

use ctl_core::rules::{Compiled, Diagnostic, Errors, Severity, compile};
use serde_json::Value;

use crate::json::{rules, text, vectors};

const COMPILE: &str = include_str!("../../testdata/rules/compile.json");

/// A script with another result than the vector's, and why.
struct Deviation {
    name: &'static str,
    why: &'static str,
}

const DEVIATIONS: &[Deviation] = &[];

#[test]
fn scripts_give_what_the_official_compiler_gives_or_better() {
    let mut stale: BTreeSet<&str> = DEVIATIONS.iter().map(|deviation| deviation.name).collect();
    let mut passed = 0;
    let all = vectors(COMPILE);
    for vector in &all {
        let problem = check(vector, &compile(text(vector, "source")));
        let name = text(vector, "name");
        match (problem, DEVIATIONS.iter().find(|deviation| deviation.name == name)) {
            (None, None) => passed += 1,
            (Some(_), Some(deviation)) => {
                assert!(!deviation.why.is_empty());
                stale.remove(name);
            }
            (Some(problem), None) => panic!("{name}: {problem}\n{}", text(vector, "source")),
            (None, Some(_)) => panic!("{name} is as the vector says, remove it from the deviations"),
        }
    }
    assert_eq!(stale, BTreeSet::new(), "no such vectors");
    assert_eq!((passed, all.len()), (423 - DEVIATIONS.len(), 423));
}

/// Returns what differs.
fn check(vector: &Value, result: &Result<Compiled, Errors>) -> Option<String> {
    let better = &vector["better"];
    let (output, error) = if better.is_null() {
        let output = if vector["output_since_2018"].is_null() { "output" } else { "output_since_2018" };
        (&vector[output], &vector["error"]["code"])
    } else {
        (&better["output"], &better["error"])
    };
    match (result, error.as_str()) {
        (Ok(compiled), None) => check_output(compiled, output),
        (Ok(_), Some(code)) => Some(format!("compiles, expected {code}")),
        (Err(errors), None) => Some(errors.to_string()),
        (Err(errors), Some(code)) => {
            if errors.0.iter().any(|error| error.code == code && error.severity == Severity::Error) {
                None
            } else {
                Some(format!("expected {code}, got {errors}"))
            }
        }
    }
}

fn check_output(compiled: &Compiled, output: &Value) -> Option<String> {
    if compiled.base.rules != rules(&output["rules"]) {
        return Some(format!("got {:?}", compiled.base.rules));
    }
    assert_eq!(compiled.base.origins.len(), compiled.base.rules.len());
    let caps = output["caps"].as_object().unwrap();
    let expected: BTreeSet<_> = caps.keys().map(String::as_str).collect();
    let got: BTreeSet<_> = compiled.capabilities.iter().map(|named| named.name.as_str()).collect();
    let tags = output["tags"].as_object().unwrap();
    let expected_tags: BTreeSet<_> = tags.keys().map(String::as_str).collect();
    let got_tags: BTreeSet<_> = compiled.tags.iter().map(|named| named.name.as_str()).collect();
    if expected != got || expected_tags != got_tags {
        return Some(format!("got {got:?} {got_tags:?}"));
    }
    for named in &compiled.capabilities {
        let expected = &caps[&named.name];
        if (u64::from(named.id), named.default)
            != (expected["id"].as_u64().unwrap(), expected["default"].as_bool().unwrap())
            || named.table.rules != rules(&expected["rules"])
        {
            return Some(format!("got {named:?}"));
        }
    }
    for named in &compiled.tags {
        let expected = &tags[&named.name];
        let values = |field: &str| -> BTreeSet<(String, u64)> {
            let values = expected[field].as_object().unwrap().iter();
            values.map(|(name, value)| (name.clone(), value.as_u64().unwrap())).collect()
        };
        let own = |values: &[(String, u32)]| -> BTreeSet<(String, u64)> {
            values.iter().map(|(name, value)| (name.clone(), u64::from(*value))).collect()
        };
        if u64::from(named.id) != expected["id"].as_u64().unwrap()
            || named.default.map(u64::from) != expected["default"].as_u64()
            || own(&named.enums) != values("enums")
            || own(&named.flags) != values("flags")
        {
            return Some(format!("got {named:?}"));
        }
    }
    None
}

/// Codes whose place the official compiler puts elsewhere than at the fault (`rules-language.md` §12).
const PLACED_ELSEWHERE: [&str; 6] = [
    "match_args_missing",
    "match_arg_reserved",
    "tee_length_invalid",
    "cap_id_invalid",
    "cap_id_taken",
    "internal",
];

#[test]
fn errors_are_where_the_official_compiler_sees_them() {
    let mut compared = 0;
    for vector in vectors(COMPILE).iter().filter(|vector| vector["better"].is_null()) {
        let (source, error) = (text(vector, "source"), &vector["error"]);
        let Some(code) = error["code"].as_str().filter(|code| !PLACED_ELSEWHERE.contains(code)) else {
            continue;
        };
        // Its lines and columns differ behind a CR and behind characters outside the Basic Multilingual Plane.
        if source.contains('\r') || source.chars().any(|c| c > '\u{ffff}') {
            continue;
        }
        let (line, column) = (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap());
        let expected = (line, if line == 1 { column + 1 } else { column });
        let Errors(errors) = compile(source).unwrap_err();
        let place = |error: &Diagnostic| (error.span.line as u64, error.span.column as u64);
        let places: Vec<_> = errors.iter().filter(|error| error.code == code).map(place).collect();
        assert!(places.contains(&expected), "{source}\n{code} at {expected:?}, got {places:?}");
        compared += 1;
    }
    assert_eq!(compared, 107);
}
