//! The tokens of the API (`docs/security.md`). Only a token that may do everything gets here.

use ctl_store::ApiToken;
use serde_json::{Map, Value, json};
use zt_proto::Timestamp;

use super::problem::{Invalid, Problem};
use super::request::{Answer, Request};
use super::strict::{Fields, parse_object};
use crate::State;
use crate::access::scope::{Grant, MAX_GRANTS, Scope};
use crate::access::tokens::{self, DEFAULT_GRACE, MAX_GRACE, MAX_TOKENS, Secret, TokenError, TokenName};

/// `GET /api/v2/tokens`: all tokens, by name; never a secret.
pub(crate) fn list(state: &State, _: Request) -> Result<Answer, Problem> {
    let tokens = state.api.store.read(|tx| tx.api_tokens().list())?;
    let data: Vec<_> = tokens.iter().map(|token| Value::Object(render(token))).collect();
    let meta = json!({ "totalCount": data.len(), "limit": MAX_TOKENS });
    Answer::ok(&json!({ "data": data, "meta": meta }))
}

/// `POST /api/v2/tokens`: makes a token; the answer has its secret, which is shown nowhere else.
pub(crate) fn create(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let (name, scope, expires) = read_order(&parse_object(&request.take_body()?)?, state.now())?;
    let token = state.with_secret(|tx, secret, actor, now| {
        tokens::create(tx, (&name, &scope, expires), secret, actor, now)
    })?;
    Answer::ok(&token)
}

/// `GET /api/v2/tokens/{name}`: one token.
pub(crate) fn get(state: &State, request: Request) -> Result<Answer, Problem> {
    let name = name_of(&request)?;
    Answer::ok(&render(&state.api.store.read(|tx| tokens::get(tx, &name))?))
}

/// `DELETE /api/v2/tokens/{name}`: revokes a token; answers what it was.
pub(crate) fn revoke(state: &State, request: Request) -> Result<Answer, Problem> {
    let name = name_of(&request)?;
    let (actor, now) = (&state.caller.name, state.now());
    Answer::ok(&render(&state.api.store.write(|tx| tokens::revoke(tx, &name, actor, now))?))
}

/// `POST /api/v2/tokens/{name}/rotate`: gives a token another secret, which the answer has; the old one stays valid for
/// `graceSeconds`.
pub(crate) fn rotate(state: &State, mut request: Request) -> Result<Answer, Problem> {
    let name = name_of(&request)?;
    let body = parse_object(&request.take_body()?)?;
    let mut fields = Fields::new(&body);
    let grace = fields.number("graceSeconds", MAX_GRACE / 1000).unwrap_or(DEFAULT_GRACE / 1000);
    fields.finish()?;
    let token = state.with_secret(|tx, secret, actor, now| {
        tokens::rotate(tx, (&name, grace * 1000), secret, actor, now)
    })?;
    Answer::ok(&token)
}

/// Returns the name in the path: what cannot be one is a token that is not there.
fn name_of(request: &Request) -> Result<String, Problem> {
    request.segment(0, "there is no token without a name")
}

impl State {
    /// Runs `work` with a new secret, and shows that beside the token.
    fn with_secret(
        &self,
        work: impl FnOnce(&ctl_store::Tx<'_>, &Secret, &str, Timestamp) -> Result<ApiToken, TokenError>,
    ) -> Result<Map<String, Value>, Problem> {
        let secret = Secret::new(|| (self.api.random)());
        let now = self.now();
        let token = self.api.store.write(|tx| work(tx, &secret, &self.caller.name, now))?;
        let mut shown = render(&token);
        shown.insert("secret".to_owned(), secret.reveal().into());
        Ok(shown)
    }
}

/// Reads `name`, `scope` and `expires`.
fn read_order(body: &Map<String, Value>, now: Timestamp) -> Result<(TokenName, Scope, Timestamp), Problem> {
    let mut fields = Fields::new(body);
    let name = fields.text("name").map(|text| text.parse::<TokenName>());
    let name = name.map(|name| name.map_err(|error| Invalid::new("/name", error.to_string())));
    let name = taken(&mut fields, "name", name);
    let scope = fields.short_array("scope", MAX_GRANTS).map(read_scope);
    let scope = taken(&mut fields, "scope", scope);
    let expires = fields.number("expires", u64::MAX).unwrap_or(0);
    if expires != 0 && expires <= now.0 {
        let detail = format!("expected a time after {}, or 0 for never, got {expires}", now.0);
        fields.refuse(Invalid::new("/expires", detail));
    }
    fields.finish()?;
    // What is not there was refused.
    let (Some(name), Some(scope)) = (name, scope) else { return Err(Problem::fields(Vec::new())) };
    Ok((name, scope, Timestamp(expires)))
}

/// Returns a field that has to be there; notes what is wrong with it, unless its type has been noted.
fn taken<T>(fields: &mut Fields<'_>, name: &str, value: Option<Result<T, Invalid>>) -> Option<T> {
    match value {
        Some(Ok(value)) => return Some(value),
        Some(Err(invalid)) => fields.refuse(invalid),
        None if fields.has(name) => {}
        None => fields.refuse(Invalid::new(format!("/{name}"), "expected a value, got nothing")),
    }
    None
}

fn read_scope(entries: &[Value]) -> Result<Scope, Invalid> {
    let mut grants = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let pointer = format!("/scope/{index}");
        let Some(text) = entry.as_str() else {
            return Err(Invalid::new(pointer, super::strict::expected("a text", entry)));
        };
        grants.push(text.parse::<Grant>().map_err(|error| Invalid::new(pointer, error.to_string()))?);
    }
    Scope::new(grants).map_err(|error| Invalid::new("/scope", error.to_string()))
}

fn render(token: &ApiToken) -> Map<String, Value> {
    let scope: Vec<_> = token.scope.split(' ').map(str::to_owned).collect();
    let valid_until = token.previous.map(|(_, until)| until.0);
    let fields = [
        ("name", token.name.clone().into()),
        ("scope", scope.into()),
        ("created", token.created.0.into()),
        ("lastUsed", token.last_used.0.into()),
        ("expires", token.expires.0.into()),
        ("previousSecretValidUntil", valid_until.into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
