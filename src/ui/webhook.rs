//! A webhook: is it well, what rules it, and does it answer a test?

pub(crate) mod form;
pub(crate) mod question;
pub(crate) mod secret;

use std::time::Duration;

use maud::{Markup, html};

use super::deliveries::{Row, table};
use super::frame::{Place, Viewer, page};
use super::href::Links;
use super::icon::icon;
use super::part::{Answer, Mark, act, answer, banner, code, moment, number, pill};
use super::text::{Cut, Outside};
use crate::domain::text::shell::quoted;
use crate::domain::time::Timestamp;

/// A webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook<'a> {
    pub(crate) id: &'a str,
    /// Its name, or the host and path of its URL.
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) url: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) events: Vec<String>,
    pub(crate) mark: Mark,
    /// Since when nothing is sent to it, and why.
    pub(crate) stopped: Option<(Timestamp, &'a str)>,
    pub(crate) failures: u32,
    /// At how many failures in a row it is disabled. 0: never.
    pub(crate) disabled_at: u32,
    pub(crate) last: Option<(Answer<'a>, Timestamp)>,
    /// What its deliveries came to in the last 24 h.
    pub(crate) day: Day,
    /// The rules of its attempts, in words: each by its name.
    pub(crate) rules: Vec<(&'static str, String)>,
    /// The place of its table, for a webhook of the config file.
    pub(crate) place: Option<&'a str>,
    pub(crate) created_at: Timestamp,
    pub(crate) changed_at: Timestamp,
    /// Its newest deliveries.
    pub(crate) deliveries: Vec<Row<'a>>,
    /// What the viewer just did, or empty.
    pub(crate) done: &'a str,
    pub(crate) may_manage: bool,
    /// Whether its deliveries are signed.
    pub(crate) is_signed: bool,
    pub(crate) now: Timestamp,
}

/// What deliveries of a day came to; times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Day {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) average: Option<f64>,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
}

impl Day {
    /// The share of successes in percent, rounded down to a tenth: 100 % means that none failed.
    fn rate(self) -> Option<String> {
        let total = self.succeeded + self.failed;
        let tenths = (total > 0).then(|| self.succeeded * 1_000 / total)?;
        Some(if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) })
    }
}

/// The page of a webhook.
pub(crate) fn show(viewer: &Viewer<'_>, webhook: &Webhook<'_>) -> String {
    let links = viewer.links();
    let all = links.to("/ui/deliveries", &[("webhook", webhook.id)]);
    let main = html! {
        (head(viewer, webhook))
        (told(webhook))
        section aria-label="Last 24 hours" { (day(links, webhook)) }
        section aria-labelledby="recent" {
            div class="bar" { h2 id="recent" { "Newest deliveries" } a href=(all) { "All of them" } }
            @if webhook.deliveries.is_empty() { p { "It has no deliveries yet." } }
            @else { (table(links, &webhook.deliveries, webhook.now)) }
        }
        section aria-labelledby="rules" { h2 id="rules" { "What rules it" } (facts(webhook)) (command(webhook)) }
    };
    page(viewer, Some(Place::Webhooks), webhook.name, &main)
}

fn head(viewer: &Viewer<'_>, webhook: &Webhook<'_>) -> Markup {
    let owner = format!("{}/{}", webhook.provider, webhook.tenant);
    html! {
        div class="head" {
            div {
                nav class="crumbs" aria-label="Breadcrumb" {
                    a href=(viewer.links().to("/ui/webhooks", &[])) { "Webhooks" } " / "
                    a href=(Links { scope: Some(&owner) }.to("/ui/webhooks", &[])) {
                        (Outside(webhook.provider)) " / " (Outside(webhook.tenant))
                    }
                }
                h1 { (Outside(webhook.name)) " " (pill(webhook.mark)) }
                p class="muted" { code class="id" { (Outside(webhook.url)) } }
                @if !webhook.description.is_empty() { p { (Outside(webhook.description)) } }
            }
            @if webhook.may_manage { div class="acts" { (acts(viewer, webhook)) } }
        }
    }
}

fn acts(viewer: &Viewer<'_>, webhook: &Webhook<'_>) -> Markup {
    let path = Links::default().to_one("/ui/webhooks", webhook.id);
    let to = |what: &str| viewer.links().to(&format!("{path}/{what}"), &[]);
    let is_of_file = webhook.place.is_some();
    html! {
        @if webhook.mark != Mark::Removed {
            (act(&to("test"), viewer.csrf, "", &html! { (icon("test")) "Send test event" }))
        }
        @match webhook.mark {
            Mark::Disabled | Mark::DisabledByFailures => (act(&to("enable"), viewer.csrf, "primary", &html! { "Enable" })),
            _ if is_of_file || webhook.mark == Mark::Removed => {}
            _ => (act(&to("disable"), viewer.csrf, "", &html! { (icon("off")) "Disable, hold its events" })),
        }
        @if !is_of_file && webhook.mark != Mark::Removed { a class="btn" href=(to("edit")) { "Edit" } }
        @if webhook.is_signed { a class="btn" href=(to("rotate")) { (icon("key")) "Rotate secret…" } }
        @if !is_of_file || webhook.mark == Mark::Removed { a class="btn" href=(to("delete")) { (icon("x")) "Delete…" } }
    }
}

/// What was just done, or else what is to be known first. An address may be kept and loaded again, so an act is told of where the
/// webhook is as the act left it.
fn told(webhook: &Webhook<'_>) -> Markup {
    let is_new = |at: Timestamp| webhook.now.since(at) < JUST_NOW;
    match (webhook.done, webhook.stopped) {
        ("enable", None) if webhook.mark == Mark::Active => {
            banner("ok", "ok", "Done", &html! { "It is enabled. What was held is being sent." })
        }
        ("create", None) if is_new(webhook.created_at) => {
            banner("ok", "ok", "Done", &html! { b { "Webhook created." } " It receives events published from now on." })
        }
        ("edit", None) if is_new(webhook.changed_at) => {
            banner("ok", "ok", "Done", &html! { "It is changed. What is published from now on goes by it." })
        }
        ("disable", Some((since, _))) if webhook.mark == Mark::Disabled && is_new(since) => {
            banner("", "off", "Done", &html! { "It is disabled. Its events are held until it is enabled." })
        }
        (_, Some((since, why))) => {
            let (class, name) = webhook.mark.look();
            banner(
                class,
                name,
                "State",
                &html! {
                    b { "Nothing is sent to it since " (moment(since, webhook.now)) ": " } (Outside(why)) ". "
                    @if webhook.mark != Mark::Removed { "Its events are held. Enable it to send them." }
                },
            )
        }
        (_, None) if webhook.mark == Mark::Failing => banner("warn", "warn", "Trouble", &failing(webhook)),
        _ => html! {},
    }
}

fn failing(webhook: &Webhook<'_>) -> Markup {
    html! {
        b { @match webhook.failures { 0 => "The newest attempt failed", count => { (count) " failed in a row" } } }
        @if let Some((last, at)) = webhook.last {
            @if webhook.failures > 0 { ", the last with " } @else { " with " }
            (answer(last)) ", " (moment(at, webhook.now))
        }
        "."
        @if webhook.disabled_at > 0 { " At " (webhook.disabled_at) " in a row it is disabled, and its events are held." }
    }
}

fn day(links: Links<'_>, webhook: &Webhook<'_>) -> Markup {
    let day = webhook.day;
    let failed = links.to("/ui/deliveries", &[("status", "failed"), ("test", "false"), ("webhook", webhook.id)]);
    let millis = |time: Option<f64>| time.map_or("none".to_owned(), |time| format!("{time:.0} ms"));
    html! {
        dl class="kpi" {
            div { dt { "Ended, 24 h" } dd { (number(day.succeeded + day.failed)) } }
            div { dt { "Succeeded" } dd { (number(day.succeeded)) } }
            div { dt { "Failed" } dd { @if day.failed > 0 { a href=(failed) { (number(day.failed)) } } @else { "0" } } }
            div { dt { "Success rate" } dd { (day.rate().as_deref().unwrap_or("none yet")) } }
            div { dt { "Average" } dd { (millis(day.average)) } }
            div { dt { "p50" } dd { (millis(day.p50)) } }
            div { dt { "p99" } dd { (millis(day.p99)) } }
        }
    }
}

fn facts(webhook: &Webhook<'_>) -> Markup {
    html! {
        dl class="kv" {
            dt { "Id" } dd { code class="id" { (webhook.id) } }
            dt { "Event types" } dd { @if webhook.events.iter().any(|one| one == "*") { "all" } @else { (Cut(&webhook.events.join(", "), EVENTS_BYTES_MAX)) } }
            @for (name, value) in &webhook.rules { dt { (name) } dd { (Outside(value)) } }
            @if let Some(place) = webhook.place { dt { "Config file" } dd { code { (Outside(place)) } ", changed there alone" } }
            dt { "Secret" } dd { "shown once, when it was made or rotated" }
            dt { "Made" } dd { (moment(webhook.created_at, webhook.now)) }
            @if webhook.changed_at > webhook.created_at { dt { "Changed" } dd { (moment(webhook.changed_at, webhook.now)) } }
        }
    }
}

/// The same on the command line.
fn command(webhook: &Webhook<'_>) -> Markup {
    let id = quoted(webhook.id);
    html! {
        details {
            summary { "As a command" }
            (code("cli", "hookwheel", &html! { "hookwheel webhooks show " (id) "\nhookwheel webhooks test " (id) "\n" }))
        }
    }
}

/// How many bytes of its event types the page shows.
const EVENTS_BYTES_MAX: usize = 2 << 10;

/// For how long an act is told of.
const JUST_NOW: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn webhook(text: &str) -> Webhook<'_> {
        Webhook {
            id: "wh_1",
            name: text,
            description: text,
            url: text,
            provider: text,
            tenant: text,
            events: vec![text.into()],
            mark: Mark::Failing,
            stopped: None,
            failures: 4,
            disabled_at: 10,
            last: Some((Answer::Error("timeout"), NOW)),
            day: Day { succeeded: 1_355, failed: 6, average: Some(212.4), p50: Some(148.0), p99: None },
            rules: vec![("Timeout", text.into())],
            place: Some(text),
            created_at: NOW,
            changed_at: NOW,
            deliveries: Vec::new(),
            done: "",
            may_manage: true,
            is_signed: true,
            now: NOW,
        }
    }

    #[test]
    fn a_hostile_webhook_is_text() {
        let stopped = Webhook { stopped: Some((NOW, HOSTILE)), mark: Mark::DisabledByFailures, ..webhook(HOSTILE) };
        for one in [webhook(HOSTILE), stopped] {
            check_harmless(&show(&viewer(None), &one));
        }
    }

    #[test]
    fn trouble_is_told_first() {
        let page = show(&viewer(None), &Webhook { place: None, ..webhook("a") });
        for words in
            ["4 failed in a row", "timeout", "At 10 in a row it is disabled", "99.5 %", "212 ms", "/ui/webhooks/wh_1/disable"]
        {
            assert!(page.contains(words), "{words} is not in {page}");
        }
        let disabled =
            Webhook { mark: Mark::DisabledByFailures, stopped: Some((NOW, "10 consecutive failures")), ..webhook("a") };
        let page = show(&viewer(None), &disabled);
        assert!(page.contains("10 consecutive failures") && page.contains("/ui/webhooks/wh_1/enable"), "{page}");
        let done = show(&viewer(None), &Webhook { done: "enable", mark: Mark::Active, ..webhook("a") });
        assert!(done.contains("What was held is being sent"), "{done}");
    }

    #[test]
    fn an_old_address_hides_no_trouble() {
        let since = Timestamp::from_secs(1_776_695_520 - 600);
        for (done, mark) in
            [("disable", Mark::DisabledByFailures), ("disable", Mark::Disabled), ("edit", Mark::DisabledByFailures)]
        {
            let page =
                show(&viewer(None), &Webhook { done, mark, stopped: Some((since, "10 consecutive failures")), ..webhook("a") });
            assert!(page.contains("10 consecutive failures"), "{done}: {page}");
        }
        let failing = show(&viewer(None), &Webhook { done: "enable", ..webhook("a") });
        assert!(failing.contains("4 failed in a row"), "{failing}");
    }

    #[test]
    fn the_link_of_a_days_failures_leaves_none_out() {
        let page = show(&viewer(None), &webhook("a"));
        assert!(page.contains("status=failed") && !page.contains("since="), "a delivery of before may end in the day: {page}");
    }

    #[test]
    fn a_rate_is_rounded_down() {
        let rate = |succeeded, failed| Day { succeeded, failed, ..Day::default() }.rate();
        assert_eq!(rate(0, 0), None);
        assert_eq!([rate(9_999, 1), rate(3, 0), rate(2, 1)].map(Option::unwrap), ["99.9 %", "100 %", "66.6 %"]);
    }

    #[test]
    fn a_webhook_of_the_config_file_is_changed_there_alone() {
        let acts = |place| show(&viewer(None), &Webhook { place, ..webhook("a") });
        let of_file = acts(Some("conf.d/billing.toml"));
        for act in ["edit", "delete", "disable"].map(|act| format!("/ui/webhooks/wh_1/{act}\"")) {
            assert!(acts(None).contains(&act) && !of_file.contains(&act), "{act}");
        }
        assert!(of_file.contains("/ui/webhooks/wh_1/rotate\"") && of_file.contains("/ui/webhooks/wh_1/test\""));
    }

    #[test]
    fn who_may_only_read_is_shown_no_acts() {
        let page = show(&viewer(None), &Webhook { may_manage: false, ..webhook("a") });
        assert!(!page.contains("/ui/webhooks/wh_1/"), "{page}");
    }
}
