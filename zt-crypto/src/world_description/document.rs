//! JSON whose parts know where they are, so that errors can say it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::DescriptionError;

/// Characters of a wrong text that an error quotes.
const QUOTED: usize = 60;

/// A JSON value. Texts without escapes, and so keys, are not copied: there is nothing here to wipe.
pub(super) enum Node<'a> {
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(BTreeMap<String, Node<'a>>),
    /// What never occurs in a description, in words.
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, member)) = members.next_entry()? {
            object.insert(name, member);
        }
        Ok(Node::Object(object))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Node::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Node::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Other("null"))
    }
}

/// What a text must be, and whether an error may quote one that is not.
#[derive(Clone, Copy)]
pub(super) struct Form {
    expected: &'static str,
    quoted: bool,
}

impl Form {
    pub(super) const fn quoted(expected: &'static str) -> Self {
        Self { expected, quoted: true }
    }

    /// For what is or may hold a secret.
    pub(super) const fn hidden(expected: &'static str) -> Self {
        Self { expected, quoted: false }
    }
}

/// A place in a document, and what is there.
pub(super) struct Part<'n, 'a> {
    /// Empty for the whole.
    path: String,
    node: Option<&'n Node<'a>>,
}

impl<'n, 'a> Part<'n, 'a> {
    pub(super) fn whole(node: &'n Node<'a>) -> Self {
        Self { path: String::new(), node: Some(node) }
    }

    /// Returns a member of an object, which need not be there.
    pub(super) fn member(&self, name: &'static str) -> Result<Self, DescriptionError> {
        let Some(Node::Object(object)) = self.node else {
            return Err(self.refused(Form::quoted("an object")));
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        Ok(Self { path: format!("{}{dot}{name}", self.path), node: object.get(name) })
    }

    /// Returns the entries of a list.
    pub(super) fn items(self, max: usize) -> Result<impl Iterator<Item = Self>, DescriptionError> {
        let Some(Node::List(list)) = self.node else { return Err(self.refused(Form::quoted("a list"))) };
        if list.len() > max {
            return Err(DescriptionError::TooMany { field: self.path, max, got: list.len() });
        }
        let item = move |(index, node)| Self { path: format!("{}[{index}]", self.path), node: Some(node) };
        Ok(list.iter().enumerate().map(item))
    }

    /// Reads a text of the given form.
    pub(super) fn read<T>(
        &self,
        form: Form,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DescriptionError> {
        let Some(Node::Text(text)) = self.node else { return Err(self.refused(form)) };
        read(text).ok_or_else(|| self.refused(form))
    }

    fn refused(&self, form: Form) -> DescriptionError {
        let field = if self.path.is_empty() { "the description" } else { &self.path };
        let got = match self.node {
            None => "missing".to_owned(),
            Some(Node::Text(text)) if form.quoted => {
                let end = text.char_indices().nth(QUOTED).map(|(end, _)| end);
                let more = if end.is_some() { "…" } else { "" };
                format!("{:?}{more}", text.get(..end.unwrap_or(text.len())).unwrap_or_default())
            }
            Some(Node::Text(text)) => format!("a text of {} bytes", text.len()),
            Some(Node::List(_)) => "a list".to_owned(),
            Some(Node::Object(_)) => "an object".to_owned(),
            Some(Node::Other(what)) => (*what).to_owned(),
        };
        DescriptionError::Field { field: field.to_owned(), expected: form.expected, got }
    }
}
