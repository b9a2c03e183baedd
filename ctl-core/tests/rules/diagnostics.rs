//! Errors and warnings: all at once, each at its place, with what to write instead; and an end for any source.

use std::fmt::Write as _;

use ctl_core::rules::compile::{MAX_EXPANDED_WORDS, MAX_MACRO_DEPTH};
use ctl_core::rules::scenario::{Packet, parse_tests};
use ctl_core::rules::{Diagnostic, Errors, MAX_SOURCE_LEN, compile, format};
use proptest::prelude::*;

use crate::arbitrary;

fn errors(source: &str) -> Vec<String> {
    let Err(Errors(errors)) = compile(source) else { panic!("{source} compiles") };
    errors.iter().map(ToString::to_string).collect()
}

/// Code, line and column.
type Place = (&'static str, usize, usize);

fn warnings(source: &str) -> Vec<Place> {
    let compiled = compile(source).unwrap_or_else(|errors| panic!("{errors}\n{source}"));
    let place = |warning: &Diagnostic| (warning.code, warning.span.line, warning.span.column);
    compiled.warnings.iter().map(place).collect()
}

#[test]
fn all_errors_are_reported_with_what_to_write_instead() {
    let source = "tag role id 1 enum 3 boss default bos;
macro web($port) accept ipprotocol tpc and dport $prot; ;
accept teq rolle boss or teq role bozz;
include wbe(80);
include web(80);
drop ehtertype ipv4;
drop ethertype ipv7
accept dport 90-80 or dport 80–90;
accept ipsrc 10.0.0.1;
accept ztsrc de:ad:be:ef:11;
tee all deadbeef11;
aceppt;
accept chr tcp_sin;
";
    let expected = [
        "1:35: error: expected a number from 0 to 4294967295 or an enum or flag of role, got \"bos\"; did you mean boss? [tag_default_invalid]",
        "2:36: error: expected tcp, udp, icmp, … or a number from 0 to 255, got \"tpc\"; did you mean tcp? (included at 5:1) [number_invalid]",
        "2:50: error: there is no variable $prot here; did you mean $port? (included at 5:1) [variable_unknown]",
        "3:12: error: expected a tag of this source or a number from 0 to 4294967295, got \"rolle\"; did you mean role? [tag_ref_invalid]",
        "3:18: error: expected a number from 0 to 4294967295, got \"boss\" [tag_value_invalid]",
        "3:35: error: expected an enum or flag of role or a number from 0 to 4294967295, got \"bozz\"; did you mean boss? [tag_value_invalid]",
        "4:9: error: there is no macro wbe; did you mean web? [macro_unknown]",
        "6:6: error: expected a match such as dport or ethertype, got \"ehtertype\"; did you mean ethertype? [match_unknown]",
        "6:16: error: expected a match such as dport or ethertype, got \"ipv4\" [match_unknown]",
        "7:16: error: expected ipv4, ipv6, arp, … or a number from 0 to 65535, got \"ipv7\"; did you mean ipv4? [number_invalid]",
        "8:1: error: expected a match such as dport or ethertype, got \"accept\"; did you mean a ; before accept? [match_unknown]",
        "8:14: error: expected A or A-B from 0 to 65535, A not above B, got \"90-80\"; did you mean 80-90? [range_invalid]",
        "8:29: error: expected A or A-B from 0 to 65535, A not above B, got \"80–90\"; did you mean 80-90? [range_invalid]",
        "9:14: error: expected a network ADDRESS/BITS, such as 10.0.0.0/8, got \"10.0.0.1\"; did you mean 10.0.0.1/32? [ip_prefix_missing]",
        "10:14: error: expected a node address of 10 hexadecimal digits, got \"de:ad:be:ef:11\"; did you mean deadbeef11? [zt_address_invalid]",
        "11:5: error: expected a length from 0 to 65535, or -1 for everything, got \"all\"; did you mean -1? [tee_length_invalid]",
        "12:1: error: expected an action, tag, cap, macro or include, got \"aceppt\"; did you mean accept? [action_unknown]",
        "13:12: error: expected names such as inbound or tcp_syn, or bits from 0 to 63, got \"tcp_sin\"; did you mean tcp_fin? [chr_bit_invalid]",
    ];
    let got = errors(source);
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got, expected);
    }
    assert_eq!(got.len(), expected.len(), "{got:#?}");
}

#[test]
fn operators_are_named_where_they_stand_wrong() {
    let cases = [
        ("accept or dport 1;", "1:8: error: an or before the first match makes all of them true"),
        ("accept dport 1 or;", "1:16: error: expected a match after or"),
        ("accept dport 1 not and dport 2;", "1:20: error: expected a match after not, got and"),
        ("accept dport 1 or and dport 2;", "1:19: error: expected a match after or or not, got and"),
        ("accept not not dport 1;", "1:12: error: expected a match after not, got not"),
    ];
    for (source, expected) in cases {
        assert_eq!(errors(source), [format!("{expected} [operator_misplaced]")], "{source}");
    }
}

#[test]
fn doubtful_rules_are_warned_about() {
    let cases: [(&str, &[Place]); 23] = [
        ("accept;", &[]),
        ("", &[("table_empty", 1, 1)]),
        ("\n# nothing yet\n", &[("table_empty", 1, 1)]),
        ("test a { member b; from b to any ping expect drop; }", &[("table_empty", 1, 1)]),
        ("cap c id 1 accept; ;", &[("table_empty", 1, 1)]),
        ("drop not ethertype ipv4 and not ethertype arp;\naccept;", &[]),
        ("accept ipsrc 0.0.0.0/0;\ndrop;", &[("prefix_matches_all", 1, 14)]),
        ("accept ipsrc ::/0;\ndrop;", &[("prefix_matches_all", 1, 14)]),
        ("accept ipdest 10.1.2.3/24;\ndrop;", &[("host_bits_cleared", 1, 15)]),
        ("accept dport 1;\ndrop;\naccept dport 2;", &[("reads_differently", 2, 1), ("unreachable", 3, 1)]),
        ("accept dport 1;\nbreak dport 1;\ndrop;", &[("unreachable", 2, 1)]),
        ("accept random 0.5;\naccept random 0.5;\ndrop;", &[]),
        ("tag role id 1 default 0;\naccept;", &[("tag_unused", 1, 5)]),
        ("tag role id 1;\naccept teq role 1;\ndrop;", &[("tag_without_default", 1, 5)]),
        ("cap c id 1 drop dport 22; ;\naccept;", &[("cap_unused", 1, 5)]),
        ("macro m accept; ;\naccept;", &[("macro_unused", 1, 7)]),
        ("accept dport 22;", &[("table_ends_open", 1, 1)]),
        ("accept ipprotocol tcp and dport 22 or dport 80;\ndrop;", &[("or_after_protocol", 1, 36)]),
        ("accept dport 22 or dport 80 and ipprotocol tcp;\ndrop;", &[]),
        ("accept not icmp 8 -1;\ndrop;", &[("not_icmp_any", 1, 8)]),
        ("accept vlan 100;\ndrop;", &[("vlan_no_effect", 1, 8)]),
        ("tag server id 1 default 0;\nbreak not tor server 1;\naccept;", &[("break_not_tag", 2, 7)]),
        (
            "cap c id 1\n accept;\n break dport 1;\n;\naccept;",
            &[("reads_differently", 2, 2), ("unreachable", 3, 2)],
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(warnings(source), expected, "{source}");
    }
}

#[test]
fn macros_that_include_each_other_end() {
    let recursive = errors("macro a include b; ;\nmacro b include a; ;\ninclude a;");
    assert_eq!(recursive, ["2:17: error: the macro a includes itself (included at 3:1) [macro_recursion]"]);

    let mut deep = String::from("macro m0 accept; ;\n");
    for level in 1..=MAX_MACRO_DEPTH {
        writeln!(deep, "macro m{level} include m{};\n;", level - 1).unwrap();
    }
    assert!(compile(&format!("{deep}include m{};", MAX_MACRO_DEPTH - 1)).is_ok());
    let too_deep = errors(&format!("{deep}include m{MAX_MACRO_DEPTH};"));
    assert!(too_deep[0].contains("[macro_too_deep]"), "{too_deep:?}");

    // Each level twice the one below, and no rule at all at the bottom.
    let mut wide = String::from("macro m0 ;\n");
    for level in 1..30 {
        writeln!(wide, "macro m{level} include m{0} include m{0};\n;", level - 1).unwrap();
    }
    let too_wide = errors(&format!("{wide}include m29;"));
    assert!(too_wide[0].contains(&format!("over {MAX_EXPANDED_WORDS} words")), "{too_wide:?}");
}

#[test]
fn source_that_is_too_long_is_not_read() {
    let source = " ".repeat(MAX_SOURCE_LEN);
    assert!(compile(&source).is_ok());
    assert!(errors(&(source + " "))[0].contains("[source_too_long]"));
}

/// Each is as long as a source may be, of the kind that takes time that grows with the square of the length.
#[test]
fn long_sources_end() {
    let fill = |head: &str, part: &dyn Fn(usize) -> String, tail: &str| {
        let mut source = head.to_owned();
        for index in 0.. {
            let part = part(index);
            if source.len() + part.len() + tail.len() > MAX_SOURCE_LEN {
                break;
            }
            source.push_str(&part);
        }
        source + tail
    };
    let sources = [
        fill("", &|index| format!("tag t{index} id {index};"), ""),
        fill("", &|index| format!("cap c{index} id {index};"), ""),
        fill("", &|index| format!("macro m{index};"), ""),
        fill("tag t id 1 ", &|index| format!("enum {index} a{index} "), ";"),
        fill("tag t id 1 ", &|index| format!("flag 1 a{index} "), ";"),
        fill("macro m(", &|index| format!("$a{index},"), "$b) accept; ;"),
        fill("macro m accept; ; include m(", &|_| "a,".to_owned(), "b);"),
        fill("", &|_| "#\ndrop;".to_owned(), ""),
        fill("", &|_| "drop ".to_owned(), ""),
        fill("accept ", &|_| "dport 1 ".to_owned(), ";"),
        fill("accept ", &|_| "and ".to_owned(), ";"),
        fill("", &|_| ";".to_owned(), ""),
        fill("macro m ", &|_| "accept x; ".to_owned(), "; include m; include m;"),
        fill("test a {", &|_| "from a to b ping expect drop;".to_owned(), "}"),
        fill("test a {", &|index| format!("member m{index};"), "}"),
    ];
    for source in sources {
        let _either = (compile(&source).is_ok(), format(&source).is_ok());
    }
}

#[test]
fn tests_are_read_with_the_rules() {
    let source =
        "test \"a\" { from a to b tpc 22 expect accept; from a to b tcp 22 expect acept; member; from a b; }
test \"b\" { from a to b ping flags syn size 99 first expect drop; }
test c accept;";
    let expected = [
        "1:24: error: expected a packet such as tcp 443, udp 53, ping or arp, got \"tpc\"; did you mean tcp? [test_invalid]",
        "1:72: error: expected accept, drop, redirect or copy, got \"acept\" [test_invalid]",
        "1:79: error: expected a name at the end [test_invalid]",
        "1:94: error: expected to, got \"b\" [test_invalid]",
        "3:1: error: expected { after the name of the test [test_unterminated]",
    ];
    assert_eq!(errors(source), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_has_an_end(text in "\\PC*") {
        let _either = (compile(&text).is_ok(), format(&text).is_ok(), parse_tests(&text).is_ok());
        let _either = text.parse::<Packet>().is_ok();
    }

    #[test]
    fn any_words_have_an_end(source in arbitrary::source()) {
        let _either = parse_tests(&source).is_ok();
        match compile(&source) {
            Ok(compiled) => prop_assert!(compiled.warnings.iter().all(|warning| in_source(warning, &source))),
            Err(Errors(errors)) => {
                prop_assert!(!errors.is_empty() && errors.len() <= 400);
                prop_assert!(errors.iter().all(|error| in_source(error, &source)), "{:?}", errors);
            }
        }
    }
}

/// The place is that of the text.
fn in_source(diagnostic: &Diagnostic, source: &str) -> bool {
    let span = diagnostic.span;
    let before = &source[..span.start];
    let lines = before.replace("\r\n", "\n").replace('\r', "\n");
    let column = lines.rsplit('\n').next().unwrap().chars().count() + 1;
    let is_there = source[span.start..span.end].starts_with(diagnostic.text.trim_end_matches('…'));
    // The text of an argument may be the value of a variable.
    let is_text = is_there || source[span.start..span.end].starts_with('$');
    span.end >= span.start && is_text && (span.line, span.column) == (lines.matches('\n').count() + 1, column)
}
