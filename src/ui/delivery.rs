//! A delivery: what was sent, what the receiver said, and what comes next.

use std::time::Duration;

use maud::{Markup, html};

use super::frame::{Place, Viewer, page};
use super::icon::icon;
use super::part::{Answer, Mark, act, answer, banner, body, bytes, code, headers, moment, pill, span, took};
use super::text::Outside;
use crate::domain::text::shell::quoted;
use crate::domain::time::Timestamp;

/// A delivery with its attempts, one of which is shown whole.
#[derive(Clone, Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) id: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) mark: Mark,
    /// Why it failed for good, or why it is held, as the API names it.
    pub(crate) reason: Option<&'a str>,
    pub(crate) is_test: bool,
    /// The name of its webhook, or the host and path of its URL.
    pub(crate) webhook: &'a str,
    pub(crate) webhook_id: &'a str,
    pub(crate) url: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) next_attempt_at: Option<Timestamp>,
    /// How many attempts were made, and how many its schedule has.
    pub(crate) attempts: (u16, u32),
    pub(crate) listed: Vec<Brief<'a>>,
    pub(crate) shown: Option<Attempt<'a>>,
    /// The body that every attempt sends, and its encoding where it is no text. `None` once the event is gone.
    pub(crate) request_body: Option<(&'a str, Option<&'a str>)>,
    /// Whether the viewer just asked for another attempt.
    pub(crate) was_retried: bool,
    /// Whether the viewer may send it again.
    pub(crate) may_retry: bool,
    pub(crate) now: Timestamp,
}

/// An attempt in the list of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Brief<'a> {
    pub(crate) number: u16,
    pub(crate) answer: Answer<'a>,
    pub(crate) started_at: Timestamp,
    pub(crate) milliseconds: u64,
    /// `schedule`, `manual` or `test`.
    pub(crate) trigger: &'a str,
}

/// An attempt with what it sent and got.
#[derive(Clone, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) brief: Brief<'a>,
    /// The failure in a sentence, where no response came.
    pub(crate) detail: Option<&'a str>,
    pub(crate) url: &'a str,
    pub(crate) request_headers: Vec<(&'a str, &'a str)>,
    pub(crate) response: Option<Response<'a>>,
}

/// What the endpoint answered.
#[derive(Clone, Debug)]
pub(crate) struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
    pub(crate) encoding: Option<&'a str>,
    /// Whether there was more of the body than is kept.
    pub(crate) is_truncated: bool,
    pub(crate) body_error: Option<&'a str>,
}

/// The page of a delivery.
pub(crate) fn show(viewer: &Viewer<'_>, delivery: &Delivery<'_>) -> String {
    let main = html! {
        (head(viewer, delivery))
        @if delivery.was_retried && is_retried(delivery) { (banner("ok", "ok", "Done", &html! { "Retry queued: the next attempt is made now." })) }
        (last(delivery))
        div class="side-by" {
            section class="stack" aria-labelledby="att" { (attempts(viewer, delivery)) (facts(delivery)) }
            div class="stack" id="attempt" {
                @if let Some(shown) = &delivery.shown { (attempt(shown, delivery)) }
                @else { p { "No attempt was made yet." } (request_body(delivery)) }
                (command(delivery))
            }
        }
    };
    page(viewer, Some(Place::Deliveries), &format!("{}, {}", delivery.kind, delivery.mark.word().to_lowercase()), &main)
}

fn head(viewer: &Viewer<'_>, delivery: &Delivery<'_>) -> Markup {
    let owner = format!("{}/{}", delivery.provider, delivery.tenant);
    let theirs = super::href::Links { scope: Some(&owner) };
    let links = viewer.links();
    let again = html! { (icon("retry")) "Retry now" };
    html! {
        div class="head" {
            div {
                nav class="crumbs" aria-label="Breadcrumb" {
                    a href=(links.to("/ui/deliveries", &[])) { "Deliveries" } " / "
                    a href=(theirs.to("/ui/deliveries", &[])) { (Outside(delivery.provider)) " / " (Outside(delivery.tenant)) }
                }
                h1 {
                    (Outside(delivery.kind)) " " (pill(delivery.mark))
                    @if delivery.is_test { span class="tag" { "test" } }
                }
                p class="muted" {
                    "To "
                    a href=(links.to_one("/ui/webhooks", delivery.webhook_id)) { (Outside(delivery.webhook)) }
                    ", from event "
                    a href=(theirs.to_one("/ui/events", delivery.event_id)) { code { (Outside(delivery.event_id)) } }
                }
            }
            @if delivery.may_retry {
                div class="acts" {
                    (act(&links.to(&format!("/ui/deliveries/{}/retry", delivery.id), &[]), viewer.csrf, "primary", &again))
                }
            }
        }
    }
}

/// Whether an attempt by hand is to come, or was just made. The address that says so may be loaded again much later.
fn is_retried(delivery: &Delivery<'_>) -> bool {
    let is_new = |newest: &Brief<'_>| newest.trigger == "manual" && delivery.now.since(newest.started_at) < JUST_NOW;
    delivery.mark == Mark::Pending || delivery.listed.last().is_some_and(is_new)
}

/// For how long a retry is told of after its attempt began.
const JUST_NOW: Duration = Duration::from_secs(60);

/// What is to be known first: why it failed or is held, or what the receiver answered.
fn last(delivery: &Delivery<'_>) -> Markup {
    let next = html! {
        @if let Some(next) = delivery.next_attempt_at { " Next attempt " b { (moment(next, delivery.now)) } "." }
    };
    let newest = delivery.listed.last();
    match (delivery.mark, newest) {
        (Mark::Held, _) => banner("hold", "hold", "State", &html! { (why_held(delivery.reason)) }),
        (Mark::Failed, _) => {
            let why = delivery.reason.map_or("", ended);
            banner("bad", "bad", "State", &html! { (answered(newest, delivery)) " " (why) })
        }
        (Mark::Pending, Some(_)) => banner("bad", "bad", "Last answer", &html! { (answered(newest, delivery)) (next) }),
        _ => html! {},
    }
}

/// A sentence about the newest attempt.
fn answered(newest: Option<&Brief<'_>>, delivery: &Delivery<'_>) -> Markup {
    let Some(newest) = newest else { return html! { "No attempt was made." } };
    let at = moment(newest.started_at, delivery.now);
    match newest.answer {
        Answer::Good(status) | Answer::Bad(status) => html! {
            "The receiver answered " b { (status) } " after " (took(newest.milliseconds)) ", " (at) "."
        },
        Answer::Error(class) => {
            let shown = delivery.shown.as_ref().filter(|shown| shown.brief.number == newest.number);
            let detail = shown.and_then(|shown| shown.detail);
            html! {
                "Attempt " (newest.number) " failed (" b { (class) } ") after " (took(newest.milliseconds)) ", " (at) "."
                @if let Some(detail) = detail { " " code { (Outside(detail)) } }
            }
        }
        Answer::None => html! { "No answer came." },
    }
}

fn why_held(reason: Option<&str>) -> &'static str {
    match reason {
        Some("webhook_removed") => {
            "It is held: its webhook was taken out of the config file. It goes out when it stands there again."
        }
        _ => "It is held: its webhook is disabled. It goes out when the webhook is enabled.",
    }
}

/// Why a delivery ended without success.
fn ended(reason: &str) -> &'static str {
    match reason {
        "exhausted" => "All attempts of its schedule were made.",
        "gone" => "The endpoint says that it is gone for good.",
        "webhook_deleted" => "Its webhook was deleted.",
        "expired" => "It was held for longer than the log is kept.",
        "cancelled" => "It was cancelled by hand.",
        _ => "",
    }
}

fn attempts(viewer: &Viewer<'_>, delivery: &Delivery<'_>) -> Markup {
    let (made, of) = delivery.attempts;
    let of = of.max(made.into());
    let shown = delivery.shown.as_ref().map(|shown| shown.brief.number);
    let page = format!("/ui/deliveries/{}", delivery.id);
    html! {
        h2 id="att" { "Attempts, " (made) " of " (of) }
        ol class="tl" {
            li { (icon("event")) span { "Published" } span class="small muted" { (moment(delivery.created_at, delivery.now)) } }
            @if let Some(before) = delivery.listed.first().map(|first| first.number.saturating_sub(1)).filter(|before| *before > 0) {
                li { (icon("none")) span class="small muted" { (before) " earlier attempts are not listed; the API and the command line have them" } }
            }
            @for one in &delivery.listed {
                @let (class, name) = if matches!(one.answer, Answer::Good(_)) { ("ok", "ok") } else { ("bad", "bad") };
                @let link = viewer.links().to(&page, &[("attempt", &one.number.to_string())]);
                li class=(class) {
                    (icon(name))
                    span {
                        a href={ (link) "#attempt" } aria-current=[(shown == Some(one.number)).then_some("true")] { "Attempt " (one.number) }
                        " " (answer(one.answer))
                    }
                    span class="small muted" {
                        (moment(one.started_at, delivery.now)) " · " (took(one.milliseconds)) " · " (by(one.trigger))
                    }
                }
            }
            @if let Some(next) = delivery.next_attempt_at {
                li class="wait next" {
                    (icon("wait"))
                    span { b { "Attempt " (made.saturating_add(1)) } " " (moment(next, delivery.now)) }
                    span class="small muted" { "at " (next.utc_words()) }
                }
            }
        }
    }
}

fn by(trigger: &str) -> &'static str {
    match trigger {
        "manual" => "by hand",
        "test" => "as a test",
        _ => "by schedule",
    }
}

fn facts(delivery: &Delivery<'_>) -> Markup {
    html! {
        dl class="kv" {
            dt { "Delivery" } dd { code class="id" { (delivery.id) } }
            dt { "Webhook" } dd { code class="id" { (delivery.webhook_id) } }
            dt { "URL" } dd { code class="id" { (Outside(delivery.url)) } }
            dt { "Tenant" } dd { (Outside(delivery.provider)) " / " (Outside(delivery.tenant)) }
            dt { "Created" }
            dd { time datetime=(delivery.created_at.rfc3339_secs()) { (delivery.created_at.utc_words()) } }
            @if delivery.mark == Mark::Pending && delivery.next_attempt_at.is_none() {
                dt { "Waiting" } dd { "in its endpoint's queue for " (span(delivery.now.since(delivery.created_at))) }
            }
        }
    }
}

fn attempt(attempt: &Attempt<'_>, delivery: &Delivery<'_>) -> Markup {
    html! {
        div class="bar" {
            h2 { "Attempt " (attempt.brief.number) }
            span class="muted" {
                time datetime=(attempt.brief.started_at.rfc3339_secs()) { (attempt.brief.started_at.utc_words()) }
                ", " (by(attempt.brief.trigger)) ", " (took(attempt.brief.milliseconds))
            }
        }
        @match &attempt.response {
            Some(response) => (received(response)),
            None => p { "No response came. " (Outside(attempt.detail.unwrap_or_default())) },
        }
        (code("reqh", "Request", &html! {
            span class="muted" { "POST" } " " (Outside(attempt.url)) "\n"
            (headers(attempt.request_headers.iter().copied()))
        }))
        (request_body(delivery))
    }
}

fn received(response: &Response<'_>) -> Markup {
    let head = html! { b { (response.status) } "\n" (headers(response.headers.iter().copied())) };
    html! {
        (code("resp", "Response", &head))
        (code("respb", "Response body", &body(response.body, response.encoding)))
        @if response.is_truncated { p class="small muted" { "There was more of it, which is not kept." } }
        @if let Some(error) = response.body_error { p class="small muted" { (Outside(error)) } }
    }
}

fn request_body(delivery: &Delivery<'_>) -> Markup {
    html! {
        @match delivery.request_body {
            Some((text, encoding)) => {
                (code("reqb", "Request body", &body(text, encoding)))
                p class="small muted" { (bytes(text.len())) ", the same in every attempt" }
            },
            None => p class="muted" { "The event is no longer kept, and its body with it." },
        }
    }
}

/// The same on the command line.
fn command(delivery: &Delivery<'_>) -> Markup {
    let id = quoted(delivery.id);
    html! {
        details {
            summary { "As a command" }
            (code("cli", "hookwheel", &html! {
                "hookwheel deliveries show " (id) "\n"
                @if delivery.may_retry { "hookwheel deliveries retry " (id) "\n" }
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn brief(number: u16) -> Brief<'static> {
        Brief { number, answer: Answer::Bad(503), started_at: NOW, milliseconds: 214, trigger: "schedule" }
    }

    fn delivery(text: &str) -> Delivery<'_> {
        let response = Response {
            status: 503,
            headers: vec![(text, text)],
            body: text,
            encoding: None,
            is_truncated: true,
            body_error: Some(text),
        };
        let shown = Attempt {
            brief: brief(2),
            detail: Some(text),
            url: text,
            request_headers: vec![(text, text)],
            response: Some(response),
        };
        Delivery {
            id: "dlv_1",
            event_id: text,
            kind: text,
            mark: Mark::Pending,
            reason: None,
            is_test: true,
            webhook: text,
            webhook_id: "wh_1",
            url: text,
            provider: text,
            tenant: text,
            created_at: NOW,
            next_attempt_at: Some(NOW),
            attempts: (2, 6),
            listed: vec![brief(1), brief(2)],
            shown: Some(shown),
            request_body: Some((text, Some("base64"))),
            was_retried: false,
            may_retry: true,
            now: NOW,
        }
    }

    #[test]
    fn a_hostile_event_and_a_hostile_answer_are_text() {
        let deep = format!("{HOSTILE}{}{}", "[".repeat(128), "x".repeat(1 << 20));
        for text in [HOSTILE, &deep] {
            let page = show(&viewer(None), &delivery(text));
            check_harmless(&page);
        }
    }

    #[test]
    fn bodies_of_a_megabyte_leave_the_page_small() {
        let long = "x".repeat(1 << 20);
        let (mut one, response) = (delivery("a"), Response { body: &long, ..received_in("a") });
        one.request_body = Some((&long, None));
        one.shown = one.shown.map(|shown| Attempt { response: Some(response), ..shown });
        let page = show(&viewer(None), &one);
        assert!(page.len() < 60_000, "{} bytes", page.len());
    }

    fn received_in(text: &str) -> Response<'_> {
        delivery(text).shown.and_then(|shown| shown.response).expect("it has one")
    }

    #[test]
    fn an_old_address_of_a_retry_hides_no_failure() {
        let failed = Delivery { mark: Mark::Failed, was_retried: true, reason: Some("exhausted"), ..delivery("a") };
        let page = show(&viewer(None), &failed);
        assert!(page.contains("All attempts of its schedule") && !page.contains("Retry queued"), "{page}");
        let page = show(&viewer(None), &Delivery { mark: Mark::Pending, ..failed });
        assert!(page.contains("Retry queued") && page.contains("The receiver answered"), "{page}");
    }

    #[test]
    fn earlier_attempts_that_are_not_listed_are_told_of() {
        let page = show(&viewer(None), &Delivery { attempts: (120, 120), listed: vec![brief(71), brief(120)], ..delivery("a") });
        assert!(page.contains("70 earlier attempts are not listed"), "{page}");
        assert!(!show(&viewer(None), &delivery("a")).contains("not listed"));
    }

    #[test]
    fn the_attempt_that_is_shown_is_marked_in_the_list() {
        let page = show(&viewer(Some("acme/t1")), &delivery("a.b"));
        assert!(page.contains("href=\"/ui/deliveries/dlv_1?attempt=2&amp;in=acme/t1#attempt\" aria-current=\"true\""), "{page}");
        assert!(page.contains("action=\"/ui/deliveries/dlv_1/retry?in=acme/t1\""), "{page}");
    }

    #[test]
    fn who_may_not_retry_sees_no_button() {
        let page = show(&viewer(None), &Delivery { may_retry: false, ..delivery("a.b") });
        assert!(!page.contains("Retry now") && !page.contains("deliveries retry"), "{page}");
    }

    #[test]
    fn a_page_says_why_a_delivery_failed_or_is_held() {
        let page = |mark, reason| show(&viewer(None), &Delivery { mark, reason, ..delivery("a.b") });
        assert!(page(Mark::Failed, Some("cancelled")).contains("cancelled by hand"));
        assert!(page(Mark::Held, Some("webhook_disabled")).contains("when the webhook is enabled"));
        assert!(page(Mark::Held, Some("webhook_removed")).contains("config file"));
    }
}
