//! What the service says about itself to people and programs. It is text alone: nothing here reads the store, the config or a socket.
//!
//! Every page is Markdown first: the guides are files, a problem's page is made of its type, and the reference of the OpenAPI document. A
//! page is shown as HTML by the service, and as text by `hookwheel docs`.

pub(crate) mod html;
mod markdown;
pub(crate) mod problem;
mod reference;
pub(crate) mod terminal;

use std::borrow::Cow;
use std::fmt::Write as _;

use problem::ProblemType;

/// The OpenAPI 3.1 description of the API. A test of `api` holds it equal to the types and routes.
pub(crate) const OPENAPI: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json"));

/// A page of the documentation.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Behind `/docs/`, and the topic of `hookwheel docs`. Empty for the first page.
    pub(crate) path: String,
    pub(crate) title: String,
    /// The whole text, which begins with the title.
    pub(crate) markdown: Cow<'static, str>,
}

/// A part of the documentation.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// The path and the title of each page.
    pub(crate) pages: Vec<(String, String)>,
}

/// The page at a path. `None`: there is none.
pub(crate) fn page(path: &str) -> Option<Page> {
    let markdown: Cow<'static, str> = match path.split_once('/') {
        None if path.is_empty() => index().into(),
        None if path == reference::PATH => reference::index().into(),
        None if path == PROBLEMS => problems().into(),
        None => GUIDES.iter().find(|(name, _)| *name == path)?.1.into(),
        Some((reference::PATH, name)) => reference::page(name)?.into(),
        Some((PROBLEMS, name)) => problem(name)?.into(),
        Some(_) => return None,
    };
    Some(Page { path: path.to_owned(), title: title(&markdown).to_owned(), markdown })
}

/// All pages but the first, part by part.
pub(crate) fn contents() -> Vec<Part> {
    let guides = GUIDES.iter().map(|(name, text)| ((*name).to_owned(), title(text).to_owned()));
    let problems = ProblemType::ALL.iter().map(|kind| kind.page());
    let problems = problems.map(|page| (format!("{PROBLEMS}/{}", page.name), format!("{} {}", page.status, page.title)));
    let of_reference = [(reference::PATH.to_owned(), "All calls".to_owned())].into_iter().chain(reference::pages());
    vec![
        Part { name: "Guides", pages: guides.collect() },
        Part { name: "API reference", pages: of_reference.collect() },
        Part {
            name: "Problems",
            pages: [(PROBLEMS.to_owned(), "All problems".to_owned())].into_iter().chain(problems).collect(),
        },
    ]
}

fn title(markdown: &str) -> &str {
    markdown.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default()
}

fn index() -> String {
    let mut text = FIRST.to_owned();
    for part in contents() {
        let _ = write!(text, "\n## {}\n\n", part.name);
        for (path, title) in part.pages.iter().filter(|(path, _)| !path.starts_with("problems/")) {
            let _ = writeln!(text, "- [{title}](/docs/{path})");
        }
    }
    text
}

fn problems() -> String {
    let mut text = PROBLEMS_HEAD.to_owned();
    for page in ProblemType::ALL.iter().map(|kind| kind.page()) {
        let _ = writeln!(text, "| {} | [`{}`]({}) | {} |", page.status, page.name, page.uri, page.title);
    }
    text
}

fn problem(name: &str) -> Option<String> {
    let page = ProblemType::ALL.iter().map(|kind| kind.page()).find(|page| page.name == name)?;
    let problem::Page { title, status, uri, cause, remedy, .. } = page;
    Some(format!(
        "# {title}\n\nAnswered with the status {status}, and `{uri}` as the `type` of the problem.\n\n## Cause\n\n{cause}\n\n## Remedy\n\n{remedy}\n"
    ))
}

const PROBLEMS: &str = "problems";

/// The guides, in the order in which they are listed.
const GUIDES: [(&str, &str); 5] = [
    ("publish", include_str!("guides/publish.md")),
    ("verify", include_str!("guides/verify.md")),
    ("operate", include_str!("guides/operate.md")),
    ("upgrade", include_str!("guides/upgrade.md")),
    ("move", include_str!("guides/move.md")),
];

const FIRST: &str = "\
# Documentation of hookwheel

hookwheel sends webhooks for your application. You publish an event over HTTP; hookwheel writes it to its own file on disk, signs it, POSTs it \
to every endpoint that subscribed, and tries again until the endpoint has taken it or the schedule is spent.

These pages are a part of the program, so they describe the release that shows them. In a terminal `hookwheel docs TOPIC` shows the same. \
Programs read [the OpenAPI document](/openapi.json).
";

const PROBLEMS_HEAD: &str = "\
# Problems

An error is answered as `application/problem+json` (RFC 9457). `title` and `status` say what kind it is, `detail` what was wrong this time and \
what to try, `errors` lists each wrong field, and `type` is the address of one of these pages.

| status | type | means |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Page> {
        let paths = contents().into_iter().flat_map(|part| part.pages).map(|(path, _)| path);
        let forms = reference::form_names().map(|name| format!("{}/{name}", reference::PATH));
        paths.chain(forms).chain([String::new()]).map(|path| page(&path).unwrap_or_else(|| panic!("no page {path}"))).collect()
    }

    #[test]
    fn every_page_of_the_contents_is_there() {
        for page in all() {
            assert!(!page.title.is_empty(), "{} has no title", page.path);
        }
        assert!(
            ["nothing", "api/nothing", "problems/nothing", "guides/publish", "a/b/c"].iter().all(|path| page(path).is_none())
        );
    }

    #[test]
    fn every_link_between_pages_leads_somewhere() {
        let pages: Vec<(String, String)> = all().iter().map(|page| (page.path.clone(), html::html(page))).collect();
        let is_there = |link: &str| {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = path.trim_start_matches('/').to_owned();
            let page = pages.iter().find(|(known, _)| *known == path);
            page.is_some_and(|(_, text)| anchor.is_empty() || text.contains(&format!("id=\"{anchor}\"")))
        };
        for (path, text) in &pages {
            let links = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
            for link in links.filter(|link| *link != "/openapi.json" && *link != "/docs/style.css") {
                let known = match link.strip_prefix("/docs") {
                    Some(link) => is_there(link),
                    None => link.starts_with("https://") || ["#main", "#contents"].contains(&link),
                };
                assert!(known, "/docs/{path} links to {link}, which is not there");
            }
        }
    }

    #[test]
    fn no_page_is_heavier_than_60_kilobytes() {
        for page in all() {
            let bytes = html::html(&page).len() + html::STYLE.len();
            assert!(bytes <= 60_000, "/docs/{} has {bytes} bytes with its style sheet", page.path);
        }
    }

    #[test]
    fn a_page_has_no_script_and_no_style_of_its_own() {
        for page in all() {
            let text = html::html(&page);
            for word in ["<script", " style=", "<style", " onclick", " src=", "href=\"http:"] {
                assert!(!text.contains(word), "/docs/{} has {word}", page.path);
            }
        }
    }
}
