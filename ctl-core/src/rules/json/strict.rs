//! Reading exactly what is written: every value of its type and in its range, and no field that means nothing.

use serde_json::Value;
use zt_proto::rules::Rule;

use super::fields::{Values, parse};
use super::render::render_table;
use super::{RAW, WHOLE};
use crate::record::{FieldError, cut};

/// Reads a rule table of at most `max` entries; what [`super::render_exactly`] wrote is read back equal.
///
/// # Errors
/// The first field that cannot be read as exactly what it says.
pub fn parse_table_strictly(entries: &[Value], max: usize) -> Result<Vec<Rule>, FieldError> {
    if entries.len() > max {
        return Err(FieldError::new("", format!("expected at most {max} rules, got {}", entries.len())));
    }
    let entries = entries.iter().enumerate();
    entries.map(|(index, entry)| parse_strictly(entry).map_err(|error| error.at(index))).collect()
}

pub(super) fn parse_strictly(entry: &Value) -> Result<Rule, FieldError> {
    if entry.get("type").and_then(Value::as_str) == Some(RAW) {
        let hex = entry.get("hex");
        let bytes = hex.and_then(Value::as_str).and_then(unhex);
        let parsed = bytes.and_then(|bytes| zt_proto::rules::parse_table(&bytes).ok());
        return match parsed.as_deref() {
            Some([rule]) => Ok(rule.clone()),
            _ => Err(FieldError::unexpected("hex", "the bytes of one rule in hexadecimal", hex)),
        };
    }
    let rule = parse(entry, Values::Understood)?;
    let rendered = render_table(std::slice::from_ref(&rule)).into_iter().next().unwrap_or_default();
    for (name, value) in entry.as_object().into_iter().flatten() {
        let is_flag = matches!(name.as_str(), "not" | "or") && value.is_boolean();
        match rendered.get(name) {
            Some(known) => check_exact(name, value, known)?,
            // The two mean nothing on an action.
            None if is_flag => {}
            None => return Err(FieldError::new(name, "unknown field of this rule type".to_owned())),
        }
    }
    for (name, known) in rendered.as_object().into_iter().flatten() {
        // One port is a range without an end; the others mean nothing where they are missing.
        let may_miss = matches!(name.as_str(), "not" | "or" | "end" | "icmpCode" | "flags");
        if !may_miss && entry.get(name).is_none() {
            let example = format!("{known} for instance");
            return Err(FieldError::unexpected(name, &example, None));
        }
    }
    Ok(rule)
}

/// Says what is wrong with a value that was read as `known`: another type, or a number that does not fit.
fn check_exact(name: &str, value: &Value, known: &Value) -> Result<(), FieldError> {
    let is_mask = matches!(name, "mask" | "start" | "end");
    let unexpected = |expected| Err(FieldError::unexpected(name, expected, Some(value)));
    let out_of_range = || Err(FieldError::new(name, format!("{} is out of range", cut(&value.to_string()))));
    match (value, known) {
        (Value::Bool(_), Value::Bool(_)) => Ok(()),
        (Value::Number(_), Value::Number(_)) if value == known => Ok(()),
        (Value::Number(number), Value::Number(_)) if name == "length" && number.as_i64() == Some(WHOLE) => {
            Ok(())
        }
        (Value::Number(_), Value::Number(_)) => out_of_range(),
        // "No code".
        (Value::Null, Value::Null) => Ok(()),
        (Value::Number(number), Value::String(_)) if is_mask => {
            if number.is_u64() {
                Ok(())
            } else {
                out_of_range()
            }
        }
        (Value::String(text), Value::String(known)) => {
            let plain = |text: &str| -> String {
                text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
            };
            let plain_text = plain(text);
            let is_same = if is_mask {
                let digits = plain_text.strip_prefix("0x").unwrap_or(&plain_text);
                !digits.is_empty() && digits.trim_start_matches('0') == known.trim_start_matches('0')
            } else {
                name == "type" || name == "ip" || plain_text == plain(known)
            };
            if is_same {
                Ok(())
            } else {
                let problem = format!("{:?} cannot be read, expected {known:?} for instance", cut(text));
                Err(FieldError::new(name, problem))
            }
        }
        (_, Value::Bool(_)) => unexpected("true or false"),
        (_, Value::Number(_) | Value::Null) => unexpected("a number"),
        (_, Value::String(_) | Value::Array(_) | Value::Object(_)) => unexpected("a text"),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(pair).collect()
}
