//! Bodies that change a record, as JSON merge patches (RFC 7396): what is absent stays, null takes a setting back.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::problem::{Invalid, Problem, cut};
use super::wording::Wording;
use crate::error::ApiError;

/// Fields of a body of which it is said at once that they are wrong.
const MAX_FIELDS: usize = 16;

/// What a body says of one field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Change<T> {
    /// Nothing: it stays.
    #[default]
    Keep,
    /// `null`: it becomes what it is in a new record.
    Reset,
    Set(T),
}

impl<T> Change<T> {
    /// Changes `field`, which is `reset` in a new record.
    pub(crate) fn apply<U>(self, field: &mut U, reset: U, read: impl FnOnce(T) -> U) {
        match self {
            Self::Keep => {}
            Self::Reset => *field = reset,
            Self::Set(value) => *field = read(value),
        }
    }

    /// Returns the new value, if there is one.
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Keep | Self::Reset => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Returns how many entries were sent, for a list.
    pub(crate) fn entries<U>(&self) -> &[U]
    where
        T: AsRef<[U]>,
    {
        self.value().map_or(&[], AsRef::as_ref)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::Set))
    }
}

impl<T: JsonSchema> JsonSchema for Change<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        Option::<T>::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<T>::json_schema(generator)
    }
}

/// A structure that is an object in JSON. By itself, serde reads an array of its fields too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Object<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    // Without that, a type and an object of it would be two schemas.
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// What a body says of a field that is shown and cannot be changed. It may come back as it was shown, so that a record can
/// be read, edited and sent as it then is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ReadOnly(Option<Value>);

impl ReadOnly {
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Checks that each of `fields` that was sent is what is `shown`.
    ///
    /// # Errors
    /// 422 with those that are not.
    pub(crate) fn check<V: Serialize, const N: usize>(
        fields: [(&'static str, &Self); N],
        shown: impl FnOnce() -> Result<V, Problem>,
    ) -> Result<(), Problem> {
        if !fields.iter().any(|(_, field)| field.is_there()) {
            return Ok(());
        }
        let shown = serde_json::to_value(shown()?).map_err(|_| Problem::internal())?;
        let invalid = fields.into_iter().filter_map(|(name, field)| {
            let sent = field.0.as_ref()?;
            let stored = shown.get(name).unwrap_or(&Value::Null);
            let got = || {
                format!(
                    "read-only: expected {stored} as it is stored, or nothing, got {}",
                    cut(&sent.to_string())
                )
            };
            (sent != stored).then(|| Invalid::new(format!("/{name}"), got()))
        });
        let invalid: Vec<_> = invalid.collect();
        if invalid.is_empty() { Ok(()) } else { Err(Problem::fields(invalid)) }
    }
}

impl<'de> Deserialize<'de> for ReadOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self(Some(value)))
    }
}

impl JsonSchema for ReadOnly {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ReadOnly".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "readOnly": true })
    }
}

/// Reads a body as exactly what `T` is; nothing at all counts as `{}`.
///
/// # Errors
/// 400 if it is not JSON; 422 with the place of the first thing that does not fit, in each field of the body.
pub(crate) fn read_body<T: DeserializeOwned + JsonSchema>(
    body: Result<Vec<u8>, ApiError>,
) -> Result<T, Problem> {
    let body = body?;
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body.as_slice() };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map(|Object(read)| read);
    let end = json.end();
    match read {
        Ok(read) => end.map(|()| read).map_err(|error| ApiError::Json(error).into()),
        Err(error) if error.inner().is_data() => {
            // What follows the first wrong value may not even be JSON.
            let body = serde_json::from_slice(body).map_err(ApiError::Json)?;
            Err(Problem::fields(all_invalid::<T>(body, error)))
        }
        Err(error) => Err(ApiError::Json(error.into_inner()).into()),
    }
}

/// Returns what does not fit in a body: the first thing in each of its fields. `first` was found in the first of them.
fn all_invalid<T: DeserializeOwned + JsonSchema>(
    mut body: Value,
    first: serde_path_to_error::Error<serde_json::Error>,
) -> Vec<Invalid> {
    let mut wording = Wording::of::<Object<T>>();
    let mut invalid = vec![wording.invalid(&first, &body)];
    let mut error = first;
    // serde stops at the first thing, so the rest is read once more without the field that it was in.
    while invalid.len() < MAX_FIELDS && remove_field_of(error.path(), &mut body) {
        match serde_path_to_error::deserialize::<_, Object<T>>(&body) {
            // What is said of the body as a whole may come of the field that was taken out.
            Err(next) if next.path().iter().next().is_some() => {
                invalid.push(wording.invalid(&next, &body));
                error = next;
            }
            Ok(_) | Err(_) => break,
        }
    }
    invalid
}

/// Removes the field of the body that a path begins with, and says whether there was one.
fn remove_field_of(path: &serde_path_to_error::Path, body: &mut Value) -> bool {
    let Some(serde_path_to_error::Segment::Map { key }) = path.iter().next() else { return false };
    body.as_object_mut().is_some_and(|fields| fields.remove(key).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Body {
        name: Change<String>,
        list: Change<Vec<Object<Inner>>>,
    }

    #[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: u8,
    }

    fn read(body: &str) -> Result<Body, (u16, String)> {
        read_body(Ok(body.as_bytes().to_vec())).map_err(|problem: Problem| {
            let place = problem.pointers().first().cloned().unwrap_or_default();
            (problem.status().as_u16(), place)
        })
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        assert_eq!(read(""), Ok(Body::default()));
        assert_eq!(read(r#"{"name":null}"#), Ok(Body { name: Change::Reset, ..Body::default() }));
        let set = Body { name: Change::Set("x".to_owned()), ..Body::default() };
        assert_eq!(read(r#"{"name":"x"}"#), Ok(set));
    }

    #[test]
    fn every_field_that_is_wrong_is_named_but_not_more_than_a_few() {
        let pointers = |body: &str| {
            let mut pointers = read_body::<Body>(Ok(body.as_bytes().to_vec())).unwrap_err().pointers();
            pointers.sort();
            pointers
        };
        let body = r#"{"other":1,"name":5,"list":[{"number":1},{"number":300},{"number":"x"}],"a/b":null}"#;
        assert_eq!(pointers(body), ["/a~1b", "/list/1/number", "/name", "/other"]);
        assert_eq!(pointers(r#"{"name":5,"list":[]}"#), ["/name"]);
        let many: Vec<_> = (0..1000).map(|number| format!("\"x{number}\":1")).collect();
        assert_eq!(pointers(&format!("{{{}}}", many.join(","))).len(), MAX_FIELDS);
    }

    #[test]
    fn first_thing_that_does_not_fit_is_named_by_a_pointer() {
        for (body, status, pointer) in [
            (r#"{"name":5}"#, 422, "/name"),
            (r#"{"list":[{"number":1},{"number":300}]}"#, 422, "/list/1/number"),
            (r#"{"list":[{"number":1,"a/b":2}]}"#, 422, "/list/0/a~1b"),
            (r#"{"other":1}"#, 422, "/other"),
            (r#"{"name":"a","name":"b"}"#, 422, "/name"),
            ("[]", 422, ""),
            (r#"{"list":[[1]]}"#, 422, "/list/0"),
            ("5", 422, ""),
            (r#"{"name":"#, 400, ""),
            (r#"{"name":5,"#, 400, ""),
            (r#"{} {}"#, 400, ""),
            ("\u{1}", 400, ""),
        ] {
            assert_eq!(read(body), Err((status, pointer.to_owned())), "{body}");
        }
    }
}
