//! What a request of the hosted service's clients changes, in terms of the records here.

use ctl_core::record::{self, network};
use ctl_core::rules::{Compiled, Severity, compile};
use ctl_core::{Member, Network};
use ctl_store::Tx;
use serde_json::{Map, Value};
use zt_proto::{Address, NetworkId, Timestamp};

use super::view;
use crate::error::ApiError;
use crate::network::NetworkChange;

/// Longest description, in bytes: it comes with every answer about its record.
const MAX_DESCRIPTION: usize = 16 << 10;
/// Errors of a source that an answer names.
const MAX_ERRORS: usize = 10;

/// The body of a change of a network.
pub(super) struct NetworkPost {
    /// Fields of the record.
    config: Map<String, Value>,
    /// With what it compiles to; `None` if it is empty, or not there.
    source: Option<(String, Compiled)>,
    description: Option<String>,
}

impl NetworkPost {
    /// Reads a body. Whoever sends back what was shown, with or without changes, sends nulls and fields that are
    /// computed; they are left alone.
    ///
    /// # Errors
    /// If the source does not compile, or the description is too long.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let source =
            body.get("rulesSource").and_then(Value::as_str).filter(|source| !source.trim().is_empty());
        let source = source.map(|source| compiled(source).map(|compiled| (source.to_owned(), compiled)));
        Ok(Self { config: config_of(body), source: source.transpose()?, description: description_of(body)? })
    }

    /// Stores what the record has no place for.
    pub(super) fn save_extra(&self, tx: &Tx<'_>, id: NetworkId) -> Result<(), ApiError> {
        let Some(description) = &self.description else { return Ok(()) };
        let mut extra = tx.networks().extra(id)?;
        set_text(&mut extra, "description", description);
        Ok(tx.networks().put_extra(id, &extra)?)
    }
}

impl NetworkChange for NetworkPost {
    fn apply(&self, network: &mut Network) -> Result<(), ApiError> {
        let before = network.clone();
        let mut config = self.config.clone();
        // What is sent back as it was shown is no change; rules without a JSON form could not even be read.
        if let Ok(Value::Object(shown)) = serde_json::to_value(network::render(network)) {
            config.retain(|name, value| shown.get(name) != Some(value));
        }
        if network.dns.is_none() && config.get("dns") == Some(&view::no_dns()) {
            config.remove("dns");
        }
        if let Some((source, compiled)) =
            self.source.as_ref().filter(|(source, _)| *source != network.rules_source)
        {
            for computed in ["rules", "capabilities", "tags"] {
                config.remove(computed);
            }
            network.rules.clone_from(&compiled.base.rules);
            network.capabilities = compiled.capability_definitions();
            network.tags = compiled.tag_definitions();
            network.rules_source.clone_from(source);
        }
        network::apply(&config, network)?;
        Ok(network.check_len(Some(&before))?)
    }

    fn may_concern_tests(&self) -> bool {
        self.source.is_some()
            || ["rules", "capabilities", "tags"].iter().any(|name| self.config.contains_key(*name))
    }

    fn may_create(&self) -> bool {
        false
    }
}

/// The body of a change of a member.
pub(super) struct MemberPost {
    /// Fields of the record.
    config: Map<String, Value>,
    description: Option<String>,
    hidden: Option<bool>,
}

impl MemberPost {
    /// Reads a body, as [`NetworkPost::read`] does.
    ///
    /// # Errors
    /// If the description is too long.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        let mut config = config_of(body);
        if let Some(name) = body.get("name").filter(|name| name.is_string()) {
            config.insert("name".to_owned(), name.clone());
        }
        let hidden = body.get("hidden").and_then(Value::as_bool);
        Ok(Self { config, description: description_of(body)?, hidden })
    }

    pub(super) fn apply(&self, member: &mut Member, now: Timestamp) -> Result<(), ApiError> {
        let mut config = self.config.clone();
        // The identity comes back empty where none is known.
        if config.get("identity").is_some_and(|identity| identity == "") {
            config.remove("identity");
        }
        Ok(record::member::apply(&config, member, now)?)
    }

    /// Stores what the record has no place for.
    pub(super) fn save_extra(
        &self,
        tx: &Tx<'_>,
        network: NetworkId,
        address: Address,
    ) -> Result<(), ApiError> {
        if self.description.is_none() && self.hidden.is_none() {
            return Ok(());
        }
        let mut extra = tx.members().extra(network, address)?;
        if let Some(description) = &self.description {
            set_text(&mut extra, "description", description);
        }
        match self.hidden {
            Some(true) => drop(extra.insert("hidden".to_owned(), true.into())),
            Some(false) => drop(extra.remove("hidden")),
            None => {}
        }
        Ok(tx.members().put_extra(network, address, &extra)?)
    }
}

/// Returns the fields of `config` that are not null.
fn config_of(body: &Map<String, Value>) -> Map<String, Value> {
    let config = body.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    config.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn description_of(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let Some(description) = body.get("description").and_then(Value::as_str) else { return Ok(None) };
    if description.len() > MAX_DESCRIPTION {
        return Err(ApiError::Unusable(format!(
            "description: expected at most {MAX_DESCRIPTION} bytes, got {}",
            description.len()
        )));
    }
    Ok(Some(description.to_owned()))
}

fn set_text(fields: &mut Map<String, Value>, name: &str, text: &str) {
    if text.is_empty() {
        fields.remove(name);
    } else {
        fields.insert(name.to_owned(), text.into());
    }
}

fn compiled(source: &str) -> Result<Compiled, ApiError> {
    compile(source).map_err(|errors| {
        let errors = errors.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        let named: Vec<_> = errors.take(MAX_ERRORS).map(ToString::to_string).collect();
        ApiError::Unusable(format!("rulesSource: {}", named.join("; ")))
    })
}
