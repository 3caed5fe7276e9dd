//! `POST /v1/webhooks/{id}/filter-test`: whether a filter lets an event through, and which part of it does not.

use std::sync::Arc;

use http::StatusCode;

use super::definition::setting;
use crate::api::document::webhook::FilterTested;
use crate::api::request::context::{self, Context};
use crate::api::request::params::Form;
use crate::api::resources::events::{self, TAPE_BYTES};
use crate::api::resources::publish;
use crate::api::response::answer;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::Wrong;
use crate::domain::dialect::Dialect;
use crate::domain::event::{Attributes, Event};
use crate::domain::resource::Resource;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::filter::{Filter, Judge, Subject};
use crate::domain::webhook::settings::Setting;

/// The filter is the one that is given, else the webhook's own; the event is one that is given, or one that was published.
pub(crate) async fn filter_test(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let dialect = context.dialect_of(&endpoint);
    let mut form = Form::read(&context.body, &["filter", "event_id", "event"])?;
    let filter = filter(&mut form, &endpoint);
    let (id, event) = (form.text("event_id"), form.member("event").map(|field| field.raw));
    match (&id, event) {
        (None, None) => form.note("event_id", "is missing; give the id of an event, or an `event` with `type` and `data`"),
        (Some(_), Some(_)) => form.note("event", "is given beside `event_id`; give one of the two"),
        (Some(_), None) | (None, Some(_)) => {}
    }
    form.finish()?;
    let tested = match (filter, event) {
        (None, None) => kept(context, &id.unwrap_or_default()).await.map(|_| MATCHES)?,
        (Some(filter), None) => {
            let key = kept(context, &id.unwrap_or_default()).await?.key;
            let (event, _room) = events::whole(context, key).await?.ok_or(Problem::NotFound(Resource::Event))?;
            judged(filter, Judged::of(&event)).await?
        }
        (filter, Some(raw)) => {
            let event = Judged::read(raw, &dialect)?;
            let _room = answer::room(raw.len().saturating_mul(TAPE_BYTES), &context.rooms()).await?;
            match filter {
                Some(filter) => judged(filter, event).await?,
                None => MATCHES,
            }
        }
    };
    Ok(context::document(StatusCode::OK, &dialect, &tested))
}

/// The filter to test. `None` when neither the request nor the webhook has one, so that every event matches.
fn filter(form: &mut Form<'_>, endpoint: &Endpoint) -> Option<Arc<Filter>> {
    match setting("filter", form) {
        Some(Setting::Filter(filter)) => filter,
        _ => endpoint.definition.settings.filter.clone(),
    }
}

async fn kept(context: &Context<'_>, id: &str) -> Result<Event, Problem> {
    let event = context.api.store.event_by_id(&context.caller.owned()?, id).await?;
    event.ok_or(Problem::NotFound(Resource::Event))
}

/// Reading a large event takes milliseconds, so it holds up no other request.
async fn judged(filter: Arc<Filter>, event: Judged) -> Result<FilterTested, Problem> {
    let why = context::aside(move || event.why(&filter)).await?;
    Ok(FilterTested { matches: why.is_none(), why })
}

/// What of an event filters see.
struct Judged {
    kind: Box<str>,
    data: Vec<u8>,
    attributes: Attributes,
}

impl Judged {
    fn of(event: &Event) -> Self {
        let data = event.content.data().to_vec();
        Self { kind: event.kind.clone(), data, attributes: event.attributes.clone() }
    }

    /// Reads `{"type", "data", "attributes"?}`. Fails with the pointers of what is wrong.
    fn read(raw: &str, dialect: &Dialect) -> Result<Self, Problem> {
        let read = Self::read_inside(raw, dialect);
        read.map_err(|problem| match problem {
            Problem::Fields(wrong) => Problem::Fields(wrong.into_iter().map(inside_event).collect()),
            _ => Problem::field("/event", "is not an object with `type` and `data`"),
        })
    }

    fn read_inside(raw: &str, dialect: &Dialect) -> Result<Self, Problem> {
        let mut form = Form::read(raw.as_bytes(), &["type", "data", "attributes"])?;
        let kind = publish::kind(&mut form).unwrap_or_default();
        let attributes = publish::attributes(&mut form);
        let data = form.member("data").map(|field| field.raw);
        if data.is_none() {
            form.note("data", "is missing; null is a value too");
        }
        form.finish()?;
        let data = dialect.body.data(data.unwrap_or_default().as_bytes());
        let data = data.map_err(|refusal| Problem::field(refusal.inside("data").pointer, "cannot be printed in this dialect"))?;
        Ok(Self { kind: kind.into(), data: data.to_vec(), attributes })
    }

    /// The pointer inside the filter to the part that does not match.
    fn why(&self, filter: &Filter) -> Option<String> {
        let subject = Subject::read(&self.kind, &self.data, &self.attributes).ok()?;
        Judge::new(&subject).why(filter)
    }
}

fn inside_event(wrong: Wrong) -> Wrong {
    Wrong { pointer: format!("/event{}", wrong.pointer), ..wrong }
}

const MATCHES: FilterTested = FilterTested { matches: true, why: None };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::dialect;
    use crate::domain::template::Numbers;

    fn why(filter: &str, event: &str, numbers: Numbers) -> Option<String> {
        let event = Judged::read(event, &dialect("$data", numbers)).expect("an event");
        event.why(&Filter::parse(filter).expect("a filter"))
    }

    #[test]
    fn the_part_that_does_not_match_is_named() {
        let event = r#"{"type":"a.b","data":{"n":5},"attributes":{"x":"y"}}"#;
        assert_eq!(why(r#"{"data":{"n":{"$gt":4}},"attributes":{"x":"y"}}"#, event, Numbers::AsPublished), None);
        let found = why(r#"{"type":"a.b","data":{"n":{"$gt":5}}}"#, event, Numbers::AsPublished);
        assert_eq!(found.as_deref(), Some("/data/n/$gt"));
    }

    #[test]
    fn data_is_judged_as_its_dialect_prints_it() {
        let (filter, event) = (r#"{"data":0.10000000000000000001}"#, r#"{"type":"a","data":0.10000000000000000001}"#);
        assert_eq!(why(filter, event, Numbers::AsPublished), None);
        assert_eq!(why(filter, event, Numbers::Ecmascript).as_deref(), Some("/data"));
    }

    #[test]
    fn a_wrong_event_is_told_by_its_pointers() {
        let wrong = |event: &str| match Judged::read(event, &dialect("$data", Numbers::AsPublished)) {
            Err(Problem::Fields(wrong)) => wrong.into_iter().map(|wrong| wrong.pointer).collect(),
            _ => Vec::new(),
        };
        assert_eq!(wrong("[]"), ["/event"]);
        assert_eq!(wrong(r#"{"typ":1}"#), ["/event/typ", "/event/type", "/event/data"]);
        assert_eq!(wrong(r#"{"type":"a","data":1,"attributes":{"x":[]}}"#), ["/event/attributes/x"]);
    }
}
