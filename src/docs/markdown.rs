//! Reads Markdown as the pages are written: CommonMark with tables and anchors of headings. HTML in it is text.

use pulldown_cmark::{Event, Options, Parser};

pub(super) fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES;
    Parser::new_ext(text, options).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        event => event,
    })
}
