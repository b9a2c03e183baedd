//! Where the answers differ from the recorded ones on purpose (`docs/api-compat.md`).

/// One exchange that goes another way than recorded.
pub(crate) struct Departure {
    pub(crate) file: &'static str,
    pub(crate) id: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) expect: Expect,
}

/// What the answer is instead.
#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// This status, and no more is said about the body.
    Status(u16),
    /// This status, and a JSON error whose description has this text.
    Error(u16, &'static str),
    /// 200, and these values at these JSON pointers; all the rest as recorded, but for the revision.
    Shows(&'static [(&'static str, &'static str)]),
}

use Expect::{Error, Shows, Status};

const fn row(file: &'static str, id: &'static str, reason: &'static str, expect: Expect) -> Departure {
    Departure { file, id, reason, expect }
}

const AUTH: &str = "01-auth";
const TRANSPORT: &str = "02-transport";
const NODE: &str = "03-node";
const LIFECYCLE: &str = "05-network-lifecycle";
const SCALARS: &str = "06-network-scalars";
const MODES: &str = "07-network-assign-modes";
const ROUTES: &str = "08-network-routes-pools-dns";
const RULES: &str = "09-network-rules";
const CAPS: &str = "10-network-caps-tags-tokens";
const REVISION: &str = "11-network-revision";
const MEMBERS: &str = "12-member-lifecycle";
const FIELDS: &str = "13-member-fields";
const ZERO_UI: &str = "ui-zero-ui";
const ZTNET: &str = "ui-ztnet";
const LIVE: &str = "14-live-member";
const OWN: &str = "15-own-network";
const CLI: &str = "ui-zerotier-cli";

const SLASH: &str = "one trailing slash does not matter";
const NO_FILES: &str = "no static files and no sign-on page: a path like any other";
const NO_JSONP: &str = "no JSONP";
const NO_JOIN: &str = "the controller does not join networks";
const NO_MOON: &str = "moons are files of the home, and not changed over HTTP";
const NO_BOND: &str = "no bonds";
const NO_CONFIG: &str = "local.conf is not changed over HTTP";
const SETTINGS: &str = "settings are those of this program";
const EMPTY: &str = "an empty body counts as {}";
const BAD_JSON: &str = "bad JSON is the client's fault, and the description is well-formed";
const FOREIGN: &str = "a network with a foreign id can never serve anybody";
const LOWER: &str = "ids are always lower case";
const UNREADABLE: &str = "what cannot be read as an address is dropped, never turned into another";
const FOLLOWS: &str = "follows from a departure before it";
const OLD_SHAPE: &str = "old shapes are converted";
const NOT_UNDERSTOOD: &str = "rules that are not understood are refused, never dropped or widened";
const THREE_KEYS: &str = "v6AssignMode always has three keys";
const DNS_SHAPE: &str = "dns is [] or an object with both keys, and servers are addresses";
const WIDTH: &str = "ids and values of tags and capabilities have 32 bits";
const TOKENS: &str = "no tokens are shown as in a new network";
const TRACE_LEVEL: &str = "a trace level that is not sent stays";
const SETTABLE: &str = "some fields that 1.14 does not take can be set";
const IDENTITY: &str = "an identity can be named before the node asks, so it must be one";
const WHEN_IT_ASKS: &str =
    "a push authorizes nobody: whoever waits is authorized when it next asks, and so its release is known";
const RELEASE: Expect = Shows(&[("/vMajor", "1"), ("/vMinor", "14"), ("/vRev", "1"), ("/vProto", "12")]);
const SOURCE: &str = "rulesSource is kept";

/// Exchanges that cannot be replayed here: file, id, reason.
pub(crate) const NOT_REPLAYED: &[(&str, &str, &str)] = &[
    (
        AUTH,
        "auth-remote-valid-token",
        "needs a second address of the machine; see api::source_that_is_not_allowed",
    ),
    (AUTH, "auth-remote-health", "as above"),
    (AUTH, "auth-remote-metrics", "as above; see metrics::source_address_does_not_matter"),
    (AUTH, "auth-remote-loopback-alias", "needs another loopback source; see the unit test of is_allowed"),
    (AUTH, "auth-ipv6-loopback", "needs IPv6; see the unit test of is_allowed"),
];

pub(crate) const DEPARTURES: &[Departure] = &[
    row(AUTH, "auth-health-slash", SLASH, Status(200)),
    row(AUTH, "auth-sso-none", NO_FILES, Status(401)),
    row(AUTH, "auth-app-none", NO_FILES, Status(401)),
    row(AUTH, "auth-apple-none", NO_FILES, Status(401)),
    row(AUTH, "auth-jsonp-401", NO_JSONP, Status(401)),
    row(TRANSPORT, "t-trailing-slash-status", SLASH, Status(200)),
    row(TRANSPORT, "t-trailing-slash-list", SLASH, Status(200)),
    row(TRANSPORT, "t-jsonp", NO_JSONP, Status(200)),
    row(TRANSPORT, "t-jsonp-empty-name", NO_JSONP, Status(200)),
    row(TRANSPORT, "t-jsonp-unsafe-name", NO_JSONP, Status(200)),
    row(
        NODE,
        "n-status",
        SETTINGS,
        Shows(&[
            ("/config/settings/allowTcpFallbackRelay", "false"),
            ("/config/settings/portMappingEnabled", "false"),
            ("/config/settings/secondaryPort", "27387"),
            ("/config/settings/tertiaryPort", "0"),
        ]),
    ),
    row(NODE, "n-moon-post-no-seed", NO_MOON, Status(404)),
    row(NODE, "n-moon-post-bad-json", NO_MOON, Status(404)),
    row(NODE, "n-moon-post-seed", NO_MOON, Status(404)),
    row(NODE, "n-moon-delete", NO_MOON, Status(404)),
    row(NODE, "n-moon-delete-unknown", NO_MOON, Status(404)),
    row(NODE, "n-bond-show", NO_BOND, Status(404)),
    row(NODE, "n-bond-rotate", NO_BOND, Status(404)),
    row(NODE, "n-bond-setmtu", NO_BOND, Status(404)),
    row(NODE, "n-config-post", NO_CONFIG, Status(404)),
    row(NODE, "n-config-get", NO_CONFIG, Status(200)),
    row(NODE, "n-config-put", NO_CONFIG, Status(404)),
    row(NODE, "n-config-get2", NO_CONFIG, Status(200)),
    row(NODE, "n-config-post-array", NO_CONFIG, Status(404)),
    row(NODE, "n-config-post-empty", NO_CONFIG, Status(404)),
    row(NODE, "n-config-post-bad", NO_CONFIG, Status(404)),
    row(NODE, "n-status-with-config", NO_CONFIG, Status(200)),
    row(NODE, "n-status-jsonp", NO_JSONP, Status(200)),
    row(
        LIFECYCLE,
        "c-create-underscores-upper",
        "the prefix may be of either case",
        Shows(&[("/revision", "1")]),
    ),
    row(LIFECYCLE, "c-create-foreign", FOREIGN, Error(400, "got 8056c2e21c000001")),
    row(LIFECYCLE, "c-get-foreign", FOLLOWS, Status(404)),
    row(LIFECYCLE, "c-create-id-zero", FOREIGN, Error(400, "got 0000000000000000")),
    row(LIFECYCLE, "c-post-empty-body", EMPTY, Shows(&[("/name", "\"explicit\"")])),
    row(LIFECYCLE, "c-post-no-length", EMPTY, Shows(&[("/name", "\"explicit\"")])),
    row(LIFECYCLE, "c-post-bad-json", BAD_JSON, Error(400, "at line 1 column 8")),
    row(LIFECYCLE, "c-post-bad-json-quote", BAD_JSON, Error(400, "at line 1 column 13")),
    row(LIFECYCLE, "c-post-single-quotes", BAD_JSON, Error(400, "at line 1 column 2")),
    row(LIFECYCLE, "c-post-comment", BAD_JSON, Error(400, "at line 1 column 21")),
    row(LIFECYCLE, "c-post-trailing-comma", BAD_JSON, Error(400, "at line 1 column 20")),
    row(LIFECYCLE, "c-post-nul-tail", "nothing may follow the JSON value", Error(400, "at line 1 column 20")),
    row(LIFECYCLE, "c-post-invalid-utf8", BAD_JSON, Error(400, "at line 1 column 10")),
    row(
        LIFECYCLE,
        "c-post-form-8193",
        "a form type has no limit of its own",
        Shows(&[("/name", "\"explicit\"")]),
    ),
    row(LIFECYCLE, "c-post-multipart", BAD_JSON, Error(400, "at line 1 column 2")),
    row(LIFECYCLE, "c-post-deep", "values nest at most 128 deep", Error(400, "recursion limit")),
    row(
        LIFECYCLE,
        "c-readonly",
        SETTABLE,
        Shows(&[("/rulesSource", "\"accept;\""), ("/allowPassiveBridging", "true")]),
    ),
    row(LIFECYCLE, "c-delete-foreign", FOLLOWS, Status(404)),
    row(SCALARS, "f-rtl-reset", TRACE_LEVEL, Shows(&[("/remoteTraceLevel", "2")])),
    row(
        MODES,
        "a6-6plane-true",
        THREE_KEYS,
        Shows(&[("/v6AssignMode", r#"{"6plane":true,"rfc4193":false,"zt":false}"#)]),
    ),
    row(
        MODES,
        "a6-empty-object",
        THREE_KEYS,
        Shows(&[("/v6AssignMode", r#"{"6plane":false,"rfc4193":false,"zt":false}"#)]),
    ),
    row(
        MODES,
        "a6-zt-null",
        THREE_KEYS,
        Shows(&[("/v6AssignMode", r#"{"6plane":false,"rfc4193":false,"zt":false}"#)]),
    ),
    row(
        MODES,
        "a6-foo-true-zt-true",
        THREE_KEYS,
        Shows(&[("/v6AssignMode", r#"{"6plane":false,"rfc4193":false,"zt":true}"#)]),
    ),
    row(ROUTES, "r-no-bits", UNREADABLE, Shows(&[("/routes", "[]")])),
    row(ROUTES, "r-bits-text", UNREADABLE, Shows(&[("/routes", "[]")])),
    row(
        ROUTES,
        "r-via-garbage",
        UNREADABLE,
        Shows(&[("/routes", r#"[{"target":"10.0.0.0/8","via":null},{"target":"11.0.0.0/8","via":null}]"#)]),
    ),
    row(ROUTES, "r-target-garbage", UNREADABLE, Shows(&[("/routes", "[]")])),
    row(ROUTES, "r-target-types", FOLLOWS, Shows(&[("/routes", "[]")])),
    row(ROUTES, "ip-pool-garbage", UNREADABLE, Shows(&[("/ipAssignmentPools", "[]")])),
    row(
        ROUTES,
        "ip-pool-seed-era",
        OLD_SHAPE,
        Shows(&[("/ipAssignmentPools", r#"[{"ipRangeEnd":"10.0.0.254","ipRangeStart":"10.0.0.1"}]"#)]),
    ),
    row(ROUTES, "dns-unchecked", DNS_SHAPE, Shows(&[("/dns", r#"{"domain":"5","servers":[]}"#)])),
    row(ROUTES, "dns-no-servers", DNS_SHAPE, Shows(&[("/dns", r#"{"domain":"x","servers":[]}"#)])),
    row(ROUTES, "dns-servers-text", DNS_SHAPE, Shows(&[("/dns", r#"{"domain":"x","servers":[]}"#)])),
    row(ROUTES, "dns-empty-object", DNS_SHAPE, Shows(&[("/dns", r#"{"domain":"","servers":[]}"#)])),
    row(ROUTES, "dns-null", FOLLOWS, Shows(&[("/dns", r#"{"domain":"","servers":[]}"#)])),
    row(ROUTES, "dns-array", FOLLOWS, Shows(&[("/dns", r#"{"domain":"","servers":[]}"#)])),
    row(ROUTES, "dns-clear", FOLLOWS, Shows(&[("/dns", r#"{"domain":"","servers":[]}"#)])),
    row(RULES, "rule-mac", NOT_UNDERSTOOD, Error(400, "rules[3].mac: expected a MAC address")),
    row(RULES, "rule-ip", NOT_UNDERSTOOD, Error(400, "rules[1].ip: expected an IPv4 ADDRESS/BITS")),
    row(
        RULES,
        "rule-ip-wrong-family",
        NOT_UNDERSTOOD,
        Error(400, "rules[0].ip: expected an IPv4 ADDRESS/BITS"),
    ),
    row(RULES, "rule-address-short", NOT_UNDERSTOOD, Error(400, "rules[1].zt: expected an address")),
    row(RULES, "rule-tos", NOT_UNDERSTOOD, Error(400, "rules[1].mask: expected a whole number")),
    row(
        RULES,
        "rule-proto",
        NOT_UNDERSTOOD,
        Error(400, "rules[2].ipProtocol: expected a whole number from 0 to 255, got \"tcp\""),
    ),
    row(
        RULES,
        "rule-ethertype",
        NOT_UNDERSTOOD,
        Error(400, "rules[2].etherType: expected a whole number from 0 to 65535, got \"0x800\""),
    ),
    row(RULES, "rule-ports", NOT_UNDERSTOOD, Error(400, "rules[3].start: expected a whole number")),
    row(RULES, "rule-characteristics", NOT_UNDERSTOOD, Error(400, "rules[2].mask: expected hexadecimal")),
    row(RULES, "rule-characteristics-bad", NOT_UNDERSTOOD, Error(400, "rules[0].mask: expected hexadecimal")),
    row(
        RULES,
        "rule-integer-range",
        "INTEGER_RANGE is accepted",
        Shows(&[(
            "/rules",
            r#"[{"bits":16,"end":"0000000000000020","idx":4,"little":false,"not":false,"or":false,
                 "start":"0000000000000010","type":"INTEGER_RANGE"},{"type":"ACTION_ACCEPT"}]"#,
        )]),
    ),
    row(
        RULES,
        "rule-match-integer-range",
        "INTEGER_RANGE is accepted under both names",
        Shows(&[(
            "/rules",
            r#"[{"bits":16,"end":"0000000000000002","idx":4,"little":false,"not":false,"or":false,
                 "start":"0000000000000001","type":"INTEGER_RANGE"},{"type":"ACTION_ACCEPT"}]"#,
        )]),
    ),
    row(
        RULES,
        "rule-unknown",
        NOT_UNDERSTOOD,
        Error(400, r#"rules[0].type: unknown rule type "ACTION_NOPE""#),
    ),
    row(
        RULES,
        "rule-legacy-2015",
        OLD_SHAPE,
        Shows(&[(
            "/rules",
            r#"[{"etherType":2048,"not":false,"or":false,"type":"MATCH_ETHERTYPE"},{"type":"ACTION_ACCEPT"}]"#,
        )]),
    ),
    row(RULES, "rule-legacy-1-2", NOT_UNDERSTOOD, Error(400, r#"unknown rule type "MATCH_TAGS_SAMENESS""#)),
    row(
        RULES,
        "rule-1030",
        "members would get another table than was sent",
        Error(400, "rules: expected at most 1024 rules, got 1030"),
    ),
    row(
        CAPS,
        "cap-types",
        WIDTH,
        Shows(&[(
            "/capabilities",
            r#"[{"default":false,"id":0,"rules":[]},{"default":false,"id":7,"rules":[]},
                {"default":false,"id":8,"rules":[]},{"default":false,"id":9,"rules":[]},
                {"default":false,"id":4294967295,"rules":[]}]"#,
        )]),
    ),
    row(CAPS, "cap-not-array", FOLLOWS, Shows(&[("/capabilities/4/id", "4294967295")])),
    row(CAPS, "tag-types", WIDTH, Shows(&[("/tags/1/default", "4294967295")])),
    row(CAPS, "tag-not-array", FOLLOWS, Shows(&[("/tags/1/default", "4294967295")])),
    row(CAPS, "tok-mixed", "milliseconds have no fraction", Shows(&[("/authTokens", r#"{"a":5,"e":1}"#)])),
    row(CAPS, "tok-none-valid", TOKENS, Shows(&[("/authTokens", "[null]")])),
    row(CAPS, "tok-empty", TOKENS, Shows(&[("/authTokens", "[null]")])),
    row(CAPS, "tok-array", FOLLOWS, Shows(&[("/authTokens", "[null]")])),
    row(REVISION, "rev-bad-then-nothing", NOT_UNDERSTOOD, Error(400, "rules[0].mask: expected hexadecimal")),
    row(MEMBERS, "m-readonly", IDENTITY, Error(400, "identity: expected the public identity of a1b2c3d4e5")),
    row(MEMBERS, "m-list-slash", SLASH, Status(200)),
    row(MEMBERS, "m-id-upper", LOWER, Shows(&[("/id", "\"aabbccddee\""), ("/address", "\"aabbccddee\"")])),
    row(
        MEMBERS,
        "m-id-upper-get-lower",
        LOWER,
        Shows(&[("/id", "\"aabbccddee\""), ("/address", "\"aabbccddee\"")]),
    ),
    row(MEMBERS, "m-list-upper", LOWER, Shows(&[("/aabbccddee", "1"), ("/AABBCCDDEE", "null")])),
    row(MEMBERS, "m-id-upper-fix", FOLLOWS, Shows(&[("/revision", "1")])),
    row(MEMBERS, "m-nwid-upper", LOWER, Shows(&[("/nwid", "\"a940ad429a0000f2\"")])),
    row(MEMBERS, "m-nwid-upper-get", LOWER, Shows(&[("/nwid", "\"a940ad429a0000f2\"")])),
    row(MEMBERS, "m-id-zero", "no node has this address", Error(400, "got 0000000000")),
    row(MEMBERS, "m-post-empty", EMPTY, Shows(&[("/id", "\"a1b2c3d4e5\"")])),
    row(MEMBERS, "m-post-bad-json", BAD_JSON, Error(400, "at line 1 column 18")),
    row(MEMBERS, "m-get-jsonp", NO_JSONP, Status(200)),
    row(
        FIELDS,
        "mf-ips-dup",
        "an address occurs once in the list",
        Shows(&[("/ipAssignments", "[\"10.147.17.5\"]")]),
    ),
    row(FIELDS, "mf-ips-garbage", UNREADABLE, Shows(&[("/ipAssignments", "[]")])),
    row(
        FIELDS,
        "mf-ips-number",
        BAD_JSON,
        Error(400, "ipAssignments[1]: expected an IP address as text, got 5"),
    ),
    row(FIELDS, "mf-ips-text", FOLLOWS, Shows(&[("/ipAssignments", "[]")])),
    row(FIELDS, "mf-ips-null", FOLLOWS, Shows(&[("/ipAssignments", "[]")])),
    row(FIELDS, "mf-ips-empty", FOLLOWS, Shows(&[("/ipAssignments", "[]")])),
    row(
        FIELDS,
        "mf-ips-same-as-other-b",
        "two members of a network cannot have one address",
        Error(409, "got 10.147.17.9, which member a1b2c3d4e5 has"),
    ),
    row(FIELDS, "mf-caps", WIDTH, Shows(&[("/capabilities", "[0,3,5,7,4294967295]")])),
    row(FIELDS, "mf-caps-object", FOLLOWS, Shows(&[("/capabilities", "[0,3,5,7,4294967295]")])),
    row(FIELDS, "mf-rtt-reset", TRACE_LEVEL, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-rtt-clear", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-auth-expiry", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-auth-expiry-text", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-auth-expiry-reset", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-auth-url", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-many", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-noop", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(FIELDS, "mf-stash", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(
        FIELDS,
        "mf-error-partial",
        BAD_JSON,
        Error(400, "ipAssignments[0]: expected an IP address as text, got null"),
    ),
    row(FIELDS, "mf-get-after-error", FOLLOWS, Shows(&[("/remoteTraceLevel", "1")])),
    row(LIVE, "l-get-public", WHEN_IT_ASKS, RELEASE),
    row(LIVE, "l-get-public-2", WHEN_IT_ASKS, RELEASE),
    row(OWN, "o-join", NO_JOIN, Status(404)),
    row(OWN, "o-get-denied", NO_JOIN, Status(404)),
    row(OWN, "o-member-list", FOLLOWS, Status(200)),
    row(OWN, "o-authorize", FOLLOWS, Shows(&[("/identity", "null")])),
    row(OWN, "o-get-ok", NO_JOIN, Status(404)),
    row(OWN, "o-set", NO_JOIN, Status(404)),
    row(OWN, "o-set-bad-json", NO_JOIN, Status(404)),
    row(OWN, "o-leave", FOLLOWS, Status(200)),
    row(OWN, "o-member-still", FOLLOWS, Status(200)),
    row(
        ZERO_UI,
        "ui-zero-ui#27.1",
        "recorded with the DELETE under way; here it comes second, and adds the member anew",
        Shows(&[
            ("/activeBridge", "false"),
            ("/noAutoAssignIps", "false"),
            ("/lastAuthorizedCredentialType", "null"),
            ("/identity", "null"),
        ]),
    ),
    row(ZTNET, "ui-ztnet#17.0", SOURCE, Shows(&[("/rulesSource", "\"#\"")])),
    row(ZTNET, "ui-ztnet#25.0", SOURCE, Shows(&[("/rulesSource", "\"#\"")])),
    row(ZTNET, "ui-ztnet#36.0", SOURCE, Shows(&[("/rulesSource", "\"#\"")])),
    row(CLI, "ui-zerotier-cli#13.0", NO_MOON, Status(404)),
    row(CLI, "ui-zerotier-cli#14.0", NO_MOON, Status(404)),
    row(CLI, "ui-zerotier-cli#15.0", NO_JOIN, Status(404)),
    row(CLI, "ui-zerotier-cli#19.0", NO_JOIN, Status(404)),
    row(CLI, "ui-zerotier-cli#20.0", FOLLOWS, Status(200)),
];
