//! The audit log, read.

use ctl_store::{AUDIT_MAX_PAGE, AuditRecord};
use serde_json::{Map, Value, json};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::problem::{Problem, cut};
use super::{respond, version_2};
use crate::extract::{reading, segment};
use crate::{Shared, with};

/// Entries of a page unless the request says otherwise.
const DEFAULT_PAGE: usize = 100;

/// `GET /api/v2/audit`: who changed what, newest first. `?before=ID` continues where a page ended, `?limit=N` is its
/// length.
pub(crate) fn list(state: Shared) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    version_2()
        .and(segment("audit"))
        .and(reading())
        .and(query)
        .and(with(state))
        .then(async |query: String, state: Shared| {
            respond(move || {
                let Page { before, limit } = Page::read(&query)?;
                let entries =
                    state.api.store.read(|tx| tx.audit().page(before, limit).map_err(Problem::from))?;
                // A page that is not full is the last one.
                let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.id);
                let entries: Vec<_> = entries.iter().map(render).collect();
                Ok(Map::from_iter([("entries".to_owned(), entries.into()), ("next".to_owned(), next.into())]))
            })
            .await
        })
        .boxed()
}

/// Which entries are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    before: Option<i64>,
    limit: usize,
}

impl Page {
    fn read(query: &str) -> Result<Self, Problem> {
        let (mut before, mut limit) = (None, None);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_new = match name {
                "before" => before.replace(number(name, value, i64::MAX)?).is_none(),
                "limit" => limit.replace(number(name, value, AUDIT_MAX_PAGE as i64)?).is_none(),
                "auth" => true, // a token, which has been looked at
                _ => {
                    return Err(refused(format!(
                        "unknown parameter {}; expected before or limit",
                        cut(name)
                    )));
                }
            };
            if !is_new {
                return Err(refused(format!("{name} is there twice, expected it once")));
            }
        }
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_PAGE);
        Ok(Self { before, limit })
    }
}

fn number(name: &str, value: &str, max: i64) -> Result<i64, Problem> {
    let number = value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| refused(format!("{name}: expected a number from 1 to {max}, got {}", cut(value))))
}

fn refused(detail: String) -> Problem {
    Problem::unusable("invalid-query", "the query cannot be used", detail)
}

fn render(entry: &AuditRecord) -> Value {
    let value = |text: &Option<String>| {
        text.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
    };
    json!({
        "id": entry.id,
        "time": entry.time.0,
        "actor": entry.actor,
        "action": entry.action,
        "network": entry.network.map(|network| network.to_string()),
        "member": entry.member.map(|member| member.to_string()),
        "before": value(&entry.before),
        "after": value(&entry.after),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_read_strictly() {
        let page = |query| Page::read(query).ok();
        assert_eq!(page(""), Some(Page { before: None, limit: DEFAULT_PAGE }));
        assert_eq!(page("limit=500&before=7&auth=x"), Some(Page { before: Some(7), limit: 500 }));
        for query in
            ["limit=0", "limit=501", "limit=", "before=-1", "before=x", "limit=1&limit=2", "offset=1"]
        {
            assert_eq!(page(query), None, "{query}");
        }
    }
}
