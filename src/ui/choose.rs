//! The page that asks for one tenant, for pages that are about one.

use maud::html;

use super::frame::{Viewer, page};

/// Asks which tenant the page at `path` is about. `why` says in a sentence why that is asked.
pub(crate) fn tenant(viewer: &Viewer<'_>, path: &str, title: &str, why: &str) -> String {
    let provider = viewer.scope.given.and_then(|given| given.strip_suffix('*'));
    let main = html! {
        div class="head" { div { h1 { (title) } p class="muted" { (why) } } }
        form class="form" method="get" action=(path) {
            div class="field" {
                label for="of" { "Provider and tenant" }
                input id="of" name="in" type="text" required autocomplete="off" spellcheck="false"
                    placeholder="PROVIDER/TENANT" value=(provider.unwrap_or("default/default")) aria-describedby="of-hint";
                p class="hint" id="of-hint" { "As in " code { "shop/acme" } ". Without providers in the config file it is " code { "default/default" } "." }
            }
            div class="acts" { button class="primary" { "Go on" } }
        }
    };
    page(viewer, None, title, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::{HOSTILE, check_harmless, viewer};

    #[test]
    fn a_chosen_provider_stands_in_the_field() {
        let asked = tenant(&viewer(Some("acme/*")), "/ui/webhooks/new", "Add webhook", "It is a tenant's.");
        assert!(asked.contains("value=\"acme/\"") && asked.contains("action=\"/ui/webhooks/new\""), "{asked}");
        check_harmless(&tenant(&viewer(Some(HOSTILE)), "/ui/webhooks/new", "Add webhook", ""));
    }
}
