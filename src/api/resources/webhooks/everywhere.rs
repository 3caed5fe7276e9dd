//! The webhooks of many tenants, for an operator or their provider: which of them fail, and how.

use super::definition::name_of;
use super::{rows, show};
use crate::api::request::context::Ask;
use crate::api::request::cursor;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, page};
use crate::api::response::print::Object;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::EndpointNo;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState, Why};

/// `GET /v1/admin/webhooks`: all of them, oldest first, each with its provider, tenant and owner, its failures in a row and its last
/// result; `?tenant=` those of one or of a provider, `?name=` those of a name, `?failing=true` those that fail.
pub(crate) async fn list_all(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let mut query = ask.query(&["limit", "cursor", "tenant", "name", "failing"]);
    let (limit, after): (usize, EndpointNo) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    let (whose, name, failing) = (Whose::from_query(&mut query), name_of(&mut query), query.boolean("failing"));
    query.finish()?;
    let whose = whose.check(ask)?;
    let wanted = |endpoint: &Endpoint| {
        whose.holds(&endpoint.provider, &endpoint.tenant)
            && name.as_ref().is_none_or(|name| **name == *endpoint.definition.name)
            && failing.is_none_or(|failing| failing == is_failing(endpoint))
    };
    let (found, store) = (ask.api.store.webhooks_where(after, limit + 1, wanted), ask.api.store.clone());
    let print = move |endpoint: &Endpoint, object: &mut Object<'_>| {
        show::print_for_operator(endpoint, &store, object);
        let last = store.last_result(endpoint.no).unwrap_or_default();
        object.number("failures", endpoint.failures.into());
        object.number_or_null("last_code", last.code.map(u64::from));
        object.text_or_null("last_error", last.error.map(crate::domain::delivery::outcome::Class::name));
    };
    page(ask, Frame::default(), rows(found, limit, print)).await
}

/// Failures in a row, or so many that they disabled it.
fn is_failing(endpoint: &Endpoint) -> bool {
    let fell = matches!(endpoint.standing, WebhookState::Disabled { why: Why::Failures(_) | Why::Gone, .. });
    fell || endpoint.failures > 0
}
