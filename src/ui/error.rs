//! The page that says why a page cannot be shown, and where to go on.

use maud::{Markup, html};

use super::frame::{Theme, Viewer, bare, page};
use super::part::token;
use super::text::Outside;

/// Why a page cannot be shown.
#[derive(Clone, Debug)]
pub(crate) struct Wrong<'a> {
    pub(crate) status: u16,
    /// What happened, as a heading.
    pub(crate) title: &'a str,
    /// What happened and what to do, in sentences.
    pub(crate) detail: &'a str,
}

/// The page for somebody who is signed in.
pub(crate) fn within(viewer: &Viewer<'_>, wrong: &Wrong<'_>) -> String {
    let ways = html! {
        div class="acts" {
            a class="btn primary" href=(viewer.links().to("/ui/deliveries", &[])) { "All deliveries" }
            @if viewer.scope.given.is_some() { a class="btn" href="/ui/deliveries" { "Without a scope" } }
            form method="post" action="/ui/logout" { (token(viewer.csrf)) button { "Sign out" } }
        }
    };
    page(viewer, None, wrong.title, &content(wrong, &ways))
}

/// The page for anybody.
pub(crate) fn outside(theme: Theme, wrong: &Wrong<'_>) -> String {
    bare(theme, wrong.title, &content(wrong, &html! {}))
}

fn content(wrong: &Wrong<'_>, ways: &Markup) -> Markup {
    html! {
        div class="head" { div { h1 { (Outside(wrong.title)) } } }
        section class="form" {
            @for line in wrong.detail.lines() { p { (Outside(line)) } }
            (ways)
            p class="muted small" { (wrong.status) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    #[test]
    fn what_is_said_of_a_hostile_request_is_text() {
        let wrong = Wrong { status: 404, title: HOSTILE, detail: HOSTILE };
        for page in [within(&viewer(None), &wrong), outside(Theme::Light, &wrong)] {
            check_harmless(&page);
        }
    }
}
