//! `docs`: the pages that the service shows under /docs, as text. Needs no service.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::plain;

/// Read the documentation: guides, the API reference, and each problem with its remedy
#[derive(Args, Debug)]
pub(crate) struct Docs {
    /// The page, as in publish, api/events or problems/store-full; without one all pages are listed
    topic: Option<String>,
}

impl Docs {
    pub(crate) fn run(&self, out: &Out) -> Result<Exit, Failure> {
        match &self.topic {
            None => list(out)?,
            Some(topic) => show(topic, out)?,
        }
        Ok(Exit::Ok)
    }
}

fn list(out: &Out) -> Result<(), Failure> {
    let parts = calls::docs_contents();
    if out.json {
        let topics = parts.iter().flat_map(|part| &part.pages);
        let topics: Vec<Value> = topics.map(|(path, title)| json!({ "topic": path, "title": title })).collect();
        return out.line(json!({ "data": topics }));
    }
    let width = parts.iter().flat_map(|part| &part.pages).map(|(path, _)| path.len()).max().unwrap_or_default();
    for (at, part) in parts.iter().enumerate() {
        out.line(format_args!("{}{}", if at == 0 { "" } else { "\n" }, out.paint.bold(part.name)))?;
        part.pages.iter().try_for_each(|(path, title)| out.line(format_args!("  {path:width$}  {title}")))?;
    }
    Ok(())
}

fn show(topic: &str, out: &Out) -> Result<(), Failure> {
    // An address of a page names its topic too, as the `type` of a problem does.
    let path = topic.trim_start_matches('/').trim_start_matches("docs/");
    let page = calls::docs_page(path).ok_or_else(|| unknown(topic))?;
    if out.json {
        return out.line(json!({ "topic": page.path, "title": page.title, "markdown": page.markdown }));
    }
    let width = out.width.unwrap_or(WIDTH).min(WIDTH);
    out.line(calls::docs_text(&page, width, |heading| out.paint.bold(heading)))
}

fn unknown(topic: &str) -> Failure {
    let near = calls::docs_nearest(topic).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Failure::usage(format!("there is no page `{}`{near}", plain(topic)), Hint::plain("docs"))
}

/// Longer lines are hard to read.
const WIDTH: usize = 100;
