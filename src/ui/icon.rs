//! Icons. A page holds the drawing of each icon that it uses once, at its end.

use maud::{Markup, PreEscaped, html};

/// An icon beside a text that says the same. `name` is that of a drawing in `icons.svg` without its `i-`.
pub(crate) fn icon(name: &str) -> Markup {
    html! { svg class="i" aria-hidden="true" { use href={ "#i-" (name) } {} } }
}

/// The drawings of the icons that a page uses.
pub(crate) fn drawings(page: &str) -> Markup {
    let used = DRAWINGS.lines().filter(|drawing| name(drawing).is_some_and(|name| page.contains(&format!("\"#{name}\""))));
    html! { svg hidden { @for drawing in used { (PreEscaped(drawing)) } } }
}

/// The name of a drawing, as in `i-ok`.
fn name(drawing: &str) -> Option<&str> {
    drawing.strip_prefix("<symbol id=\"")?.split('"').next()
}

/// Every drawing, one a line.
const DRAWINGS: &str = include_str!("icons.svg");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_the_drawings_that_it_uses() {
        let page = html! { (icon("ok")) (icon("ok")) (icon("wait")) }.0;
        let drawn = drawings(&page).0;
        assert_eq!(drawn.matches("<symbol").count(), 2, "{drawn}");
        assert!(drawn.contains("id=\"i-ok\"") && drawn.contains("id=\"i-wait\""));
    }

    #[test]
    fn every_drawing_has_a_name() {
        assert!(DRAWINGS.lines().all(|drawing| name(drawing).is_some_and(|name| name.starts_with("i-"))));
    }
}
