//! The pages that say what ends before a secret is rotated or a webhook is deleted.

use std::time::Duration;

use maud::{Markup, html};

use super::super::deliveries::Counts;
use super::super::frame::{Place, Viewer, page};
use super::super::href::Links;
use super::super::part::{code, token};
use super::super::text::Outside;
use crate::domain::text::shell::quoted;
use crate::domain::units::duration_text;

/// A webhook that somebody asks to change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) id: &'a str,
    /// Its name, or the host and path of its URL.
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
}

/// Asks whether the secret is to be rotated. `overlap`: how long the old one signs beside the new one; `None` where the dialect has none.
pub(crate) fn rotate(viewer: &Viewer<'_>, asked: Asked<'_>, overlap: Option<Duration>) -> String {
    let ends = html! {
        p { "A new secret is made, and shown once on the next page." }
        @match overlap.filter(|overlap| !overlap.is_zero()) {
            Some(overlap) => p {
                "The old one signs beside it for " b { (duration_text(overlap)) } " more. Within that time give the new one to your server; "
                "a receiver that knows either of them takes each delivery."
            },
            None => p {
                b { "The old one ends at once: " } "each delivery has one signature, by the new secret alone. Until your server has it, "
                "it takes no delivery, and what fails is tried again by the schedule."
            },
        }
    };
    question(viewer, asked, ("rotate", "Rotate secret"), ("primary", "hookwheel webhooks rotate-secret"), &ends)
}

/// Asks whether the webhook is to be deleted. `waiting` counts its deliveries.
pub(crate) fn delete(viewer: &Viewer<'_>, asked: Asked<'_>, waiting: Counts) -> String {
    let open = viewer.links().to("/ui/deliveries", &[("webhook", asked.id)]);
    let ends = html! {
        ul {
            li { "It gets no event any more. Events that are published from then on are not kept for it." }
            li {
                b { (waiting.told(waiting.pending)) } " pending and " b { (waiting.told(waiting.held)) } " held deliveries end as failed, "
                "and are not sent. " a href=(open) { "See them" }
            }
            li { "Its secret is gone. A webhook that is added later has a new one." }
            li { "Its log stays for as long as logs are kept." }
        }
        p { "To stop it for a while, disable it instead: what is published then is held, and sent when it is enabled." }
    };
    question(viewer, asked, ("delete", "Delete webhook"), ("danger", "hookwheel webhooks delete"), &ends)
}

/// A question. `act` is the end of its path and its words, `looks` the class of its button and the command that does the same.
fn question(viewer: &Viewer<'_>, asked: Asked<'_>, act: (&str, &str), looks: (&str, &str), ends: &Markup) -> String {
    let ((act, words), (class, command)) = (act, looks);
    let (links, path) = (viewer.links(), Links::default().to_one("/ui/webhooks", asked.id));
    let back = links.to(&path, &[]);
    let main = html! {
        div class="head" { div {
            nav class="crumbs" aria-label="Breadcrumb" {
                a href=(links.to("/ui/webhooks", &[])) { "Webhooks" } " / " a href=(back) { (Outside(asked.name)) }
            }
            h1 { (words) "?" }
            p class="muted" { code class="id" { (Outside(asked.url)) } }
        } }
        form class="form" method="post" action=(links.to(&format!("{path}/{act}"), &[])) {
            (token(viewer.csrf))
            (ends)
            div class="acts" { button class=(class) { (words) } a class="btn" href=(back) { "Cancel" } }
        }
        section aria-label="As a command" {
            details {
                summary { "As a command" }
                (code("cli", "hookwheel", &html! { (command) " " (Outside(&quoted(asked.id))) }))
            }
        }
    };
    page(viewer, Some(Place::Webhooks), words, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    const ASKED: Asked<'_> = Asked { id: "wh_1", name: HOSTILE, url: HOSTILE };

    #[test]
    fn a_rotation_names_the_end_of_the_overlap_or_that_there_is_none() {
        let two = rotate(&viewer(None), ASKED, Some(Duration::from_secs(86_400)));
        assert!(two.contains("<b>24h</b> more") && two.contains("action=\"/ui/webhooks/wh_1/rotate\""), "{two}");
        assert!(rotate(&viewer(None), ASKED, None).contains("ends at once"));
        check_harmless(&two);
    }

    #[test]
    fn a_deletion_names_what_ends() {
        let waiting = Counts { pending: 3, held: 1_200, ..Counts::default() };
        let page = delete(&viewer(Some("acme/t1")), ASKED, waiting);
        assert!(page.contains("<b>3</b> pending and <b>1,200</b> held"), "{page}");
        assert!(page.contains("action=\"/ui/webhooks/wh_1/delete?in=acme/t1\""), "{page}");
        check_harmless(&page);
    }
}
