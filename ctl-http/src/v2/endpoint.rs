//! What an endpoint is: what it answers to, what it does, and how the document of the API describes it.

use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use warp::http::Method;

use super::problem::Problem;
use super::request::{Answer, Request};
use crate::State;
use crate::extract::{JSON, percent_decode};

/// Does what a request asks for. Runs where it may block.
pub(crate) type Handler = fn(&State, Request) -> Result<Answer, Problem>;

/// Does what a request asks for, and holds no thread while it waits: what is asked for often, and quick.
pub(crate) type Waiter = fn(Arc<State>, Request) -> Answering;

/// What comes of a request.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Blocks(Handler),
    Waits(Waiter),
}

/// Returns the schema of a type, and adds what it refers to.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An endpoint of `/api/v2`. One table ([`super::endpoints`]) is both what is served and what is documented.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// With the names of variable segments in braces.
    pub(crate) path: &'static str,
    /// Unique, for generated clients.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) deed: Deed,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answers: Vec<Meaning>,
    /// Whether it has an entity tag and takes conditions.
    pub(crate) conditional: Conditional,
    /// Whether a request takes much time or memory, and so has to wait for its turn.
    pub(crate) is_heavy: fn(&Request) -> bool,
}

/// What a status means, and what is then in the body: one of these, or nothing.
#[derive(Debug)]
pub(crate) struct Meaning {
    pub(crate) status: u16,
    pub(crate) words: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) bodies: Vec<SchemaOf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditional {
    No,
    /// None, but the answer has an entity tag.
    Tagged,
    /// `If-None-Match`.
    Read,
    /// `If-Match` and `If-None-Match`.
    Change,
}

/// A parameter of the query.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) schema: Schema,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Endpoint {
    pub(crate) fn new(
        method: Method,
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        deed: Deed,
    ) -> Self {
        Self {
            method,
            path,
            name,
            summary,
            deed,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            conditional: Conditional::No,
            is_heavy: |_| false,
        }
    }

    /// Requests for which that is true take much time or memory.
    pub(crate) fn heavy(mut self, is_heavy: fn(&Request) -> bool) -> Self {
        self.is_heavy = is_heavy;
        self
    }

    /// It takes a body that is `T`.
    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        self.takes_schema(schema_of::<T>)
    }

    pub(crate) fn takes_schema(mut self, schema: SchemaOf) -> Self {
        self.body = Some(schema);
        self
    }

    /// It takes a parameter in the query.
    pub(crate) fn query(mut self, name: &'static str, summary: &'static str, schema: Schema) -> Self {
        self.parameters.push(Parameter { name, summary, schema });
        self
    }

    /// It answers with `T`.
    pub(crate) fn gives<T: JsonSchema>(self, status: u16, words: &'static str) -> Self {
        self.gives_schema(status, words, schema_of::<T>)
    }

    /// Or with that.
    pub(crate) fn or_gives<T: JsonSchema>(self, status: u16) -> Self {
        self.or_gives_schema(status, schema_of::<T>)
    }

    pub(crate) fn or_gives_schema(mut self, status: u16, schema: SchemaOf) -> Self {
        let meanings = self.answers.iter_mut().filter(|meaning| meaning.status == status);
        meanings.for_each(|meaning| meaning.bodies.push(schema));
        self
    }

    pub(crate) fn gives_schema(mut self, status: u16, words: &'static str, schema: SchemaOf) -> Self {
        self.answers.push(Meaning { status, words, media_type: JSON, bodies: vec![schema] });
        self
    }

    /// It answers with a stream of something else than JSON.
    pub(crate) fn streams(mut self, media_type: &'static str, words: &'static str, schema: SchemaOf) -> Self {
        self.answers.push(Meaning { status: 200, words, media_type, bodies: vec![schema] });
        self
    }

    /// It answers without a body.
    pub(crate) fn gives_nothing(mut self, status: u16, words: &'static str) -> Self {
        self.answers.push(Meaning { status, words, media_type: JSON, bodies: Vec::new() });
        self
    }

    pub(crate) fn conditional(mut self, conditional: Conditional) -> Self {
        self.conditional = conditional;
        self
    }

    pub(crate) fn query_names(&self) -> Vec<&'static str> {
        self.parameters.iter().map(|parameter| parameter.name).collect()
    }

    /// Returns the variable segments if `path` is one of this endpoint.
    pub(crate) fn matched(&self, path: &[String]) -> Option<Vec<String>> {
        let mut segments = Vec::new();
        let mut rest = path.iter();
        for part in self.path.strip_prefix('/')?.split('/') {
            let segment = rest.next()?;
            if part.starts_with('{') {
                segments.push(segment.clone());
            } else if part != segment {
                return None;
            }
        }
        rest.next().is_none().then_some(segments)
    }
}

/// Takes a path apart, after at most one trailing slash; `None` if it cannot be read.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    path.strip_suffix('/').unwrap_or(path).split('/').map(percent_decode).collect()
}
