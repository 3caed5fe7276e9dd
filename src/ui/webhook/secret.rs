//! The page that shows a new secret, once.

use maud::{Markup, html};

use super::super::frame::{Place, Viewer, page};
use super::super::href::Links;
use super::super::icon::icon;
use super::super::part::{act, banner, code, moment};
use super::super::text::Outside;
use crate::domain::time::Timestamp;

/// A webhook with a new secret.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) id: &'a str,
    /// Its name, or the host and path of its URL.
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// The secret and how it came to be. `None`: it was shown before.
    pub(crate) secret: Option<(&'a str, Came)>,
    /// The header that carries the signature.
    pub(crate) header: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// How a secret came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    WithWebhook,
    /// By a rotation. The old secret signs beside it until then; with `None` it signs nothing more.
    ByRotation(Option<Timestamp>),
}

/// The page of a new secret.
pub(crate) fn show(viewer: &Viewer<'_>, new: New<'_>) -> String {
    let main = html! {
        div class="head" { div {
            nav class="crumbs" aria-label="Breadcrumb" { a href=(viewer.links().to("/ui/webhooks", &[])) { "Webhooks" } }
            h1 { (Outside(new.name)) }
            p class="muted" { code class="id" { (Outside(new.url)) } }
        } }
        @match new.secret {
            Some((secret, came)) => {
                (done(came, new.now))
                section aria-labelledby="sec" {
                    h2 id="sec" { "Signing secret, shown this once" }
                    (code("secret", "Copy it to your server now", &html! { span class="id" { (secret) } }))
                    p class="muted" { "It is not shown again. If it is lost, rotate it: that makes a new one." }
                }
            }
            None => (gone(viewer, new.id)),
        }
        section aria-labelledby="next" { h2 id="next" { "Next" } (steps(viewer, new)) }
    };
    page(viewer, Some(Place::Webhooks), new.name, &main)
}

fn done(came: Came, now: Timestamp) -> Markup {
    let words = match came {
        Came::WithWebhook => html! { b { "Webhook created." } " It receives events published from now on." },
        Came::ByRotation(Some(until)) => html! {
            b { "Secret rotated." } " The old one signs beside it until " (until.utc_words()) ", " (moment(until, now)) "."
        },
        Came::ByRotation(None) => html! { b { "Secret rotated." } " The old one signs nothing more." },
    };
    banner("ok", "ok", "Done", &words)
}

fn gone(viewer: &Viewer<'_>, id: &str) -> Markup {
    let rotate = viewer.links().to(&format!("{}/rotate", Links::default().to_one("/ui/webhooks", id)), &[]);
    let words = html! {
        b { "The secret was shown once, and is not shown again." }
        " If it is lost, " a href=(rotate) { "rotate it" } ": that makes a new one."
    };
    banner("", "key", "Secret", &words)
}

fn steps(viewer: &Viewer<'_>, new: New<'_>) -> Markup {
    let (links, path) = (viewer.links(), Links::default().to_one("/ui/webhooks", new.id));
    let test = html! { (icon("send")) "Send test event" };
    html! {
        ol class="steps big" {
            li {
                b class="n" { "1" } b { "Verify with it" }
                span {
                    @if let Some(header) = new.header { "The signature is in " code { (Outside(header)) } ". " }
                    "Hash the raw bytes of the body, before any parsing."
                }
            }
            li {
                b class="n" { "2" } b { "Send a test event" } span { "You see the request and what your server answers." }
                div class="acts" {
                    (act(&links.to(&format!("{path}/test"), &[]), viewer.csrf, "primary", &test))
                    a class="btn" href=(links.to(&path, &[])) { "Open webhook" }
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

    fn new(secret: Option<(&'static str, Came)>) -> New<'static> {
        New { id: "wh_1", name: HOSTILE, url: HOSTILE, secret, header: Some(HOSTILE), now: NOW }
    }

    #[test]
    fn a_hostile_webhook_with_a_secret_is_text() {
        check_harmless(&show(&viewer(None), new(Some(("whsec_<b>", Came::ByRotation(Some(NOW)))))));
    }

    #[test]
    fn what_became_of_the_old_secret_is_told() {
        let told = |came| show(&viewer(None), new(Some(("whsec_1", came))));
        assert!(told(Came::ByRotation(Some(NOW))).contains("signs beside it until 20 Apr 2026, 14:32:00 UTC"));
        assert!(told(Came::ByRotation(None)).contains("signs nothing more") && told(Came::WithWebhook).contains(">whsec_1<"));
    }

    #[test]
    fn a_secret_that_was_shown_leads_to_its_rotation() {
        let page = show(&viewer(Some("acme/t1")), new(None));
        assert!(page.contains("/ui/webhooks/wh_1/rotate?in=acme/t1") && !page.contains("shown this once"), "{page}");
    }
}
