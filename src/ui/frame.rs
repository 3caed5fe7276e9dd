//! What stands around every page: the rail with its links, the scope, the account, and the head of the document.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::asset::{ICON, STYLE};
use super::href::Links;
use super::icon::{drawings, icon};
use super::part::token;
use super::text::Outside;

/// The colours that a viewer wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system of the viewer is set.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    /// The attribute of the document that overrides the system.
    fn attribute(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.name())
    }
}

/// A page that the rail links to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Deliveries,
    Webhooks,
}

impl Place {
    const ALL: [Self; 2] = [Self::Deliveries, Self::Webhooks];

    /// Its path, its icon and its name.
    fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Deliveries => ("/ui/deliveries", "list", "Deliveries"),
            Self::Webhooks => ("/ui/webhooks", "hook", "Webhooks"),
        }
    }
}

/// What is known of the viewer.
#[derive(Clone, Debug)]
pub(crate) struct Viewer<'a> {
    /// How the viewer signed in, as in `key ops`.
    pub(crate) name: &'a str,
    pub(crate) theme: Theme,
    pub(crate) scope: Scope<'a>,
    /// The token of the session, for forms.
    pub(crate) csrf: &'a str,
    /// The path and query of this page, to which forms about the frame come back.
    pub(crate) here: &'a str,
}

/// The tenants that a viewer looks at, and may look at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope<'a> {
    /// `PROVIDER/TENANT` or `PROVIDER/*`. `None`: all that the viewer may see.
    pub(crate) given: Option<&'a str>,
    /// The one tenant of a tenant's key, as `PROVIDER/TENANT`: there is nothing to choose.
    pub(crate) only: Option<&'a str>,
    /// The names of the providers that there are to choose from.
    pub(crate) providers: Vec<&'a str>,
}

impl Viewer<'_> {
    pub(crate) fn links(&self) -> Links<'_> {
        Links { scope: self.scope.given }
    }
}

/// A whole page. `place` is the page of the rail that it belongs to.
pub(crate) fn page(viewer: &Viewer<'_>, place: Option<Place>, title: &str, main: &Markup) -> String {
    let rail = rail(viewer, place);
    document(viewer.theme, title, "app", &html! { (SKIP) (rail) main id="main" tabindex="-1" { (main) } })
}

/// A page without the rail, for somebody who is not signed in.
pub(crate) fn bare(theme: Theme, title: &str, main: &Markup) -> String {
    document(theme, title, "bare", &html! { (SKIP) main id="main" { (BRAND_OF_BARE) (main) } })
}

/// The whole document; `look` is the class of its body.
fn document(theme: Theme, title: &str, look: &str, body: &Markup) -> String {
    let drawings = drawings(&body.0);
    let page = html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme.attribute()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Outside(title)) " · hookwheel" }
                link rel="icon" href=(ICON.path()) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path());
            }
            body class=(look) { (body) (drawings) }
        }
    };
    page.0
}

fn rail(viewer: &Viewer<'_>, place: Option<Place>) -> Markup {
    html! {
        div class="rail" {
            header {
                button type="button" class="phone" popovertarget="nav" { (icon("menu")) "Menu" }
                a class="brand" href=(viewer.links().to("/ui/", &[])) { (icon("wheel")) "hookwheel" }
                (scope(&viewer.scope))
            }
            nav id="nav" class="side" popover aria-label="Main" {
                (places(viewer, place))
                div class="foot" {
                    button type="button" class="quiet" popovertarget="me" { (icon("user")) (Outside(viewer.name)) }
                }
            }
            (account(viewer))
        }
    }
}

fn places(viewer: &Viewer<'_>, here: Option<Place>) -> Markup {
    html! {
        div { ul {
            @for place in Place::ALL {
                @let (path, icon_name, name) = place.about();
                li {
                    a href=(viewer.links().to(path, &[])) aria-current=[(here == Some(place)).then_some("page")] {
                        (icon(icon_name)) (name)
                    }
                }
            }
        } }
    }
}

/// The button that tells the scope, and what it opens. Somebody with one tenant has nothing to choose.
fn scope(scope: &Scope<'_>) -> Markup {
    if let Some(only) = scope.only {
        return html! { p class="small muted" { (Outside(only)) } };
    }
    let (small, name) = match scope.given.and_then(|given| given.split_once('/')) {
        None => ("Providers", "All"),
        Some((provider, "*")) => ("Provider", provider),
        Some((provider, tenant)) => (provider, tenant),
    };
    html! {
        button type="button" class="scope" popovertarget="scope" {
            span { small { (Outside(small)) } b { (Outside(name)) } }
            (icon("updown"))
            span class="vh" { "Change provider or tenant" }
        }
        div popover id="scope" class="pop" role="dialog" aria-label="Choose provider and tenant" { (choices(scope)) }
    }
}

fn choices(scope: &Scope<'_>) -> Markup {
    html! {
        form action="/ui/deliveries" method="get" class="field" {
            label for="in" { "Provider and tenant" }
            input id="in" name="in" type="text" placeholder="PROVIDER/TENANT" autocomplete="off" spellcheck="false" required;
            div class="acts" { button { "Show" } }
        }
        div {
            p class="label" { "Providers" }
            ul {
                li { a href="/ui/deliveries" { (icon("none")) span { "All" } } }
                @for provider in &scope.providers {
                    @let all = format!("{provider}/*");
                    li {
                        a href=(Links { scope: Some(&all) }.to("/ui/deliveries", &[])) { (icon("go")) span { (Outside(provider)) } }
                    }
                }
            }
        }
    }
}

/// The menu of whoever is signed in.
fn account(viewer: &Viewer<'_>) -> Markup {
    html! {
        div popover id="me" class="pop menu" role="dialog" aria-label="Account" {
            form method="post" action="/ui/theme" {
                (token(viewer.csrf))
                input type="hidden" name="to" value=(viewer.here);
                @for theme in Theme::ALL {
                    button name="theme" value=(theme.name()) aria-pressed=(theme == viewer.theme) {
                        @match theme {
                            Theme::System => "Theme: as the system",
                            Theme::Light => "Theme: light",
                            Theme::Dark => "Theme: dark",
                        }
                    }
                }
            }
            form method="post" action="/ui/logout" { (token(viewer.csrf)) button { "Sign out" } }
        }
    }
}

const SKIP: PreEscaped<&str> = PreEscaped("<a class=\"btn primary skip\" href=\"#main\">Skip to content</a>");

const BRAND_OF_BARE: PreEscaped<&str> =
    PreEscaped("<p class=\"brand\"><svg class=\"i\" aria-hidden=\"true\"><use href=\"#i-wheel\"></use></svg>hookwheel</p>");

#[cfg(test)]
pub(crate) mod fixture {
    //! A viewer for tests of pages.

    use super::*;

    pub(crate) fn viewer(given: Option<&str>) -> Viewer<'_> {
        let scope = Scope { given, only: None, providers: vec!["acme", "default"] };
        Viewer { name: "key ops", theme: Theme::System, scope, csrf: "token", here: "/ui/deliveries" }
    }

    /// What no page may hold, whatever it shows: a script, a style or a handler of its own.
    pub(crate) fn check_harmless(page: &str) {
        for word in ["<script", "\"javascript:", " style=\"", " onerror=\"", " onload=\"", "<style", "<iframe", "<img", "<base"] {
            assert!(!page.contains(word), "{word} in {page}");
        }
        assert!(!page.chars().any(|char| crate::domain::text::plain::is_command(char) && !matches!(char, '\n' | '\t')));
    }

    /// Text that tries to be more than text.
    pub(crate) const HOSTILE: &str =
        "\"><script>alert(1)</script><img src=x onerror=alert(1)>' style='x\u{202e}\u{1b}[2J\u{0}&lt;";
}

#[cfg(test)]
mod tests {
    use super::fixture::{HOSTILE, check_harmless, viewer};
    use super::*;

    #[test]
    fn a_hostile_name_of_anything_is_text() {
        let mut seen = viewer(Some(HOSTILE));
        (seen.name, seen.here, seen.scope.providers) = (HOSTILE, "\"><script>", vec![HOSTILE]);
        check_harmless(&page(&seen, None, HOSTILE, &html! { p { (Outside(HOSTILE)) } }));
    }

    #[test]
    fn a_theme_is_an_attribute_unless_the_system_decides() {
        let of = |theme| bare(theme, "t", &html! {});
        assert!(of(Theme::Dark).contains("<html lang=\"en\" data-theme=\"dark\">"));
        assert!(!of(Theme::System).contains("data-theme"));
        assert!(Theme::ALL.into_iter().all(|theme| Theme::parse(theme.name()) == Some(theme)));
    }

    #[test]
    fn the_only_tenant_of_a_viewer_is_no_choice() {
        let mut seen = viewer(None);
        seen.scope.only = Some("acme/t1");
        let page = page(&seen, Some(Place::Deliveries), "t", &html! {});
        assert!(page.contains("acme/t1") && !page.contains("id=\"scope\""), "{page}");
    }
}
