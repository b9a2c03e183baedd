//! Tests, explanations and comparisons of rules with the members of a network.

use ctl_core::member::Member;
use ctl_core::network::Network;
use ctl_core::rules::decompile::Names;
use ctl_core::rules::evaluate::{Grade, Step};
use ctl_core::rules::explain::explain;
use ctl_core::rules::impact::{MAX_COMPARISONS, Service, impact, usual_services};
use ctl_core::rules::scenario::{Fate, RuleSet, WorldMember, parse_tests, run, source_fits};
use ctl_core::rules::{TestReport, compile};
use zt_proto::{Address, Timestamp};

use crate::evaluate::NETWORK;

const SOURCE: &str = "\
tag role
  id 7
  enum 0 client
  enum 1 server
  default client
;
cap admin id 3
  accept;
;
macro web($port)
  accept dport $port and ipprotocol tcp;
;
accept ethertype arp;
include web(80);
drop not tor role server;
accept dport 22;
break;
";

fn network(source: &str) -> Network {
    let compiled = compile(source).unwrap();
    Network {
        rules: compiled.base.rules.clone(),
        capabilities: compiled.capability_definitions(),
        tags: compiled.tag_definitions(),
        rules_source: source.to_owned(),
        ..Network::new(NETWORK, Timestamp(0))
    }
}

fn rules(source: &str) -> RuleSet {
    RuleSet::of_source(&network(source), compile(source).unwrap())
}

/// laptop, server (by its tag), admin (by its capability), and one without a name.
fn members() -> Vec<WorldMember> {
    let network = network(SOURCE);
    let member = |address: &str, name: Option<&str>| Member {
        name: name.map(str::to_owned),
        ..Member::new(NETWORK, address.parse().unwrap(), Timestamp(0))
    };
    let laptop = member("0a00000001", Some("laptop"));
    let server = Member { tags: [(7, 1)].into(), ..member("0a00000002", Some("server")) };
    let admin = Member { capabilities: vec![3], ..member("0a00000003", Some("admin")) };
    let nameless = member("0a00000004", None);
    [laptop, server, admin, nameless].iter().map(|member| WorldMember::of(&network, member)).collect()
}

fn report(test: &str) -> TestReport {
    let tests = parse_tests(test).unwrap_or_else(|errors| panic!("{errors}"));
    run(&tests, &rules(SOURCE), &members()).pop().unwrap()
}

#[test]
fn members_are_found_by_name_address_tag_and_capability() {
    let passed = [
        "from laptop to server tcp 80 expect accept",
        "from laptop to server tcp 22 expect accept",
        "from 0a00000004 to 0A00000002 tcp 22 expect accept",
        "from cap:admin to tag:role=server udp 5000 expect accept",
        "from cap:3 to tag:7=1 udp 5000 expect accept",
        "from any to tag:role=client tcp 80 expect accept",
        "from laptop to tag:role=client tcp 22 expect drop",
        "from laptop to server udp 5000 expect drop",
    ];
    for case in passed {
        let report = report(&format!("test \"a\" {{ {case}; }}"));
        assert!(report.passed(), "{report}");
    }
    let any = report("test \"a\" { from any to any tcp 80 expect accept; }");
    assert_eq!(any.cases[0].pairs, 12);
}

#[test]
fn failures_say_what_came_and_which_rule_decided() {
    let failed = report(
        "test \"a b\" {\n  from laptop to admin tcp 22 expect accept;\n  from laptop to server arp expect drop;\n}",
    );
    let expected = "\
FAILED \"a b\"
  2:3: from laptop to admin tcp 22 expect accept
    laptop to admin, at first contact: drop, decided at the receiver by rules[6], line 15
    laptop to admin, once they know each other: drop, decided at the sender by rules[6], line 15
  3:3: from laptop to server arp expect drop
    laptop to server, at first contact: accept, decided at the receiver by rules[1], line 13
    laptop to server, once they know each other: accept, decided at the receiver by rules[1], line 13";
    assert_eq!(failed.to_string(), expected);
}

#[test]
fn case_for_nobody_fails() {
    let cases = [
        ("from nobody to server ping expect drop", "no member is nobody"),
        ("from tag:role=boss to server ping expect drop", "the tag role has no value boss"),
        ("from tag:rule=1 to server ping expect drop", "there is no tag rule"),
        ("from cap:root to server ping expect drop", "there is no capability root"),
        ("from server to server ping expect drop", "no two members to try it with"),
        ("member laptop; from laptop to server ping expect drop", "there is a member laptop already"),
        ("member x tag role=9x; from x to server ping expect drop", "the tag role has no value 9x"),
        (
            "member x address 0a00000001; from x to server ping expect drop",
            "there is a member 0a00000001 already",
        ),
    ];
    for (case, problem) in cases {
        let report = report(&format!("test a {{ {case}; }}"));
        assert_eq!(report.cases[0].problem.as_deref(), Some(problem), "{case}");
        assert!(!report.passed());
    }
}

#[test]
fn empty_tests_and_impossible_members_fail() {
    let cases = [
        ("", "there is no case in it, so it tests nothing"),
        ("member x;", "there is no case in it, so it tests nothing"),
        ("member a; member a;", "there is a member a already"),
        ("member x tag role=9x;", "the tag role has no value 9x"),
    ];
    for (text, problem) in cases {
        let report = report(&format!("test a {{ {text} }}"));
        assert_eq!(report.problem.as_deref(), Some(problem), "{text}");
        assert!(!report.passed(), "{text}");
        assert_eq!(report.to_string(), format!("FAILED \"a\"\n  1:1: {problem}"));
    }
}

#[test]
fn members_of_tests_hold_default_capabilities_unless_they_name_some() {
    let source = "cap web id 5 default accept dport 80; ; cap ssh id 4 accept dport 22; ; break;";
    let tests = parse_tests(
        "test a {
            member usual;
            member special cap ssh;
            from usual to special tcp 80 expect accept;
            from usual to special tcp 22 expect drop;
            from special to usual tcp 80 expect drop;
            from special to usual tcp 22 expect accept;
        }",
    );
    let report = run(&tests.unwrap(), &rules(source), &[]).pop().unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn members_of_tests_are_seen_from_their_test_on() {
    let text = "test a { from laptop to later ping expect drop; }
        test b { member later; from laptop to later arp expect accept; }
        test c { from laptop to later arp expect accept; }";
    let reports = run(&parse_tests(text).unwrap(), &rules(SOURCE), &members());
    assert_eq!(reports.iter().map(TestReport::passed).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(reports[0].cases[0].problem.as_deref(), Some("no member is later"));
}

/// Members without names or anything else.
fn crowd(size: u64) -> Vec<WorldMember> {
    let network = network(SOURCE);
    let member = |number| Member::new(NETWORK, Address::from_low_bits(0x0a_0000_0000 + number), Timestamp(0));
    (0..size).map(|number| WorldMember::of(&network, &member(number))).collect()
}

#[test]
fn work_of_all_tests_together_is_bounded() {
    let all = "from any to any tcp 443 expect accept;";
    let text = format!("test a {{ {} }} test b {{ {all} }}", all.repeat(20));
    let cases = |rules: &RuleSet| -> Vec<(usize, Option<String>)> {
        let reports = run(&parse_tests(&text).unwrap(), rules, &crowd(100));
        assert!(reports.iter().all(|report| !report.passed()));
        reports.into_iter().flat_map(|report| report.cases).map(|case| (case.pairs, case.problem)).collect()
    };
    let tried = |cases: &[(usize, Option<String>)]| cases.iter().filter(|(pairs, _)| *pairs > 0).count();
    let short = cases(&rules("drop;"));
    let long = cases(&rules(&format!("{}drop;", "accept dport 1;".repeat(100))));
    assert_eq!(tried(&short), 21, "{short:?}");
    assert!((1..5).contains(&tried(&long)), "{long:?}");
    let (pairs, problem) = long.last().unwrap();
    assert_eq!(*pairs, 0);
    assert!(problem.as_ref().unwrap().contains("steps"), "{problem:?}");
}

#[test]
fn large_packets_copies_and_multicasts_count_for_more() {
    let tried = |source: &str, packet: &str| {
        let text = format!("test a {{ {} }}", format!("from any to any {packet} expect accept;").repeat(250));
        let report = run(&parse_tests(&text).unwrap(), &rules(source), &crowd(40)).pop().unwrap();
        report.cases.iter().filter(|case| case.pairs > 0).count()
    };
    let plain = tried("accept;", "udp 1");
    assert!(tried("accept;", "udp 1 size 65535") < plain / 10);
    assert!(tried("accept;", "udp 1 multicast") < plain);
    assert!(tried("tee -1 deadbeef01; accept;", "udp 1") < plain / 2);
    assert!(tried("drop random 0; accept;", "udp 1") < plain);
}

#[test]
fn pairs_are_counted_before_they_are_tried() {
    let report = run(
        &parse_tests(
            "test a { from any to any ping expect drop; from any to 0a00000000 arp expect accept; }",
        )
        .unwrap(),
        &rules(SOURCE),
        &crowd(3000),
    );
    let [all, one] = report[0].cases.as_slice() else { panic!("{report:?}") };
    assert_eq!((all.pairs, all.problem.is_some()), (0, true));
    assert_eq!((one.pairs, &one.problem), (2999, &None));
}

#[test]
fn members_of_tests_are_bounded_for_a_text() {
    let mut text = String::new();
    for test in 0..3 {
        text.push_str("test a {");
        (0..2000).for_each(|number| text.push_str(&format!("member m{test}_{number};")));
        text.push_str("from m0_0 to m0_1 arp expect accept; }");
    }
    let reports = run(&parse_tests(&text).unwrap(), &rules(SOURCE), &[]);
    assert_eq!(reports.iter().map(TestReport::passed).collect::<Vec<_>>(), [true, true, false]);
    let problem = "the tests of this text bring over 4096 members";
    assert_eq!(reports[2].problem.as_deref(), Some(problem));

    let report = report(&format!("test a {{ member x {}; }}", "ip 10.0.0.1 ".repeat(65)));
    assert_eq!(report.problem.as_deref(), Some("the member x has over 64 IP addresses"));
}

#[test]
fn mismatches_are_bounded_and_counted() {
    let name = "n".repeat(10_000);
    let case = "from any to any arp expect drop;";
    let text = format!("test a {{ member {name}; member other; {case} {case} }}");
    let report = run(&parse_tests(&text).unwrap(), &rules(SOURCE), &crowd(10)).pop().unwrap();
    let counts: Vec<_> =
        report.cases.iter().map(|case| (case.mismatches.len(), case.mismatch_count)).collect();
    assert_eq!(counts, [(20, 12 * 11 * 2), (1, 12 * 11 * 2)]);
    assert!(report.to_string().contains("    and 244 more\n"), "{report}");
    assert!(report.to_string().len() < 10_000);
}

#[test]
fn knowledge_can_be_asked_for() {
    let source = "tag role id 7 default 0; break not tor role 1; accept;";
    let network_rules = rules(source);
    let test = |case: &str| {
        let tests = parse_tests(&format!("test a {{ {case}; }}")).unwrap();
        run(&tests, &network_rules, &members()).pop().unwrap().passed()
    };
    assert!(test("from laptop to server ping known expect accept"));
    assert!(test("from laptop to server ping first expect drop"));
    assert!(!test("from laptop to server ping expect accept"));
    assert!(!test("from laptop to server ping expect drop"));
}

#[test]
fn chance_must_not_matter() {
    let network_rules = rules("drop random 0.5; accept;");
    for outcome in ["accept", "drop"] {
        let tests =
            parse_tests(&format!("test a {{ from laptop to server ping expect {outcome}; }}")).unwrap();
        assert!(!run(&tests, &network_rules, &members())[0].passed(), "{outcome}");
    }
}

#[test]
fn redirects_and_copies_are_outcomes() {
    let network_rules = rules("tee 10 0a00000003 dport 53; redirect 0a00000004 dport 80; accept;");
    let tests = parse_tests(
        "test a {
            from laptop to server tcp 80 expect redirect 0a00000004;
            from laptop to server udp 53 expect copy to admin;
            from laptop to server udp 53 expect accept;
        }",
    );
    let report = run(&tests.unwrap(), &network_rules, &members()).pop().unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn way_of_a_packet_is_told() {
    let (network_rules, members) = (rules(SOURCE), members());
    let packet = "tcp 443".parse().unwrap();
    let told = explain(&network_rules, &members, &members[0], &members[2], &packet, false).unwrap();
    assert_eq!(told.fate, Fate::Dropped);
    assert_eq!(told.sides[0].grade, Grade::Dropped);
    let expected = "\
laptop to admin (first contact): drop
sender: not passed on, by rules[9], line 17
  rules
    line  13  ethertype arp                             false
    line  13  accept                                    not taken
    line  11  dport 80                                  false (by line 14)
    line  11  ipprotocol tcp                            not looked at (by line 14)
    line  11  accept                                    not taken (by line 14)
    line  15  not tor role server                       true
    line  15  drop                                      skipped once, as a tag of the receiver is not known yet
    line  16  dport 22                                  false
    line  16  accept                                    not taken
    line  17  break                                     TAKEN
";
    assert_eq!(told.to_string(), expected);
    let by_macro = told.sides[0].tables[0].steps[2].origin.unwrap();
    assert_eq!(by_macro.included_at.unwrap().line, 14);

    let told = explain(&network_rules, &members, &members[2], &members[1], &packet, true).unwrap();
    assert_eq!(told.fate, Fate::Accepted);
    assert_eq!(told.sides.len(), 2);
    assert_eq!(told.sides[1].tables[1].capability.as_deref(), Some("admin"));
    assert_eq!(told.sides[1].tables[1].steps[0].step, Step::Taken);
    assert!(told.to_string().contains("receiver: accepted, by capability admin[0], line 8\n"), "{told}");
}

#[test]
fn change_shows_who_is_cut_off_and_who_gets_through() {
    let before = rules("accept ethertype arp; accept dport 22 and ipprotocol tcp; drop;");
    let after = rules("accept dport 443 and ipprotocol tcp; drop;");
    let members = &members()[..2];
    let services = usual_services();
    let found = impact(&before, &after, members, &services, MAX_COMPARISONS);
    let changes: Vec<_> = found.changes.iter().map(ToString::to_string).collect();
    let expected = [
        "laptop to server, arp: accept -> drop",
        "laptop to server, ssh: accept -> drop",
        "laptop to server, https: drop -> accept",
        "server to laptop, arp: accept -> drop",
        "server to laptop, ssh: accept -> drop",
        "server to laptop, https: drop -> accept",
    ];
    assert_eq!(changes, expected);
    assert_eq!((found.compared, found.is_cut), (2 * services.len(), false));
    assert_eq!(impact(&before, &before, members, &services, MAX_COMPARISONS).changes, []);
    let cut = impact(&before, &after, members, &services, 3);
    assert_eq!((cut.compared, cut.is_cut), (3, true));
}

#[test]
fn comparison_of_long_tables_and_large_packets_is_cut() {
    let compared = |rules: &RuleSet, packet: &str| {
        let services = [Service { name: packet.to_owned(), packet: packet.parse().unwrap() }];
        let found = impact(rules, rules, &crowd(300), &services, MAX_COMPARISONS);
        (found.compared, found.is_cut)
    };
    let (short, long) = (rules("drop;"), rules(&format!("{}drop;", "accept dport 1;".repeat(400))));
    assert_eq!(compared(&short, "udp 1"), (300 * 299, false));
    for (rules, packet) in [(&long, "udp 1"), (&short, "udp 1 size 65535")] {
        let (compared, is_cut) = compared(rules, packet);
        assert!(is_cut && compared < 50_000, "{compared}");
    }
}

#[test]
fn rules_without_their_source_have_no_places() {
    let mut network = network(SOURCE);
    assert_eq!(source_fits(&network), Ok(Some(true)));
    let with_source = RuleSet::of_network(&network, &Names::default());
    assert_eq!(with_source.compiled.base.origins.len(), network.rules.len());

    network.rules.pop();
    assert_eq!(source_fits(&network), Ok(Some(false)));
    let compiled = compile(SOURCE).unwrap();
    let names = Names { tags: compiled.tags.clone(), capabilities: compiled.capability_names() };
    let stored = RuleSet::of_network(&network, &names);
    assert!(stored.compiled.base.origins.is_empty());
    assert_eq!(stored.compiled.base.rules, network.rules);
    assert_eq!(
        (stored.compiled.tags[0].name.as_str(), stored.compiled.capabilities[0].name.as_str()),
        ("role", "admin")
    );
    let members = members();
    let told = explain(&stored, &members, &members[0], &members[1], &"arp".parse().unwrap(), true).unwrap();
    assert!(told.to_string().contains("by rules[1]\n"), "{told}");

    network.rules_source = "bogus".to_owned();
    assert!(source_fits(&network).is_err());
    network.rules_source.clear();
    assert_eq!(source_fits(&network), Ok(None));
}

#[test]
fn members_have_the_addresses_that_certificates_name() {
    let mut network = network("accept;");
    network.v6_assign.rfc4193 = true;
    let route = ctl_core::network::Route { target: "10.0.0.0/8".parse().unwrap(), via: None };
    network.routes = vec![route];
    let ips = vec!["10.1.2.3".parse().unwrap(), "192.0.2.9".parse().unwrap()];
    let address: Address = "0a00000001".parse().unwrap();
    let member = Member { ip_assignments: ips, ..Member::new(NETWORK, address, Timestamp(0)) };
    let texts: Vec<_> =
        WorldMember::of(&network, &member).addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["fd11:2233:4455:6677:8899:930a:0:1", "10.1.2.3"]);
}
