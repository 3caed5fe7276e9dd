//! The log of deliveries: which ones there are, by state and filter.

use maud::{Markup, html};

use super::frame::{Place, Viewer, page};
use super::href::Links;
use super::icon::icon;
use super::part::{Answer, Mark, answer, moment, number, state};
use super::text::{Cut, NAME_BYTES_MAX, Outside};
use crate::domain::time::Timestamp;

/// A page of the log.
#[derive(Clone, Debug)]
pub(crate) struct Deliveries<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    /// The filters by their names in the API, as they were given, without those of pages.
    pub(crate) given: Given<'a>,
    pub(crate) counts: Counts,
    /// Where the list goes on. `None` on the last page.
    pub(crate) next: Option<String>,
    /// Whether this is a later page of the list.
    pub(crate) is_later: bool,
    pub(crate) now: Timestamp,
}

/// The filters that were given. An empty text is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) status: &'a str,
    pub(crate) test: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) webhook: &'a str,
    pub(crate) code: &'a str,
    pub(crate) event: &'a str,
    pub(crate) since: &'a str,
    pub(crate) until: &'a str,
}

/// A delivery.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) id: String,
    pub(crate) kind: &'a str,
    pub(crate) mark: Mark,
    pub(crate) is_test: bool,
    /// The name of its webhook, or the host and path of its URL.
    pub(crate) webhook: &'a str,
    /// Its provider and tenant, where the page shows those of several.
    pub(crate) owner: Option<(&'a str, &'a str)>,
    pub(crate) answer: Answer<'a>,
    /// How many attempts were made, and how many its schedule has.
    pub(crate) attempts: (u16, u32),
    pub(crate) next_attempt_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

/// How many deliveries the filters leave whatever their state is, among the newest that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) pending: u64,
    pub(crate) held: u64,
    pub(crate) tests: u64,
    /// Whether there are older ones, which were not looked at.
    pub(crate) is_cut: bool,
}

impl Counts {
    fn all(self) -> u64 {
        self.succeeded + self.failed + self.pending + self.held
    }

    /// A count as text. One of many that were not all looked at may be larger.
    pub(super) fn told(self, count: u64) -> String {
        if self.is_cut { format!("{}+", number(count)) } else { number(count) }
    }
}

impl<'a> Given<'a> {
    /// The filters by name, without those that `name` names.
    fn without(self, names: &[&str]) -> Vec<(&'static str, &'a str)> {
        let all = [
            ("status", self.status),
            ("test", self.test),
            ("type", self.kind),
            ("webhook", self.webhook),
            ("code", self.code),
            ("event", self.event),
            ("since", self.since),
            ("until", self.until),
        ];
        all.into_iter().filter(|(name, value)| !value.is_empty() && !names.contains(name)).collect()
    }
}

/// The page of deliveries.
pub(crate) fn show(viewer: &Viewer<'_>, deliveries: &Deliveries<'_>) -> String {
    let links = viewer.links();
    let main = html! {
        div class="head" {
            div {
                h1 { "Deliveries" }
                p class="muted" {
                    "One event for one webhook, newest first. As of " (deliveries.now.utc_words()) ", "
                    a href=(viewer.here) { "reload" } "."
                }
            }
            div class="acts" { button type="button" class="phone" popovertarget="filters" { (icon("gear")) "Filters" } }
        }
        section aria-label="Filter" {
            (filters(viewer, deliveries.given))
            (tabs(links, deliveries))
            (chips(links, deliveries.given))
        }
        section aria-label="Deliveries" { (rows(links, deliveries)) (pager(links, deliveries)) }
    };
    page(viewer, Some(Place::Deliveries), "Deliveries", &main)
}

fn filters(viewer: &Viewer<'_>, given: Given<'_>) -> Markup {
    let field = |id: &str, label: &str, value: &str, hint: &str| {
        html! {
            div class="field" {
                label for=(id) { (label) }
                input id=(id) name=(id) type="text" value=(value) placeholder=(hint) autocomplete="off" spellcheck="false";
            }
        }
    };
    html! {
        form id="filters" class="filters" popover method="get" action="/ui/deliveries" {
            @if let Some(scope) = viewer.scope.given { input type="hidden" name="in" value=(scope); }
            @for (name, value) in given.without(&["type", "webhook", "code", "since", "until"]) {
                input type="hidden" name=(name) value=(value);
            }
            (field("type", "Event type", given.kind, "invoice.*"))
            (field("webhook", "Webhook", given.webhook, "wh_…"))
            (field("code", "Answer", given.code, "503"))
            (field("since", "Created since", given.since, "24h, or a time"))
            (field("until", "Created until", given.until, "10m, or a time"))
            div class="acts" { button { "Filter" } }
        }
    }
}

fn tabs(links: Links<'_>, Deliveries { given, counts, .. }: &Deliveries<'_>) -> Markup {
    let tab = |name: &str, count: u64, class: &str, status: &str, test: &str| {
        let mut parameters = given.without(&["status", "test"]);
        parameters.extend([("status", status), ("test", test)]);
        let is_here = given.status == status && given.test == test;
        html! {
            a href=(links.to("/ui/deliveries", &parameters)) aria-current=[is_here.then_some("page")] {
                (name) " " span class={ "count " (class) } { (counts.told(count)) }
            }
        }
    };
    html! {
        nav class="tabs" aria-label="Status" {
            (tab("All", counts.all(), "", "", ""))
            (tab("Failed", counts.failed, if counts.failed > 0 { "bad" } else { "" }, "failed", "false"))
            (tab("Pending", counts.pending, "", "pending", "false"))
            (tab("Held", counts.held, "", "held", "false"))
            (tab("Succeeded", counts.succeeded, "", "succeeded", "false"))
            (tab("Tests", counts.tests, "", "", "true"))
        }
    }
}

/// The filters that are on. Each is a link to the page without it.
fn chips(links: Links<'_>, given: Given<'_>) -> Markup {
    let on = given.without(&["status", "test"]);
    html! {
        @if !on.is_empty() {
            p class="chips" {
                span class="muted" { "Only those with" }
                @for (name, value) in on {
                    a href=(links.to("/ui/deliveries", &given.without(&[name]))) {
                        (name) " " (Outside(value)) " " (icon("x")) span class="vh" { "Remove this filter" }
                    }
                }
            }
        }
    }
}

fn rows(links: Links<'_>, deliveries: &Deliveries<'_>) -> Markup {
    if deliveries.rows.is_empty() {
        return none(links, deliveries);
    }
    table(links, &deliveries.rows, deliveries.now)
}

/// A table of deliveries.
pub(crate) fn table(links: Links<'_>, rows: &[Row<'_>], now: Timestamp) -> Markup {
    html! {
        div class="tw" {
            table role="table" class="cards" {
                caption class="vh" { "Deliveries, newest first" }
                thead role="rowgroup" { tr role="row" {
                    @for head in ["Status", "Event type", "Webhook", "Answer", "Attempts"] {
                        th role="columnheader" scope="col" { (head) }
                    }
                    th role="columnheader" scope="col" class="num" { "Created" }
                } }
                tbody role="rowgroup" { @for one in rows { (row(links, one, now)) } }
            }
        }
    }
}

fn row(links: Links<'_>, row: &Row<'_>, now: Timestamp) -> Markup {
    let (made, of) = row.attempts;
    html! {
        tr role="row" {
            td role="cell" class="top" { (state(row.mark)) }
            th role="rowheader" scope="row" class="nw" {
                a href=(links.to_one("/ui/deliveries", &row.id)) { (Outside(row.kind)) }
                @if row.is_test { " " span class="tag" { "test" } }
            }
            td role="cell" class="cut" {
                (Cut(row.webhook, NAME_BYTES_MAX))
                @if let Some((provider, tenant)) = row.owner {
                    " " span class="muted" { (Outside(provider)) " / " (Outside(tenant)) }
                }
            }
            td role="cell" class="end nw" { (answer(row.answer)) }
            td role="cell" class="end nw" {
                (made) " of " (of.max(made.into()))
                @if let Some(next) = row.next_attempt_at { ", next " (moment(next, now)) }
            }
            td role="cell" class="num nw end top" { (moment(row.created_at, now)) }
        }
    }
}

/// What is said where no delivery is to be shown.
fn none(links: Links<'_>, deliveries: &Deliveries<'_>) -> Markup {
    let on = deliveries.given.without(&[]);
    html! {
        @if deliveries.next.is_some() {
            p { "None of the newest deliveries matches. " a href=(next(links, deliveries)) { "Look further back" } }
        } @else if deliveries.is_later {
            p { "There are no older deliveries." }
        } @else if on.is_empty() {
            p { "There are no deliveries yet. An event that is published makes one for each webhook that wants it." }
        } @else {
            p { "No delivery matches. " a href=(links.to("/ui/deliveries", &[])) { "Remove all filters" } }
        }
    }
}

fn next(links: Links<'_>, deliveries: &Deliveries<'_>) -> String {
    let mut parameters = deliveries.given.without(&[]);
    parameters.extend(deliveries.next.as_deref().map(|next| ("cursor", next)));
    links.to("/ui/deliveries", &parameters)
}

fn pager(links: Links<'_>, deliveries: &Deliveries<'_>) -> Markup {
    html! {
        @if deliveries.is_later || deliveries.next.is_some() {
            nav class="pager" aria-label="Pages" {
                span {
                    @if deliveries.is_later {
                        a href=(links.to("/ui/deliveries", &deliveries.given.without(&[]))) { "Newest" }
                    }
                }
                @if deliveries.next.is_some() { a class="btn" href=(next(links, deliveries)) { "Older" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn row(kind: &str) -> Row<'_> {
        Row {
            id: "dlv_01M8E62HSRMN732W3WRR7NEGFR".into(),
            kind,
            mark: Mark::Pending,
            is_test: true,
            webhook: kind,
            owner: Some((kind, kind)),
            answer: Answer::Error("timeout"),
            attempts: (3, 6),
            next_attempt_at: Some(NOW),
            created_at: NOW,
        }
    }

    fn deliveries<'a>(rows: Vec<Row<'a>>, given: Given<'static>) -> Deliveries<'a> {
        let counts = Counts { succeeded: 1_000, failed: 3, is_cut: true, ..Counts::default() };
        Deliveries { rows, given, counts, next: Some("cursor".into()), is_later: true, now: NOW }
    }

    #[test]
    fn hostile_rows_and_filters_are_text() {
        let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>";
        let given = Given { kind: hostile, webhook: hostile, ..Given::default() };
        check_harmless(&show(&viewer(Some("acme/t1")), &deliveries(vec![row(HOSTILE)], given)));
    }

    #[test]
    fn forty_rows_stay_below_sixty_kilobytes() {
        let kind = "a.rather.long.event.type.of.forty.letters";
        let page = show(&viewer(Some("acme/t1")), &deliveries((0..40).map(|_| row(kind)).collect(), Given::default()));
        assert!(page.len() <= 60_000, "{} bytes", page.len());
    }

    #[test]
    fn a_tab_and_a_chip_keep_the_other_filters() {
        let given = Given { status: "failed", test: "false", kind: "a.*", code: "503", ..Given::default() };
        let page = show(&viewer(Some("acme/*")), &deliveries(vec![row("a.b")], given));
        assert!(page.contains("/ui/deliveries?type=a.*&amp;code=503&amp;status=held&amp;test=false&amp;in=acme/*"), "{page}");
        assert!(page.contains("href=\"/ui/deliveries?status=failed&amp;test=false&amp;code=503&amp;in=acme/*\""), "{page}");
        assert!(page.contains("1,003+") && page.contains(">3+<"), "{page}");
    }

    #[test]
    fn a_list_without_rows_says_why() {
        let empty = |given, next: Option<&str>, is_later| {
            show(&viewer(None), &Deliveries { next: next.map(Into::into), is_later, ..deliveries(Vec::new(), given) })
        };
        assert!(empty(Given::default(), None, false).contains("no deliveries yet"));
        assert!(empty(Given { code: "503", ..Given::default() }, None, false).contains("No delivery matches"));
        assert!(empty(Given { code: "503", ..Given::default() }, Some("c"), false).contains("Look further back"));
        assert!(empty(Given::default(), None, true).contains("no older deliveries"));
    }
}
