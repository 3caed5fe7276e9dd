//! The list of webhooks: which ones there are, and whether they are well.

use maud::{Markup, html};

use super::frame::{Place, Viewer, page};
use super::href::Links;
use super::icon::icon;
use super::part::{Answer, Mark, answer, banner, moment, state, token};
use super::text::{Cut, NAME_BYTES_MAX, Outside, beginning};
use crate::domain::time::Timestamp;

/// A page of the list.
#[derive(Clone, Debug)]
pub(crate) struct Webhooks<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    /// The value of the filter `failing`, or empty.
    pub(crate) failing: &'a str,
    /// Where the list goes on. `None` on the last page.
    pub(crate) next: Option<String>,
    pub(crate) is_later: bool,
    /// Whether the viewer may switch webhooks on and off.
    pub(crate) may_manage: bool,
    /// Whether the viewer just deleted one.
    pub(crate) was_deleted: bool,
    pub(crate) now: Timestamp,
}

/// A webhook.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    /// Its name, or the host and path of its URL.
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// Its provider and tenant, where the page shows those of several.
    pub(crate) owner: Option<(&'a str, &'a str)>,
    pub(crate) events: Vec<String>,
    pub(crate) mark: Mark,
    /// The failures in a row, as its dialect counts them.
    pub(crate) failures: u32,
    /// The answer to its newest attempt, and when that ended.
    pub(crate) last: Option<(Answer<'a>, Timestamp)>,
}

/// The page of webhooks.
pub(crate) fn show(viewer: &Viewer<'_>, webhooks: &Webhooks<'_>) -> String {
    let links = viewer.links();
    let main = html! {
        div class="head" {
          div {
            h1 { "Webhooks" }
            p class="muted" {
                "Where events are sent. Disabled and failing ones come first on each page. As of " (webhooks.now.utc_words()) ", "
                a href=(viewer.here) { "reload" } "."
            }
          }
          @if webhooks.may_manage {
              div class="acts" { a class="btn primary" href=(links.to("/ui/webhooks/new", &[])) { (icon("plus")) "Add webhook" } }
          }
        }
        @if webhooks.was_deleted { (banner("ok", "ok", "Done", &html! { "The webhook is deleted. Its log stays for as long as logs are kept." })) }
        section aria-label="Filter" {
            nav class="tabs" aria-label="Status" {
                (tab(links, "All", "", webhooks.failing))
                (tab(links, "Failing or disabled by failures", "true", webhooks.failing))
                (tab(links, "Well", "false", webhooks.failing))
            }
        }
        section aria-label="Webhooks" { (rows(viewer, webhooks)) (pager(links, webhooks)) }
    };
    page(viewer, Some(Place::Webhooks), "Webhooks", &main)
}

fn tab(links: Links<'_>, name: &str, failing: &str, here: &str) -> Markup {
    let is_here = failing == here;
    html! { a href=(links.to("/ui/webhooks", &[("failing", failing)])) aria-current=[is_here.then_some("page")] { (name) } }
}

fn rows(viewer: &Viewer<'_>, webhooks: &Webhooks<'_>) -> Markup {
    if webhooks.rows.is_empty() {
        return html! { p { @match (webhooks.failing, webhooks.next.is_some()) {
            (_, true) => "None of the webhooks that were looked at. Look further.",
            ("true", _) => "No webhook fails.",
            _ if webhooks.is_later => "There are no more webhooks.",
            _ => "There are no webhooks yet. Add one, and it receives what is published from then on.",
        } } };
    }
    html! {
        // The buttons of all rows send this one form, so that a page of many rows stays light.
        form id="rows" method="post" hidden { (token(viewer.csrf)) }
        div class="tw" { table role="table" class="cards" {
            caption class="vh" { "Webhooks, those in trouble first" }
            thead role="rowgroup" { tr role="row" {
                th role="columnheader" scope="col" { "Status" }
                th role="columnheader" scope="col" { "Webhook" }
                th role="columnheader" scope="col" class="lo" { "Event types" }
                th role="columnheader" scope="col" { "Last answer" }
                th role="columnheader" scope="col" class="num" { "Last attempt" }
                th role="columnheader" scope="col" { span class="vh" { "Action" } }
            } }
            tbody role="rowgroup" { @for one in &webhooks.rows { (row(viewer, one, webhooks)) } }
        } }
    }
}

fn row(viewer: &Viewer<'_>, row: &Row<'_>, webhooks: &Webhooks<'_>) -> Markup {
    let links = viewer.links();
    let enable = html! { "Enable" span class="vh" { " " (Cut(row.name, NAME_BYTES_MAX)) } };
    let path = Links::default().to_one("/ui/webhooks", row.id);
    html! {
        tr role="row" {
            td role="cell" class="top" { (state(row.mark)) }
            th role="rowheader" scope="row" class="cut wide" {
                a href=(links.to_one("/ui/webhooks", row.id)) { (Cut(row.name, NAME_BYTES_MAX)) }
                @if let Some((provider, tenant)) = row.owner {
                    " " span class="muted" { (Outside(provider)) " / " (Outside(tenant)) }
                }
                span class="sub" { (Cut(row.url, NAME_BYTES_MAX)) }
            }
            td role="cell" class="lo" { (events(&row.events)) }
            td role="cell" class="nw" {
                @match row.last { Some((last, _)) => (answer(last)), None => span class="muted" { "none yet" } }
                @if row.failures > 0 { " " span class="muted" { (row.failures) " failed in a row" } }
            }
            td role="cell" class="num nw end top" { @if let Some((_, at)) = row.last { (moment(at, webhooks.now)) } }
            td role="cell" class="act end" {
                @if webhooks.may_manage && matches!(row.mark, Mark::Disabled | Mark::DisabledByFailures) {
                    button class="quiet" form="rows" formaction=(links.to(&format!("{path}/enable"), &[])) { (enable) }
                }
            }
        }
    }
}

/// The first event types of a webhook, and how many more there are.
pub(crate) fn events(events: &[String]) -> Markup {
    if events.iter().any(|one| one == "*") {
        return html! { "All event types" };
    }
    let shown = events.iter().take(EVENTS_SHOWN).map(|one| beginning(one, EVENT_BYTES_MAX).0).collect::<Vec<_>>().join(", ");
    html! { (Outside(&shown)) @if events.len() > EVENTS_SHOWN { ", " (events.len() - EVENTS_SHOWN) " more" } }
}

/// How many event types a row names, and how much of the name of each.
const EVENTS_SHOWN: usize = 2;
const EVENT_BYTES_MAX: usize = 40;

fn pager(links: Links<'_>, webhooks: &Webhooks<'_>) -> Markup {
    html! {
        @if webhooks.is_later || webhooks.next.is_some() {
            nav class="pager" aria-label="Pages" {
                span {
                    @if webhooks.is_later { a href=(links.to("/ui/webhooks", &[("failing", webhooks.failing)])) { "First" } }
                }
                @if let Some(next) = &webhooks.next {
                    a class="btn" href=(links.to("/ui/webhooks", &[("failing", webhooks.failing), ("cursor", next)])) { "More" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn row(text: &str, mark: Mark) -> Row<'_> {
        Row {
            id: "wh_01M8E62HSRMN732W3WRR7NEGFR",
            name: text,
            url: text,
            owner: Some((text, text)),
            events: vec![text.into(), "a.b".into(), "c.d".into()],
            mark,
            failures: 3,
            last: Some((Answer::Bad(503), NOW)),
        }
    }

    fn webhooks(rows: Vec<Row<'_>>) -> Webhooks<'_> {
        Webhooks { rows, failing: "", next: Some("c".into()), is_later: true, may_manage: true, was_deleted: false, now: NOW }
    }

    #[test]
    fn hostile_webhooks_are_text() {
        check_harmless(&show(&viewer(Some("acme/t1")), &webhooks(vec![row(HOSTILE, Mark::Failing)])));
    }

    #[test]
    fn forty_webhooks_stay_below_sixty_kilobytes() {
        let url = "https://hooks.customer.example.com/v2/webhooks/incoming?source=relay&partition=eu-west-1";
        let rows = (0..40).map(|_| row(url, Mark::DisabledByFailures)).collect();
        let page = show(&viewer(Some("acme/t1")), &webhooks(rows));
        assert!(page.len() <= 60_000, "{} bytes", page.len());
    }

    #[test]
    fn the_longest_urls_leave_the_page_small() {
        let url = "x".repeat(2_048);
        let rows = (0..40).map(|_| Row { owner: Some(("acme", "t1")), ..row(&url, Mark::DisabledByFailures) }).collect();
        let page = show(&viewer(Some("acme/t1")), &webhooks(rows));
        assert!(page.len() <= 80_000, "{} bytes", page.len());
    }

    #[test]
    fn only_a_disabled_webhook_can_be_enabled() {
        let page = |mark| show(&viewer(None), &webhooks(vec![row("a", mark)]));
        assert!(page(Mark::Disabled).contains("/enable") && page(Mark::DisabledByFailures).contains("/enable"));
        assert!(!page(Mark::Active).contains("/enable") && !page(Mark::Removed).contains("/enable"));
    }
}
