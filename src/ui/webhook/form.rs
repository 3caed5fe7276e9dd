//! The form to add a webhook, or to change one. It comes back with what was typed when something was wrong.

use maud::{Markup, html};

use super::super::frame::{Place, Viewer, page};
use super::super::href::Links;
use super::super::icon::icon;
use super::super::part::{banner, code, token};
use super::super::text::Outside;
use crate::domain::text::shell::quoted;

/// The form.
#[derive(Clone, Debug)]
pub(crate) struct Form<'a> {
    /// The id of the webhook that is changed, and what it is called. `None`: a webhook is added.
    pub(crate) changes: Option<(&'a str, &'a str)>,
    pub(crate) provider: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) typed: Typed<'a>,
    /// The event types of the catalogue that are listed, each with its description.
    pub(crate) types: Vec<(&'a str, &'a str)>,
    pub(crate) wrong: Vec<Wrong>,
    /// Whether the dialect finds a webhook by its name, so that it must have one.
    pub(crate) needs_name: bool,
    /// Whether a URL may begin with `http://`.
    pub(crate) takes_http: bool,
    /// How deliveries go, in words: each rule by its name.
    pub(crate) rules: Vec<(&'static str, String)>,
}

/// What stands in the fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed<'a> {
    pub(crate) url: &'a str,
    /// Whether all event types are wanted.
    pub(crate) all: bool,
    /// The event types that are ticked.
    pub(crate) events: Vec<&'a str>,
    /// Further names and patterns, separated by commas.
    pub(crate) patterns: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: Field,
    pub(crate) detail: String,
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Url,
    Events,
    Name,
    Description,
    /// None of the fields is wrong, but the whole.
    None,
}

impl Field {
    /// The id of its input, and its label.
    fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::Url => ("url", "Endpoint URL"),
            Self::Events => ("pattern", "Event types"),
            Self::Name => ("name", "Name"),
            Self::Description => ("description", "Description"),
            Self::None => ("", ""),
        }
    }
}

/// The page with the form.
pub(crate) fn show(viewer: &Viewer<'_>, form: &Form<'_>) -> String {
    let title = title(form);
    let main = html! {
        div class="head" { div { (crumbs(viewer.links(), form)) h1 { (Outside(&title)) } } }
        (problem(form))
        div class="two" { (fields(viewer, form)) (aside(form)) }
    };
    let title = if form.wrong.is_empty() { title } else { format!("Problem: {title}") };
    page(viewer, Some(Place::Webhooks), &title, &main)
}

fn title(form: &Form<'_>) -> String {
    form.changes.map_or_else(|| "Add webhook".to_owned(), |(_, name)| format!("Edit {name}"))
}

fn crumbs(links: Links<'_>, form: &Form<'_>) -> Markup {
    html! {
        nav class="crumbs" aria-label="Breadcrumb" {
            a href=(links.to("/ui/webhooks", &[])) { "Webhooks" } " / "
            @if let Some((id, name)) = form.changes { a href=(links.to_one("/ui/webhooks", id)) { (Outside(name)) } }
            @else { (Outside(form.provider)) " / " (Outside(form.tenant)) }
        }
    }
}

/// What did not happen, and a link to each field that is wrong.
fn problem(form: &Form<'_>) -> Markup {
    if form.wrong.is_empty() {
        return html! {};
    }
    let what = if form.changes.is_some() { "Nothing was changed." } else { "Nothing was added." };
    html! {
        div class="banner bad" role="alert" tabindex="-1" autofocus {
            (icon("bad"))
            div {
                b { (what) }
                ul {
                    @for wrong in &form.wrong {
                        @let (id, label) = wrong.field.about();
                        li {
                            @if wrong.field == Field::None { (Outside(&wrong.detail)) }
                            @else { a href={ "#" (id) } { (label) ": " (Outside(&wrong.detail)) } }
                        }
                    }
                }
            }
        }
    }
}

fn fields(viewer: &Viewer<'_>, form: &Form<'_>) -> Markup {
    let links = viewer.links();
    let (action, back, word) = match form.changes {
        Some((id, _)) => {
            let path = Links::default().to_one("/ui/webhooks", id);
            (links.to(&format!("{path}/edit"), &[]), links.to(&path, &[]), "Save")
        }
        None => (links.to("/ui/webhooks/new", &[]), links.to("/ui/webhooks", &[]), "Create"),
    };
    html! {
        form class="form" method="post" action=(action) novalidate {
            (token(viewer.csrf))
            (url(form))
            (events(form))
            div class="pair" {
                (line(form, Field::Name, form.typed.name, if form.needs_name { "It is found by its name." } else { "Optional, shown in lists." }))
                (line(form, Field::Description, form.typed.description, "Optional."))
            }
            div class="acts" { button class="primary" { (word) } a class="btn" href=(back) { "Cancel" } }
        }
    }
}

fn url(form: &Form<'_>) -> Markup {
    let hint = match form.takes_http {
        true => "Must be reachable from this server. Redirects are not followed.",
        false => "Must be HTTPS and reachable from this server. Redirects are not followed.",
    };
    let input = |wrong: Option<&str>, described: &str| {
        html! {
            input id="url" name="url" type="url" inputmode="url" autocomplete="off" spellcheck="false" required value=(form.typed.url)
                placeholder="https://yourserver.example.com/webhooks" aria-invalid=[wrong] aria-describedby=(described);
        }
    };
    field(form, Field::Url, hint, input)
}

fn line(form: &Form<'_>, which: Field, value: &str, hint: &str) -> Markup {
    let (id, _) = which.about();
    let input = |wrong: Option<&str>, described: &str| {
        html! { input id=(id) name=(id) type="text" autocomplete="off" value=(value) aria-invalid=[wrong] aria-describedby=(described); }
    };
    field(form, which, hint, input)
}

/// A field with its label, what is wrong with it, and a hint. `input` is given the values of `aria-invalid` and `aria-describedby`.
fn field(form: &Form<'_>, which: Field, hint: &str, input: impl Fn(Option<&str>, &str) -> Markup) -> Markup {
    let (id, label) = which.about();
    let label = if which == Field::Events { "Names and patterns" } else { label };
    let wrong: Vec<&Wrong> = form.wrong.iter().filter(|wrong| wrong.field == which).collect();
    let described = if wrong.is_empty() { format!("h-{id}") } else { format!("e-{id} h-{id}") };
    html! {
        div class="field" {
            label for=(id) { (label) }
            @if !wrong.is_empty() {
                p class="err" id={ "e-" (id) } {
                    (icon("bad"))
                    span { @for (at, wrong) in wrong.iter().enumerate() { @if at > 0 { br; } (Outside(&wrong.detail)) } }
                }
            }
            (input((!wrong.is_empty()).then_some("true"), &described))
            p class="hint" id={ "h-" (id) } { (hint) }
        }
    }
}

fn events(form: &Form<'_>) -> Markup {
    let typed = &form.typed;
    let hint = "Separated by commas. A prefix with .* takes everything below it: invoice.*";
    let input = |wrong: Option<&str>, described: &str| {
        html! {
            input id="pattern" name="pattern" type="text" autocomplete="off" spellcheck="false" value=(typed.patterns)
                placeholder="invoice.*" aria-invalid=[wrong] aria-describedby=(described);
        }
    };
    html! {
        fieldset class="stack" {
            legend { "Event types" }
            div class="checks" {
                label { input type="radio" name="all" value="yes" checked[typed.all]; span { "All, also future ones" } }
                label { input type="radio" name="all" value="no" checked[!typed.all]; span { "Only these" } }
            }
            @if !form.types.is_empty() {
                div class="checks" {
                    @for (name, description) in &form.types {
                        label {
                            input type="checkbox" name="events" value=(name) checked[typed.events.contains(name)];
                            span { (Outside(name)) }
                            @if !description.is_empty() { small { (Outside(description)) } }
                        }
                    }
                }
            }
            (field(form, Field::Events, hint, input))
        }
    }
}

fn aside(form: &Form<'_>) -> Markup {
    html! {
        aside class="stack" aria-labelledby="how" {
            h2 id="how" { "How it is delivered" }
            dl class="kv" { @for (name, value) in &form.rules { dt { (name) } dd { (Outside(value)) } } }
            @match form.changes {
                Some((id, _)) => {
                    p class="hint" { "The page changes what stands in its fields. Other settings stay as they are." }
                    (code("cli", "hookwheel", &html! { "hookwheel webhooks edit " (Outside(&quoted(id))) " --help" }))
                }
                None => (banner("", "key", "Secret", &html! { "Its signing secret is shown once, on the next page." })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    fn form(text: &str) -> Form<'_> {
        Form {
            changes: None,
            provider: text,
            tenant: text,
            typed: Typed { url: text, events: vec![text], patterns: text, name: text, description: text, ..Typed::default() },
            types: vec![(text, text), ("other", "")],
            wrong: Vec::new(),
            needs_name: false,
            takes_http: false,
            rules: vec![("Timeout", text.into())],
        }
    }

    fn wrong(field: Field, detail: &str) -> Wrong {
        Wrong { field, detail: detail.into() }
    }

    #[test]
    fn hostile_fields_and_types_are_text() {
        let all = [Field::Url, Field::Events, Field::Name, Field::Description, Field::None];
        let told = all.map(|field| wrong(field, HOSTILE)).into();
        // The value of an input is what was typed, as it was typed. Commands to the eye are shown nowhere else.
        let typed = Typed::default();
        check_harmless(&show(&viewer(None), &Form { typed, wrong: told, types: vec![("a", HOSTILE)], ..form(HOSTILE) }));
        let page = show(&viewer(None), &form("\"><script>alert(1)</script>"));
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn what_is_wrong_stands_beside_its_field_and_on_top() {
        let told = vec![wrong(Field::Url, "must begin with https://"), wrong(Field::None, "the disk is full")];
        let page = show(&viewer(Some("acme/t1")), &Form { wrong: told, ..form("a") });
        for words in [
            "<title>Problem: Add webhook",
            "role=\"alert\" tabindex=\"-1\" autofocus",
            "Nothing was added.",
            "<a href=\"#url\">Endpoint URL: must begin with https://</a>",
            "<li>the disk is full</li>",
            "aria-invalid=\"true\" aria-describedby=\"e-url h-url\"",
            "name=\"events\" value=\"a\" checked",
        ] {
            assert!(page.contains(words), "{words} is not in {page}");
        }
        assert!(!page.contains("aria-describedby=\"e-name"), "{page}");
    }

    #[test]
    fn a_change_is_sent_to_its_webhook_and_keeps_the_scope() {
        let page = show(&viewer(Some("acme/t1")), &Form { changes: Some(("wh_1", "billing")), ..form("a") });
        assert!(page.contains("action=\"/ui/webhooks/wh_1/edit?in=acme/t1\"") && page.contains("Edit billing"), "{page}");
    }
}
