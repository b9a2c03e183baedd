//! Every endpoint of `/api/v2`.

use std::sync::LazyLock;

use schemars::{Schema, json_schema};
use warp::http::Method;

use super::audit::AuditPage;
use super::backups::{BackupList, BackupView};
use super::bulk::{Bulk, BulkAnswer};
use super::dry_run::DryRun;
use super::endpoint::{Conditional, Deed, Endpoint, Handler, Waiter};
use super::join::Join;
use super::log_level::LogLevelView;
use super::member_page::MemberPage;
use super::member_record::{MemberChange, MemberView};
use super::network::{MAX_PAGE, NetworkPage};
use super::network_change::NetworkChange;
use super::network_record::NetworkView;
use super::node::{PeerPage, PeerView, Planet, Status};
use super::pending::PendingList;
use super::settings::SettingList;
use super::webhooks::{WebhookList, WebhookView};
use super::{
    audit, backups, bulk, events, join, log_level, member, member_page, network, node, pending, rules,
    schema, settings, tokens, webhooks,
};

const NETWORKS: &str = "/api/v2/network";
const NETWORK: &str = "/api/v2/network/{network}";
const MEMBERS: &str = "/api/v2/network/{network}/member";
const MEMBER: &str = "/api/v2/network/{network}/member/{member}";
const TOKENS: &str = "/api/v2/tokens";
const TOKEN: &str = "/api/v2/tokens/{name}";
const BACKUPS: &str = "/api/v2/backups";
const BACKUP: &str = "/api/v2/backups/{backup}";
const WEBHOOKS: &str = "/api/v2/webhooks";
const WEBHOOK: &str = "/api/v2/webhooks/{webhook}";
const LOG_LEVEL: &str = "/api/v2/log-level";
const RULES: &str = "/api/v2/network/{network}/rules";

/// What is served, and what is documented.
pub(crate) static ENDPOINTS: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
    let groups = [networks(), members(), strangers(), rules(), node(), operations(), kept(), told()];
    groups.into_iter().flatten().collect()
});

fn networks() -> Vec<Endpoint> {
    vec![
        paged(get(NETWORKS, "listNetworks", "The networks", network::list))
            .gives::<NetworkPage>(200, "a page"),
        post(NETWORKS, "createNetwork", "Creates a network with a random id", network::create)
            .takes::<NetworkChange>()
            .conditional(Conditional::Tagged)
            .gives::<NetworkView>(201, "the new network"),
        get(NETWORK, "getNetwork", "One network", network::get)
            .conditional(Conditional::Read)
            .gives::<NetworkView>(200, "the network"),
        dry_run(patch(NETWORK, "changeNetwork", "Changes a network (JSON merge patch)", network::patch))
            .takes::<NetworkChange>()
            .conditional(Conditional::Change)
            .gives::<NetworkView>(200, "the network as it is now; with `dryRun`, what would change")
            .or_gives::<DryRun>(200),
        dry_run(put(
            NETWORK,
            "replaceNetwork",
            "Replaces the settings of a network, or creates it with this id; the rules stay",
            network::put,
        ))
        .takes::<NetworkChange>()
        .conditional(Conditional::Change)
        .gives::<NetworkView>(200, "the network as it is now; with `dryRun`, what would change")
        .or_gives::<DryRun>(200)
        .gives::<NetworkView>(201, "the new network"),
        get("/api/v2/network/{network}/join", "getJoin", "How a device joins a network", join::get)
            .gives::<Join>(200, "command, link and QR code"),
        delete(NETWORK, "removeNetwork", "Removes a network with its members", network::remove)
            .conditional(Conditional::Change)
            .gives_nothing(204, "it is gone"),
    ]
}

fn members() -> Vec<Endpoint> {
    let list = get(MEMBERS, "listMembers", "The members: filtered, sorted, searched", member_page::list);
    vec![
        paged(member_page::parameters(list)).gives::<MemberPage>(200, "a page"),
        post(
            "/api/v2/network/{network}/member/bulk",
            "changeMembers",
            "Changes up to 1,000 members in one transaction, all or none",
            bulk::change,
        )
        .takes::<Bulk>()
        .gives::<BulkAnswer>(200, "what was done, entry by entry"),
        get(MEMBER, "getMember", "One member", member::get)
            .conditional(Conditional::Read)
            .gives::<MemberView>(200, "the member"),
        waiting(Method::PATCH, MEMBER, "changeMember", "Changes a member (JSON merge patch)", member::patch)
            .takes::<MemberChange>()
            .conditional(Conditional::Change)
            .gives::<MemberView>(200, "the member as it is now"),
        waiting(
            Method::PUT,
            MEMBER,
            "replaceMember",
            "Replaces the settings of a member, or adds it before it asks",
            member::put,
        )
        .takes::<MemberChange>()
        .conditional(Conditional::Change)
        .gives::<MemberView>(200, "the member as it is now")
        .gives::<MemberView>(201, "the new member"),
        waiting(Method::DELETE, MEMBER, "removeMember", "Removes a member", member::remove)
            .conditional(Conditional::Change)
            .gives_nothing(204, "it is gone"),
    ]
}

fn strangers() -> Vec<Endpoint> {
    let approve = "/api/v2/network/{network}/pending/{member}/approve";
    let deny = "/api/v2/network/{network}/pending/{member}/deny";
    vec![
        get(
            "/api/v2/network/{network}/pending",
            "listPending",
            "Nodes that asked to join and about which nobody has decided",
            pending::list,
        )
        .gives::<PendingList>(200, "all of them, the one that asked last first"),
        post(approve, "approvePending", "Authorizes a stranger", pending::approve)
            .conditional(Conditional::Change)
            .gives::<MemberView>(200, "the member as it is now"),
        post(deny, "denyPending", "Refuses a stranger for good", pending::deny)
            .conditional(Conditional::Change)
            .gives::<MemberView>(200, "the member as it is now"),
    ]
}

fn rules() -> Vec<Endpoint> {
    vec![
        post("/api/v2/rules/compile", "compileRules", "What a source means", rules::compile_source)
            .takes_schema(schema::source)
            .heavy(|_| true)
            .gives_schema(200, "rules, capabilities, tags, and warnings", schema::compiled),
        post("/api/v2/rules/format", "formatRules", "A source in its one layout", rules::format_source)
            .takes_schema(schema::source)
            .heavy(|_| true)
            .gives_schema(200, "the source", schema::source),
        post("/api/v2/rules/decompile", "decompileRules", "A source for rules", rules::decompile_tables)
            .takes_schema(schema::tables)
            .heavy(|_| true)
            .gives_schema(200, "the source", schema::source),
        get(RULES, "getRules", "Rules, source and tests of a network", rules::get)
            .conditional(Conditional::Read)
            .gives_schema(200, "the rules", schema::of_network),
        dry_run(put(RULES, "replaceRules", "Compiles a source, tests it, and stores it", rules::put))
            .takes_schema(schema::change)
            .heavy(|_| true)
            .conditional(Conditional::Change)
            .gives_schema(200, "the rules as they are now; with `dryRun`, what would change", schema::changed)
            .or_gives_schema(200, schema::rules_dry_run),
        post("/api/v2/network/{network}/rules/test", "testRules", "Runs rule tests", rules::test)
            .takes_schema(schema::tests)
            .heavy(|_| true)
            .gives_schema(200, "what came of them", schema::reports),
        post(
            "/api/v2/network/{network}/rules/explain",
            "explainPacket",
            "Why a packet passes or not, rule by rule",
            rules::explain,
        )
        .takes_schema(schema::question)
        .heavy(|_| true)
        .gives_schema(200, "the explanation", schema::explanation),
    ]
}

fn node() -> Vec<Endpoint> {
    vec![
        get("/api/v2/status", "getStatus", "The node of this controller", node::status)
            .gives::<Status>(200, "its status"),
        get("/api/v2/settings", "listSettings", "What the program was told, and where", settings::list)
            .gives::<SettingList>(200, "all of them"),
        get("/api/v2/planet", "getPlanet", "The root set in use, as file, link and QR code", node::planet)
            .gives::<Planet>(200, "the root set"),
        paged(get("/api/v2/peer", "listPeers", "The peers with their paths", node::list))
            .gives::<PeerPage>(200, "a page"),
        get("/api/v2/peer/{peer}", "getPeer", "One peer with its paths", node::get)
            .gives::<PeerView>(200, "the peer"),
    ]
}

fn operations() -> Vec<Endpoint> {
    let id = || json_schema!({ "type": "integer", "minimum": 1, "maximum": i64::MAX });
    let network = || json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" });
    vec![
        get("/api/v2/events", "watchEvents", "What happens, as server-sent events", events::watch)
            .query("network", "what happens in this one alone", network())
            .streams(
                events::MEDIA_TYPE,
                "events, until the client has enough; `Last-Event-ID` continues where it was",
                schema::events,
            ),
        get("/api/v2/audit", "listAudit", "Who changed what, newest first", audit::list)
            .query("before", "continues where a page ended: its `next`", id())
            .query("limit", "entries of a page", limit(ctl_store::AUDIT_MAX_PAGE as u64))
            .query("network", "only what is about this network", id_text("^[0-9a-f]{16}$"))
            .query("member", "only what is about this node", id_text("^[0-9a-f]{10}$"))
            .gives::<AuditPage>(200, "a page"),
        get(LOG_LEVEL, "getLogLevel", "What the controller logs", log_level::get)
            .gives::<LogLevelView>(200, "the levels in force"),
        put(
            LOG_LEVEL,
            "setLogLevel",
            "Changes what the controller logs, until its next start",
            log_level::put,
        )
        .takes_schema(schema::log_level)
        .gives::<LogLevelView>(200, "the levels in force"),
        get(TOKENS, "listTokens", "The tokens of the API, without their secrets", tokens::list).gives_schema(
            200,
            "all of them",
            schema::token_list,
        ),
        post(TOKENS, "createToken", "Makes a token; its secret is shown only here", tokens::create)
            .takes_schema(schema::token_order)
            .gives_schema(200, "the token, with its `secret`", schema::token),
        get(TOKEN, "getToken", "One token", tokens::get).gives_schema(200, "the token", schema::token),
        delete(TOKEN, "revokeToken", "Revokes a token", tokens::revoke).gives_schema(
            200,
            "the token as it was",
            schema::token,
        ),
        post("/api/v2/tokens/{name}/rotate", "rotateToken", "Gives a token another secret", tokens::rotate)
            .takes_schema(schema::token_rotation)
            .gives_schema(200, "the token, with its new `secret`", schema::token),
    ]
}

fn kept() -> Vec<Endpoint> {
    vec![
        get(BACKUPS, "listBackups", "The backups that are kept, the newest first", backups::list)
            .gives::<BackupList>(200, "all of them"),
        post(BACKUPS, "makeBackup", "Makes a backup now", backups::make)
            .takes_schema(schema::nothing)
            .gives::<BackupView>(201, "it is complete, and was read back"),
        get(BACKUP, "fetchBackup", "The file itself, for `ctl-bin restore`", backups::fetch).streams(
            backups::MEDIA_TYPE,
            "the content",
            schema::file,
        ),
        delete(BACKUP, "removeBackup", "Removes a backup", backups::remove).gives_nothing(204, "it is gone"),
    ]
}

fn told() -> Vec<Endpoint> {
    let rotate = "/api/v2/webhooks/{webhook}/rotate";
    let test = "/api/v2/webhooks/{webhook}/test";
    let retry = "/api/v2/webhooks/{webhook}/retry";
    vec![
        get(WEBHOOKS, "listWebhooks", "Who is told over HTTP of what happens", webhooks::list)
            .gives::<WebhookList>(200, "all of them"),
        post(WEBHOOKS, "createWebhook", "Makes a webhook; its secret is shown only here", webhooks::create)
            .takes_schema(schema::new_webhook)
            .gives::<WebhookView>(201, "the webhook, with its `secret`"),
        get(WEBHOOK, "getWebhook", "One webhook, and what it could not be told", webhooks::get)
            .gives::<WebhookView>(200, "the webhook"),
        patch(WEBHOOK, "changeWebhook", "Changes a webhook (JSON merge patch)", webhooks::patch)
            .takes_schema(schema::webhook_change)
            .gives::<WebhookView>(200, "the webhook as it is now"),
        post(rotate, "rotateWebhook", "Gives a webhook another secret", webhooks::rotate)
            .takes_schema(schema::nothing)
            .gives::<WebhookView>(200, "the webhook, with its new `secret`"),
        post(test, "testWebhook", "Tells a webhook something, to see whether it arrives", webhooks::test)
            .takes_schema(schema::nothing)
            .gives::<WebhookView>(200, "the webhook, for which the test waits"),
        post(retry, "retryWebhook", "Has what was given up tried again, or one delivery", webhooks::retry)
            .takes_schema(schema::webhook_retry)
            .gives::<WebhookView>(200, "the webhook, for which it waits again"),
        delete(WEBHOOK, "removeWebhook", "Removes a webhook with what waits for it", webhooks::remove)
            .gives_nothing(204, "it is gone"),
    ]
}

fn get(path: &'static str, name: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    Endpoint::new(Method::GET, path, name, summary, Deed::Blocks(handler))
}

fn post(path: &'static str, name: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    Endpoint::new(Method::POST, path, name, summary, Deed::Blocks(handler))
}

fn put(path: &'static str, name: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    Endpoint::new(Method::PUT, path, name, summary, Deed::Blocks(handler))
}

fn patch(path: &'static str, name: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    Endpoint::new(Method::PATCH, path, name, summary, Deed::Blocks(handler))
}

fn delete(path: &'static str, name: &'static str, summary: &'static str, handler: Handler) -> Endpoint {
    Endpoint::new(Method::DELETE, path, name, summary, Deed::Blocks(handler))
}

/// For what waits without a thread.
fn waiting(
    method: Method,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    waiter: Waiter,
) -> Endpoint {
    Endpoint::new(method, path, name, summary, Deed::Waits(waiter))
}

fn paged(endpoint: Endpoint) -> Endpoint {
    endpoint.query("limit", "entries of a page, otherwise 100", limit(MAX_PAGE)).query(
        "cursor",
        "continues where a page ended: its `next`",
        json_schema!({ "type": "string" }),
    )
}

fn id_text(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern })
}

fn limit(max: u64) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": max })
}

fn dry_run(endpoint: Endpoint) -> Endpoint {
    endpoint.heavy(|request| request.query.text("dryRun").is_some()).query(
        "dryRun",
        "stores nothing, and says what would change",
        json_schema!({ "type": "boolean" }),
    )
}
