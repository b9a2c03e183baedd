//! The formatter: stable, keeps comments, changes no meaning.

use ctl_core::rules::lexer::{TokenKind, lex};
use ctl_core::rules::{Compiled, Errors, Severity, compile, format};
use proptest::prelude::*;

use crate::arbitrary;
use crate::json::{text, vectors};

/// What a source means, without the places; for an error its codes.
fn meaning(source: &str) -> Result<(String, Vec<String>), Vec<&'static str>> {
    match compile(source) {
        Ok(Compiled { base, capabilities, tags, tests, .. }) => {
            let capabilities: Vec<_> = capabilities
                .iter()
                .map(|named| (named.name.clone(), named.id, named.default, named.table.rules.clone()))
                .collect();
            let tests = tests.iter().flat_map(|test| &test.cases).map(|case| case.text.clone());
            Ok((format!("{:?} {capabilities:?} {tags:?}", base.rules), tests.collect()))
        }
        Err(Errors(errors)) => {
            let errors = errors.iter().filter(|error| error.severity == Severity::Error);
            let mut codes: Vec<_> = errors.map(|error| error.code).collect();
            codes.sort_unstable();
            Err(codes)
        }
    }
}

fn comments(source: &str) -> Vec<String> {
    let tokens = lex(source).into_iter();
    let comments = tokens.filter(|token| token.kind == TokenKind::Comment);
    comments.map(|token| token.text.trim_end().to_owned()).collect()
}

fn check(source: &str) -> bool {
    let Ok(formatted) = format(source) else { return false };
    assert_eq!(format(&formatted).unwrap(), formatted, "stable\n{source}");
    assert_eq!(meaning(&formatted), meaning(source), "{formatted}\n{source}");
    assert_eq!(comments(&formatted), comments(source), "{formatted}\n{source}");
    assert!(formatted.lines().all(|line| line == line.trim_end()), "{formatted:?}");
    assert!(!formatted.contains("\n\n\n") && !formatted.starts_with('\n') && !formatted.ends_with("\n\n"));
    true
}

#[test]
fn layout_changes_nothing_of_the_vectors() {
    let all = vectors(include_str!("../../testdata/rules/compile.json"));
    let formatted = all.iter().filter(|vector| check(text(vector, "source"))).count();
    assert_eq!((formatted, all.len()), (372, 423));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn layout_changes_nothing(source in arbitrary::source()) {
        check(&source);
    }

    #[test]
    fn comments_may_stand_anywhere(source in arbitrary::scattered()) {
        prop_assert!(check(&source), "{}", source);
    }
}

#[test]
fn each_thing_has_its_place() {
    let source = "# head\r\n\r\n\r\nTAG Role # who\n ID 1 enum 0 Guest\n enum 1 staff # trusted\n\n # last\n;tag x id 2;
CAP admin default id 3\n\n\n accept; # all\n\n break dport 1; ; # end
macro web( $p,\n $q ) accept dport $p or # either\n dport $q; ; include web( 80 ,443 )
accept ipprotocol TCP;; drop NOT ethertype ipv4 and not ethertype arp and not ethertype ipv6 # odd\n ;
test \"web\" { from any to any tcp  22 expect accept }
# tail";
    let expected = "\
# head

tag Role # who
  id 1
  enum 0 Guest
  enum 1 staff # trusted
  # last
;
tag x id 2;
cap admin
  default
  id 3

  accept; # all

  break dport 1;
; # end
macro web($p,$q)
  accept
    dport $p
    # either
    or dport $q
  ;
;
include web(80,443);
accept ipprotocol TCP;
drop
  not ethertype ipv4
  and not ethertype arp
  and not ethertype ipv6 # odd
;
test \"web\" {
  from any to any tcp 22 expect accept;
}
# tail
";
    assert_eq!(format(source).unwrap(), expected);
}

#[test]
fn source_that_cannot_be_read_is_left_alone() {
    for source in ["bogus;", "cap c id 1 accept;", "include m(1", "test \"a {}"] {
        assert!(format(source).is_err(), "{source}");
    }
}
