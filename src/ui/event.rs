//! An event: who got it, who did not, and why.

use maud::{Markup, html};

use super::frame::{Place, Viewer, page};
use super::href::Links;
use super::icon::icon;
use super::part::{Mark, body, bytes, code, moment, state};
use super::text::{Cut, NAME_BYTES_MAX, Outside};
use crate::domain::time::Timestamp;

/// An event with what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) provider: &'a str,
    /// The tenant whose webhooks are told of.
    pub(crate) tenant: &'a str,
    /// Whether it was published for all tenants of its provider.
    pub(crate) is_for_all: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) occurred_at: Option<Timestamp>,
    /// The body that is sent, and its encoding where it is no text. `None` once it is gone.
    pub(crate) body: Option<(&'a str, Option<&'a str>)>,
    /// Each webhook of the tenant on this page.
    pub(crate) explained: Vec<Explained<'a>>,
    /// Where the webhooks go on. `None` on the last page.
    pub(crate) next: Option<String>,
    pub(crate) now: Timestamp,
}

/// Why a webhook got the event, or did not.
#[derive(Clone, Debug)]
pub(crate) struct Explained<'a> {
    pub(crate) webhook_id: &'a str,
    /// Its name, or the host and path of its URL.
    pub(crate) name: &'a str,
    /// One sentence.
    pub(crate) why: &'a str,
    /// The id and state of its delivery. `None`: it has none.
    pub(crate) delivery: Option<(&'a str, Mark)>,
}

/// The page of an event.
pub(crate) fn show(viewer: &Viewer<'_>, event: &Event<'_>) -> String {
    let links = viewer.links();
    let main = html! {
        div class="head" { div {
            nav class="crumbs" aria-label="Breadcrumb" {
                a href=(links.to("/ui/deliveries", &[("event", event.id)])) { "Its deliveries" } " / "
                (Outside(event.provider)) " / " (Outside(event.tenant))
            }
            h1 { (Outside(event.kind)) }
            p class="muted" { code class="id" { (Outside(event.id)) } }
        } }
        section aria-label="Facts" { (facts(event)) }
        section aria-labelledby="who" { h2 id="who" { "Who got it, and why" } (webhooks(links, event)) (pager(links, event)) }
        section aria-label="Content" { (content(event)) }
    };
    page(viewer, Some(Place::Deliveries), event.kind, &main)
}

fn facts(event: &Event<'_>) -> Markup {
    let sent = event.explained.iter().filter(|one| one.delivery.is_some()).count();
    html! {
        dl class="kpi" {
            div { dt { "Published" } dd { (moment(event.created_at, event.now)) } dd { (event.created_at.utc_words()) } }
            @if let Some(at) = event.occurred_at { div { dt { "Occurred" } dd { (moment(at, event.now)) } dd { (at.utc_words()) } } }
            div { dt { "For" } dd { @if event.is_for_all { "all tenants" } @else { (Outside(event.tenant)) } } dd { "of " (Outside(event.provider)) } }
            div { dt { "Webhooks" } dd { (sent) " sent" } dd { (event.explained.len() - sent) " not, on this page" } }
        }
    }
}

fn webhooks(links: Links<'_>, event: &Event<'_>) -> Markup {
    if event.explained.is_empty() {
        return html! { p { "No webhook of " (Outside(event.tenant)) " was there to send it to." } };
    }
    html! {
        div class="tw" { table role="table" class="cards" {
            caption { "Judged by the webhooks as they are now. Where one was changed after the event, the line says so." }
            thead role="rowgroup" { tr role="row" {
                @for head in ["Outcome", "Webhook", "Why", "Delivery"] { th role="columnheader" scope="col" { (head) } }
            } }
            tbody role="rowgroup" { @for one in &event.explained { (row(links, one)) } }
        } }
    }
}

fn row(links: Links<'_>, one: &Explained<'_>) -> Markup {
    html! {
        tr role="row" {
            td role="cell" class="top" {
                @match one.delivery {
                    Some((_, mark)) => (state(mark)),
                    None => span class="st" { (icon("none")) "Not sent" },
                }
            }
            th role="rowheader" scope="row" class="wide" { a href=(links.to_one("/ui/webhooks", one.webhook_id)) { (Cut(one.name, NAME_BYTES_MAX)) } }
            td role="cell" class="wide" { (Cut(one.why, WHY_BYTES_MAX)) }
            td role="cell" class="nw" {
                @match one.delivery {
                    Some((id, _)) => a href=(links.to_one("/ui/deliveries", id)) { "Attempts" },
                    None => span class="muted" { "no delivery" },
                }
            }
        }
    }
}

fn pager(links: Links<'_>, event: &Event<'_>) -> Markup {
    html! {
        @if let Some(next) = &event.next {
            @let path = Links::default().to_one("/ui/events", event.id);
            nav class="pager" aria-label="Pages" {
                span class="muted" { (event.explained.len()) " webhooks shown" }
                a class="btn" href=(links.to(&path, &[("cursor", next)])) { "More" }
            }
        }
    }
}

fn content(event: &Event<'_>) -> Markup {
    match event.body {
        Some((text, encoding)) => html! {
            (code("body", "Body as sent", &body(text, encoding)))
            p class="small muted" { (bytes(text.len())) }
        },
        None => html! { p class="muted" { "Its body is no longer kept." } },
    }
}

/// How many bytes of a reason a row shows. The whole is in the answer of the API and of the command line.
const WHY_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn event(text: &str) -> Event<'_> {
        let explained = |delivery| Explained { webhook_id: "wh_1", name: text, why: text, delivery };
        Event {
            id: "evt_1",
            kind: text,
            provider: text,
            tenant: text,
            is_for_all: false,
            created_at: NOW,
            occurred_at: Some(NOW),
            body: Some((text, None)),
            explained: vec![explained(Some(("dlv_1", Mark::Held))), explained(None)],
            next: Some("c".into()),
            now: NOW,
        }
    }

    #[test]
    fn a_hostile_event_is_text() {
        check_harmless(&show(&viewer(None), &event(HOSTILE)));
    }

    #[test]
    fn forty_webhooks_of_long_reasons_stay_below_sixty_kilobytes() {
        let (url, why) = ("x".repeat(2_048), "a.type, ".repeat(4_096));
        let one = Explained { webhook_id: "wh_01M8E62HSRMN732W3WRR7NEGFR", name: &url, why: &why, delivery: None };
        let page = show(&viewer(Some("acme/t1")), &Event { explained: vec![one; 40], ..event("a.b") });
        assert!(page.len() <= 60_000, "{} bytes", page.len());
    }

    #[test]
    fn each_webhook_is_told_of_with_its_delivery() {
        let page = show(&viewer(Some("acme/t1")), &event("a.b"));
        for shown in
            ["Held", "Not sent", "no delivery", "/ui/deliveries/dlv_1?in=acme/t1", "/ui/webhooks/wh_1?in=acme/t1", "1 sent"]
        {
            assert!(page.contains(shown), "{shown} is not in {page}");
        }
        assert!(page.contains("/ui/events/evt_1?cursor=c&amp;in=acme/t1"), "{page}");
    }
}
