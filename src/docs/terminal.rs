//! A page as text for a terminal of some width.

use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
use unicode_width::UnicodeWidthStr;

use super::markdown::events;

/// Prints Markdown with lines of at most `width` columns, but for code. `bold` marks headings.
pub(crate) fn text(markdown: &str, width: usize, bold: impl Fn(&str) -> String) -> String {
    let mut writer = Writer { width: width.max(WIDTH_LEAST), ..Writer::default() };
    for event in events(markdown) {
        writer.take(event, &bold);
    }
    writer.out.trim_end().to_owned()
}

/// What is printed so far, and the block that is being read.
#[derive(Default)]
struct Writer {
    width: usize,
    out: String,
    /// The text of the paragraph, heading or cell at hand.
    text: String,
    /// For each list around the text: its next number, or none for a list without numbers.
    lists: Vec<Option<u64>>,
    /// What stands before the first line of the next paragraph of an item.
    marker: Option<String>,
    /// Where the link at hand leads.
    link: String,
    /// The rows of the table at hand.
    rows: Vec<Vec<String>>,
    is_in_table: bool,
}

impl Writer {
    fn take(&mut self, event: Event<'_>, bold: &impl Fn(&str) -> String) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag, bold),
            Event::Text(text) => self.text.push_str(&text),
            Event::Code(code) => self.text.extend(["`", &code, "`"]),
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::List(first) => {
                self.paragraph();
                self.lists.push(first);
            }
            Tag::Item => self.marker = Some(self.next_marker()),
            Tag::Link { dest_url, .. } => self.link = dest_url.into_string(),
            Tag::Table(_) => self.is_in_table = true,
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, bold: &impl Fn(&str) -> String) {
        match tag {
            TagEnd::Paragraph | TagEnd::Item => self.paragraph(),
            TagEnd::Heading(level) => self.heading(level, bold),
            TagEnd::CodeBlock => self.code(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            TagEnd::Link => self.leads(),
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
            }
            TagEnd::Table => self.table(bold),
            _ => {}
        }
    }

    fn next_marker(&mut self) -> String {
        match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "- ".into(),
        }
    }

    fn paragraph(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        let depth = self.lists.len().saturating_sub(1) * 2;
        let marker = self.marker.take().unwrap_or_else(|| if self.lists.is_empty() { String::new() } else { "  ".into() });
        let (first, rest) = (" ".repeat(depth) + &marker, " ".repeat(depth + marker.len()));
        for (at, line) in wrapped(&text, self.width.saturating_sub(rest.len())).iter().enumerate() {
            self.out.extend([if at == 0 { &first } else { &rest }, line.as_str(), "\n"]);
        }
        if self.lists.is_empty() {
            self.out.push('\n');
        }
    }

    fn heading(&mut self, level: HeadingLevel, bold: &impl Fn(&str) -> String) {
        let text = std::mem::take(&mut self.text);
        self.out.extend([&bold(&text), "\n"]);
        if level <= HeadingLevel::H2 {
            let line = if level == HeadingLevel::H1 { "=" } else { "-" };
            self.out.extend([&line.repeat(text.width().min(self.width)), "\n"]);
        }
        self.out.push('\n');
    }

    /// Code keeps its lines, so that it can be pasted.
    fn code(&mut self) {
        let code = std::mem::take(&mut self.text);
        code.lines().for_each(|line| self.out.extend([if line.is_empty() { "" } else { "    " }, line, "\n"]));
        self.out.push('\n');
    }

    /// Says where a link leads: to a page, by the topic that shows it here.
    fn leads(&mut self) {
        let link = std::mem::take(&mut self.link);
        let page = link.strip_prefix("/docs/").map(|page| page.split('#').next().unwrap_or_default());
        match page {
            // A table has no room for it, and names its pages in another column.
            Some(_) if self.is_in_table => {}
            Some(page) => self.text.push_str(&format!(" (`hookwheel docs {page}`)")),
            None if link.starts_with('#') => {}
            None => self.text.push_str(&format!(" <{link}>")),
        }
    }

    fn table(&mut self, bold: &impl Fn(&str) -> String) {
        let rows = std::mem::take(&mut self.rows);
        self.is_in_table = false;
        let widths = widths(&rows, self.width);
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
                let shown = self.line(&cells, &widths, line);
                let shown = if at == 0 { bold(&shown) } else { shown };
                self.out.extend([&shown, "\n"]);
            }
        }
        self.out.push('\n');
    }

    fn line(&self, cells: &[Vec<String>], widths: &[usize], line: usize) -> String {
        let mut shown = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let text = cell.get(line).map_or("", String::as_str);
            shown.push_str(text);
            shown.extend(std::iter::repeat_n(' ', (width + GAP).saturating_sub(text.width())));
        }
        shown.trim_end().to_owned()
    }
}

/// The columns' widths: as wide as their longest cell, and where that is too much for a line, the widest ones share what the others leave.
fn widths(rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let longest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or_default();
    let mut widths: Vec<usize> = (0..columns).map(longest).collect();
    let room = width.saturating_sub(GAP * columns.saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > COLUMN_LEAST) else { break };
        *widest -= 1;
    }
    widths
}

/// The text in lines of at most `width` columns. A word that is longer has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one line at least");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.extend([" ", word]);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Spaces between two columns of a table.
const GAP: usize = 2;

/// A column is not made narrower than this.
const COLUMN_LEAST: usize = 12;

/// Lines are not made shorter than this.
const WIDTH_LEAST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        text(markdown, 40, str::to_owned)
    }

    #[test]
    fn paragraphs_are_wrapped_and_code_is_not() {
        let long = "words ".repeat(12);
        let page = shown(&format!("# Title\n\n{long}\n\n```sh\n{}\n```", "x".repeat(60)));
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[..2], ["Title", "====="]);
        assert_eq!(lines[3], "words words words words words words");
        assert_eq!(lines.last(), Some(&&*format!("    {}", "x".repeat(60))));
    }

    #[test]
    fn items_keep_their_marks_and_are_indented() {
        let page = shown("1. one\n2. two is long enough to need a second line\n\n- a\n- b");
        assert_eq!(page, "1. one\n2. two is long enough to need a second\n   line\n\n- a\n- b");
    }

    #[test]
    fn a_table_fits_the_width() {
        let page = shown("| call | does |\n|---|---|\n| `GET /a` | shows a thing that takes many words to explain |");
        let expected = "call      does\n`GET /a`  shows a thing that takes many\n          words to explain";
        assert_eq!(page, expected);
    }

    #[test]
    fn a_link_names_the_topic_that_it_leads_to() {
        assert_eq!(shown("See [keys](/docs/operate#keys)."), "See keys (`hookwheel docs operate`).");
        assert_eq!(shown("[Site](https://a.b)"), "Site <https://a.b>");
    }
}
