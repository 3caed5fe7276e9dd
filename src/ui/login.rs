//! The page to sign in.

use maud::html;

use super::frame::{Theme, bare};
use super::icon::icon;
use super::part::code;

/// The page to sign in. `to` is the page to which the way leads then; `wrong` says why the last try was none.
pub(crate) fn page(theme: Theme, to: &str, wrong: Option<&str>) -> String {
    let title = if wrong.is_some() { "Problem: sign in" } else { "Sign in" };
    let command = html! { "sudo hookwheel login-link" };
    let main = html! {
        div class="stack" {
            h1 { "Sign in" }
            p { "On the server, print a link that works once, for 15 minutes:" }
            (code("ll", "Shell", &command))
            p class="small muted" { "From your laptop first: " code { "ssh -L 8080:127.0.0.1:8080 vm" } }
        }
        form class="stack" method="post" action="/ui/login" {
            input type="hidden" name="to" value=(to);
            div class="field" {
                label for="key" { "Or a key" }
                @if let Some(wrong) = wrong { p class="err" id="key-err" { (icon("bad")) span { (wrong) } } }
                input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" placeholder="hwk_…"
                    required aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "key-err")]
                    autofocus[wrong.is_some()];
            }
            div { button class="primary" { "Sign in" } }
        }
    };
    bare(theme, title, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::frame::fixture::check_harmless;

    #[test]
    fn what_was_wrong_is_said_beside_the_field() {
        let page = page(Theme::System, "/ui/", Some("this key is unknown"));
        assert!(page.contains("Problem: sign in") && page.contains("aria-describedby=\"key-err\""), "{page}");
        assert!(page.contains("this key is unknown"));
    }

    #[test]
    fn the_way_back_is_a_value_and_nothing_else() {
        check_harmless(&page(Theme::System, "\"><script>", None));
    }
}
