//! The one user of `/api/v1`, and what clients ask about the service (`http-api.md` §19.2).

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;
use zt_proto::Timestamp;

use super::version_1;
use crate::access::scope::Scope;
use crate::access::tokens::{self, Secret, TokenName};
use crate::error::ApiError;
use crate::extract::{self, deleting, param, parse_body, reading, segment, writing};
use crate::webhooks::organization_id;
use crate::{Shared, State, respond, with};

pub(super) fn routes(state: &Shared) -> Vec<BoxedFilter<(Response,)>> {
    vec![
        status(state),
        random_token(state),
        current_user(state, "self"),
        users(state),
        user(state),
        update_user(state),
        add_token(state),
        remove_token(state),
        organization(state),
        organization_by_id(state),
        organization_users(state),
        invitations(),
    ]
}

/// `GET /api/v1/status`: the service and who asks.
fn status(state: &Shared) -> BoxedFilter<(Response,)> {
    let started = (state.api.now)();
    version_1()
        .and(segment("status"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(move |state: Shared| {
            respond(move || {
                let now = (state.api.now)();
                let node = state.node();
                Ok(json!({
                    "apiVersion": "4",
                    "clock": now.0,
                    "id": "central_status",
                    "loginMethods": {
                        "facebook": false, "github": false, "google": false, "local": true, "oidc": false,
                        "saml": false, "twitter": false,
                    },
                    "online": node.online,
                    "readOnlyMode": false,
                    "type": "CentralStatus",
                    "uptime": now.millis_since(started),
                    "user": state.central_user()?,
                    "version": env!("CARGO_PKG_VERSION"),
                }))
            })
        })
        .boxed()
}

/// `GET /api/v1/randomToken`: a secret that nobody can guess, which `POST /api/v1/user/{id}/token` takes. Nothing is stored.
fn random_token(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("randomToken"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .map(|state: Shared| {
            let secret = Secret::new(|| (state.api.random)());
            let (token, clock) = (secret.reveal(), (state.api.now)().0);
            let hashed = HEXLOWER.encode(&Sha256::digest(token.as_bytes()));
            extract::json(
                StatusCode::OK,
                &json!({ "clock": clock, "hashed": hashed, "raw": token, "token": token }),
            )
        })
        .boxed()
}

/// `GET /api/v1/self`: the user, as clients of 2017 ask for it.
fn current_user(state: &Shared, name: &'static str) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment(name))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |state: Shared| respond(move || state.central_user()).await)
        .boxed()
}

/// `GET /api/v1/user`: all users.
fn users(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("user"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |state: Shared| respond(move || Ok(json!([state.central_user()?]))).await)
        .boxed()
}

/// `GET /api/v1/user/{id}`: the user.
fn user(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("user"))
        .and(param())
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: String, state: Shared| respond(move || state.user_with_id(&id)).await)
        .boxed()
}

/// `POST /api/v1/user/{id}`: the user stays as it is.
fn update_user(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("user"))
        .and(param())
        .and(writing())
        .and(with(Arc::clone(state)))
        .then(async |id: String, body: Result<Vec<u8>, ApiError>, state: Shared| {
            respond(move || {
                parse_body(&body?)?;
                state.user_with_id(&id)
            })
            .await
        })
        .boxed()
}

/// `POST /api/v1/user/{id}/token`: makes a token that may do everything, as those of the hosted service may.
fn add_token(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("user"))
        .and(param())
        .and(segment("token"))
        .and(writing())
        .and(with(Arc::clone(state)))
        .then(async |id: String, body: Result<Vec<u8>, ApiError>, state: Shared| {
            respond(move || {
                state.user_with_id(&id)?;
                let body = parse_body(&body?)?;
                let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
                let name = text("tokenName").parse::<TokenName>();
                let name = name.map_err(|error| ApiError::Unusable(format!("tokenName: {error}")))?;
                // One that somebody thought of himself could be guessed.
                let secret = Secret::parse(text("token").as_bytes()).ok_or_else(|| {
                    ApiError::Unusable("token: expected one of /api/v1/randomToken".to_owned())
                })?;
                let (actor, now) = (&state.caller.name, state.now());
                let order = (&name, &Scope::admin(), Timestamp(0));
                state.api.store.write(|tx| tokens::create(tx, order, &secret, actor, now))?;
                Ok(json!({ "tokenName": name.to_string(), "token": secret.reveal() }))
            })
            .await
        })
        .boxed()
}

/// `DELETE /api/v1/user/{id}/token/{name}`: revokes a token.
fn remove_token(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("user"))
        .and(param())
        .and(segment("token"))
        .and(param())
        .and(deleting())
        .and(with(Arc::clone(state)))
        .then(async |id: String, name: String, state: Shared| {
            respond(move || {
                state.user_with_id(&id)?;
                let (actor, now) = (&state.caller.name, state.now());
                state.api.store.write(|tx| tokens::revoke(tx, &name, actor, now))?;
                Ok(json!({ "tokenName": name }))
            })
            .await
        })
        .boxed()
}

/// `GET /api/v1/org`: the organization of the user, which has no other member.
fn organization(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("org"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |state: Shared| respond(move || Ok(state.central_organization())).await)
        .boxed()
}

/// `GET /api/v1/org/{id}`: the organization.
fn organization_by_id(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("org"))
        .and(param())
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: String, state: Shared| {
            respond(move || {
                state.user_with_id(&id)?;
                Ok(state.central_organization())
            })
            .await
        })
        .boxed()
}

/// `GET /api/v1/org/{id}/user`: its members.
fn organization_users(state: &Shared) -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("org"))
        .and(param())
        .and(segment("user"))
        .and(reading())
        .and(with(Arc::clone(state)))
        .then(async |id: String, state: Shared| {
            respond(move || {
                state.user_with_id(&id)?;
                Ok(json!([state.organization_member()]))
            })
            .await
        })
        .boxed()
}

/// `GET /api/v1/org-invitation`: none.
fn invitations() -> BoxedFilter<(Response,)> {
    version_1()
        .and(segment("org-invitation"))
        .and(reading())
        .map(|| extract::json(StatusCode::OK, &json!([])))
        .boxed()
}

impl State {
    /// Returns the id of the user, which is also that of the organization: a UUID that ends in the controller's address.
    pub(super) fn central_user_id(&self) -> String {
        organization_id(self.api.controller)
    }

    /// Renders the user, with the names of the tokens for who may read everything.
    pub(super) fn central_user(&self) -> Result<Value, ApiError> {
        let tokens = if self.caller.reads_everything() {
            self.api.store.read(|tx| tx.api_tokens().list().map_err(ApiError::from))?
        } else {
            Vec::new()
        };
        let tokens: Vec<_> = tokens.into_iter().map(|token| token.name).collect();
        let id = self.central_user_id();
        Ok(json!({
            "auth": { "local": null },
            "clock": (self.api.now)().0,
            "displayName": NAME,
            "email": "",
            "globalPermissions": { "a": true, "d": true, "m": true, "r": true },
            "id": id,
            "orgId": id,
            "smsNumber": "",
            "tokens": tokens,
            "type": "User",
        }))
    }

    fn user_with_id(&self, id: &str) -> Result<Value, ApiError> {
        if id == self.central_user_id() { self.central_user() } else { Err(ApiError::NotFound) }
    }

    fn organization_member(&self) -> Value {
        let id = self.central_user_id();
        json!({ "email": "", "name": NAME, "orgId": id, "userId": id })
    }

    fn central_organization(&self) -> Value {
        let id = self.central_user_id();
        json!({
            "id": id,
            "members": [self.organization_member()],
            "ownerEmail": "",
            "ownerId": id,
            "ssoConfig": { "enabled": false, "mode": "" },
        })
    }
}

/// What clients show as the name of the user.
const NAME: &str = "administrator";
