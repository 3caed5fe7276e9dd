//! The pages that add a webhook and change one. What was typed is the body of the call of the API, and what that refuses is told beside
//! the fields.

use bytes::Bytes;
use serde_json::json;

use crate::api::document;
use crate::api::pages::deliveries::called;
use crate::api::pages::form;
use crate::api::pages::html;
use crate::api::pages::session::{Made, Unseen};
use crate::api::pages::visit::Visit;
use crate::api::request::context::Context;
use crate::api::request::route::Call;
use crate::api::resources::webhooks::{created, patch};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::Dialect;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Denied, Owned};
use crate::ui::choose;
use crate::ui::frame::Viewer;
use crate::ui::text::beginning;
use crate::ui::webhook::form::{Field, Form, Typed, Wrong, show};

/// `GET /ui/webhooks/new`
pub(in crate::api::pages) async fn new(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let Some(owned) = one_tenant(context) else {
        let page =
            choose::tenant(viewer, "/ui/webhooks/new", "Add webhook", "A webhook belongs to one tenant, and gets its events.");
        return visit.page_of(context, page).await;
    };
    let form = page(context, context.dialect(), (&owned, None), Typed::default(), Vec::new());
    visit.page_of(context, show(viewer, &form)).await
}

/// `POST /ui/webhooks/new`: leads to the page that shows the secret once.
pub(in crate::api::pages) async fn add(visit: &Visit<'_>, viewer: &Viewer<'_>, context: Context<'_>) -> Result<Reply, Problem> {
    let owned =
        one_tenant(&context).ok_or_else(|| Problem::field("?in", "is missing; it names the tenant, as PROVIDER/TENANT"))?;
    let typed = typed(&visit.form);
    let context = visit.as_call(Call::CreateWebhook, body_of_new(&typed), context)?;
    match created(&context).await {
        Ok((endpoint, secret)) => {
            let path = html::path("/ui/webhooks", &endpoint.id);
            let Some(secret) = secret else { return Ok(html::see_other(&viewer.links().to(&path, &[("done", "create")]))) };
            visit.keep(Unseen { webhook: endpoint.id.clone(), secret, made: Made::WithWebhook });
            Ok(html::see_other(&viewer.links().to(&format!("{path}/secret"), &[])))
        }
        Err(problem) => {
            let form = page(&context, context.dialect(), (&owned, None), typed, wrong(&problem));
            again(viewer, form, problem)
        }
    }
}

/// `GET /ui/webhooks/{id}/edit`
pub(in crate::api::pages) async fn edit(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    if endpoint.is_file_owned() {
        return Err(context.denied(&endpoint, Denied::FileOwned));
    }
    let (dialect, name, events) = (context.dialect_of(&endpoint), called(&endpoint), texts(&endpoint));
    let (known, others): (Vec<&str>, Vec<&str>) = events
        .iter()
        .map(String::as_str)
        .filter(|one| *one != ALL)
        .partition(|one| listed(&dialect).any(|(known, _)| known == *one));
    let patterns = others.join(", ");
    let definition = &endpoint.definition;
    let typed = Typed {
        url: &definition.url,
        all: events.iter().any(|one| one == ALL),
        events: known,
        patterns: &patterns,
        name: &definition.name,
        description: &definition.description,
    };
    let of = (&owned(&endpoint), Some((&*endpoint.id, &*name)));
    visit.page_of(context, show(viewer, &page(context, &dialect, of, typed, Vec::new()))).await
}

/// `POST /ui/webhooks/{id}/edit`: changes what has a field, and leaves the other settings.
pub(in crate::api::pages) async fn change(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: Context<'_>,
) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let (dialect, name, typed) = (context.dialect_of(&endpoint), called(&endpoint), typed(&visit.form));
    let asked = visit.as_call(Call::PatchWebhook, body_of_change(&typed), context)?;
    match patch(&asked).await {
        Ok(_) => Ok(html::see_other(&viewer.links().to(&html::path("/ui/webhooks", &endpoint.id), &[("done", "edit")]))),
        Err(problem) => {
            let of = (&owned(&endpoint), Some((&*endpoint.id, &*name)));
            again(viewer, page(&asked, &dialect, of, typed, wrong(&problem)), problem)
        }
    }
}

/// The form again, with what was typed and what is wrong with it. Of a problem that the form cannot mend there is the problem's own page.
fn again(viewer: &Viewer<'_>, form: Form<'_>, problem: Problem) -> Result<Reply, Problem> {
    match problem.status().as_u16() {
        409 | 422 | 429 | 503 | 507 => Ok(html::small(problem.status(), show(viewer, &form))),
        _ => Err(problem),
    }
}

/// The tenant that the scope names, or that the viewer has alone.
fn one_tenant(context: &Context<'_>) -> Option<Owned> {
    context.caller.owned().ok().filter(|_| !context.caller.anywhere)
}

fn owned(endpoint: &Endpoint) -> Owned {
    Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() }
}

fn page<'a>(
    context: &Context<'_>,
    dialect: &'a Dialect,
    (owned, changes): (&'a Owned, Option<(&'a str, &'a str)>),
    typed: Typed<'a>,
    wrong: Vec<Wrong>,
) -> Form<'a> {
    Form {
        changes,
        provider: &owned.provider,
        tenant: &owned.tenant,
        typed,
        types: listed(dialect).collect(),
        wrong,
        needs_name: dialect.api.unique_name,
        takes_http: context.settings.schemes(dialect).http,
        rules: super::rules_of(dialect),
    }
}

/// The event types of the catalogue that the form lists. Others are typed.
fn listed(dialect: &Dialect) -> impl Iterator<Item = (&str, &str)> {
    dialect.event_types.iter().take(TYPES_LISTED).map(|one| (&*one.name, beginning(&one.description, DESCRIPTION_BYTES_MAX).0))
}

fn texts(endpoint: &Endpoint) -> Vec<String> {
    endpoint.definition.events.iter().map(ToString::to_string).collect()
}

fn typed(form: &form::Form) -> Typed<'_> {
    Typed {
        url: form.value("url").trim(),
        all: form.value("all") == "yes",
        events: form.values("events").collect(),
        patterns: form.value("pattern").trim(),
        name: form.value("name").trim(),
        description: form.value("description").trim(),
    }
}

/// The event types as the API takes them.
fn wanted<'a>(typed: &Typed<'a>) -> Vec<&'a str> {
    if typed.all {
        return vec![ALL];
    }
    let patterns = typed.patterns.split([',', ' ']).map(str::trim).filter(|pattern| !pattern.is_empty());
    typed.events.iter().copied().chain(patterns).collect()
}

/// The body of the call that adds a webhook. A field that was left empty is left out.
fn body_of_new(typed: &Typed<'_>) -> Bytes {
    let mut body = json!({ "url": typed.url, "events": wanted(typed) });
    for (name, value) in [("name", typed.name), ("description", typed.description)] {
        if !value.is_empty() {
            body[name] = value.into();
        }
    }
    document::line(&body).into()
}

/// The body of the call that changes a webhook. A name that was left empty is taken away.
fn body_of_change(typed: &Typed<'_>) -> Bytes {
    let body = json!({ "url": typed.url, "events": wanted(typed), "name": typed.name, "description": typed.description });
    document::line(&body).into()
}

/// What is wrong, by the fields of the form.
fn wrong(problem: &Problem) -> Vec<Wrong> {
    let Problem::Fields(wrong) = problem else { return vec![Wrong { field: Field::None, detail: problem.detail() }] };
    let told = |wrong: &crate::api::response::wrong::Wrong| match field(&wrong.pointer) {
        Field::None => Wrong { field: Field::None, detail: format!("{} {}", wrong.pointer, wrong.detail) },
        field => Wrong { field, detail: wrong.detail.clone() },
    };
    wrong.iter().map(told).collect()
}

fn field(pointer: &str) -> Field {
    match pointer.split('/').nth(1).unwrap_or_default() {
        "url" => Field::Url,
        "events" => Field::Events,
        "name" => Field::Name,
        "description" => Field::Description,
        _ => Field::None,
    }
}

/// The pattern of all event types.
const ALL: &str = "*";

/// How many event types the form lists, so that it stays light.
const TYPES_LISTED: usize = 100;

/// How much of the description of an event type the form shows.
const DESCRIPTION_BYTES_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::response::wrong::Wrong as Told;

    #[test]
    fn ticked_types_and_typed_patterns_are_wanted_together() {
        let some = Typed { events: vec!["a.b"], patterns: "c.*, d.e,,", ..Typed::default() };
        assert_eq!(wanted(&some), ["a.b", "c.*", "d.e"]);
        assert_eq!(wanted(&Typed { all: true, ..some }), ["*"]);
    }

    #[test]
    fn an_empty_name_is_none_for_a_new_webhook_and_taken_from_another() {
        let typed = Typed { url: "https://a.example/", all: true, ..Typed::default() };
        let text = |body: Bytes| String::from_utf8(body.to_vec()).unwrap();
        assert!(!text(body_of_new(&typed)).contains("name"));
        assert!(text(body_of_change(&typed)).contains("\"name\":\"\""));
    }

    #[test]
    fn each_fault_is_told_beside_its_field() {
        let fields = ["/url", "/events/3", "/name", "/description", "/uid"].map(|pointer| Told::new(pointer, "is wrong"));
        let told = wrong(&Problem::Fields(fields.into()));
        let found: Vec<Field> = told.iter().map(|wrong| wrong.field).collect();
        assert_eq!(found, [Field::Url, Field::Events, Field::Name, Field::Description, Field::None]);
        assert_eq!(told[4].detail, "/uid is wrong");
        assert_eq!(wrong(&Problem::Conflict("c".into())), [Wrong { field: Field::None, detail: "c".into() }]);
    }
}
