//! A page as HTML: without scripts, readable on a phone, light and dark. Its one style sheet is a file of its own, so that the policy of
//! its contents can be strict.

use std::fmt::Write as _;

use super::markdown::events;
use super::{Page, Part, contents};

/// The whole document of a page.
pub(crate) fn html(page: &Page) -> String {
    let mut text = String::with_capacity(page.markdown.len() * 2);
    let title = escaped(&page.title);
    let _ = write!(
        text,
        "{HEAD}<title>{title} - hookwheel</title>\n</head>\n<body>\n{SKIP}<nav id=\"contents\" aria-label=\"Documentation\">\n"
    );
    text.push_str("<a class=\"brand\" href=\"/docs\">hookwheel</a>\n");
    contents().iter().for_each(|part| navigation(part, &page.path, &mut text));
    text.push_str("</nav>\n<main id=\"main\">\n<a class=\"contents\" href=\"#contents\">Contents</a>\n");
    pulldown_cmark::html::push_html(&mut text, events(&page.markdown));
    text.push_str("</main>\n</body>\n</html>\n");
    text
}

/// A part of the pages as a list that folds, open where the page is one of it.
fn navigation(part: &Part, current: &str, into: &mut String) {
    let holds_current = part.pages.iter().any(|(path, _)| path == current);
    let open = if holds_current { " open" } else { "" };
    let _ = write!(into, "<details{open}><summary>{}</summary><ul>", part.name);
    for (path, title) in &part.pages {
        let here = if path == current { " aria-current=\"page\"" } else { "" };
        let _ = write!(into, "<li><a href=\"/docs/{path}\"{here}>{}</a>", escaped(title));
    }
    into.push_str("</ul></details>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                    <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"stylesheet\" href=\"/docs/style.css\">\n";

const SKIP: &str = "<a class=\"skip\" href=\"#main\">Skip to the text</a>\n";

/// What a browser may load for a page: its style sheet, and nothing else.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The style sheet of all pages.
pub(crate) const STYLE: &str = include_str!("style.css");
