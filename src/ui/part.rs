//! The parts that pages are put together from: states, moments, code, banners, and links to further rows.

use std::time::Duration;

use maud::{Markup, html};

use super::icon::icon;
use super::text::{Outside, beginning};
use crate::domain::time::Timestamp;

/// A state by its shape, word and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Succeeded,
    Failed,
    Pending,
    Held,
    /// A webhook that is sent to and answers.
    Active,
    /// A webhook that is sent to, and whose newest attempt or deliveries failed.
    Failing,
    /// A webhook that failures disabled.
    DisabledByFailures,
    Disabled,
    /// A webhook that was taken out of the config file.
    Removed,
}

impl Mark {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Pending => "Pending",
            Self::Held => "Held",
            Self::Active => "Active",
            Self::Failing => "Failing",
            Self::DisabledByFailures | Self::Disabled => "Disabled",
            Self::Removed => "Removed",
        }
    }

    /// The class of its colour, and the name of its icon.
    pub(crate) fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Succeeded | Self::Active => ("ok", "ok"),
            Self::Failed => ("bad", "bad"),
            Self::Pending => ("wait", "wait"),
            Self::Held => ("hold", "hold"),
            Self::Failing => ("warn", "warn"),
            Self::DisabledByFailures => ("bad", "off"),
            Self::Disabled | Self::Removed => ("", "off"),
        }
    }
}

/// A state in a row.
pub(crate) fn state(mark: Mark) -> Markup {
    let (class, name) = mark.look();
    html! { span class={ "st " (class) } { (icon(name)) (mark.word()) } }
}

/// A state beside a heading.
pub(crate) fn pill(mark: Mark) -> Markup {
    let (class, name) = mark.look();
    html! { span class={ "st pill " (class) } { (icon(name)) (mark.word()) } }
}

/// How an attempt was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    None,
    /// The status of a response that was a success.
    Good(u16),
    /// The status of a response that was none.
    Bad(u16),
    /// The class of a failure that brought no response, as `timeout`.
    Error(&'a str),
}

impl<'a> Answer<'a> {
    /// The answer by the newest status and class of failure of a delivery.
    pub(crate) fn new(code: Option<u16>, error: Option<&'a str>) -> Self {
        match (code, error) {
            (None, None) => Self::None,
            (Some(code), None) => Self::Good(code),
            (Some(code), Some(STATUS)) => Self::Bad(code),
            (_, Some(error)) => Self::Error(error),
        }
    }
}

/// The class of a failure whose response was no success.
const STATUS: &str = "status";

/// An answer in a row.
pub(crate) fn answer(answer: Answer<'_>) -> Markup {
    match answer {
        Answer::None => html! { span class="muted" { "none yet" } },
        Answer::Good(code) => html! { span class="code-no" { (code) } },
        Answer::Bad(code) => html! { span class="code-no bad" { (code) } },
        Answer::Error(class) => html! { span class="code-no bad" { (class) } },
    }
}

/// A moment as it is from `now`, with the exact one when it is pointed at.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at.rfc3339_secs()) title=(at.utc_words()) { (from_now(at, now)) } }
}

/// `31 s ago`, `in 4 min`.
pub(crate) fn from_now(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", span(at.since(now))) } else { format!("{} ago", span(now.since(at))) }
}

/// A span of time in its largest unit, rounded down.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3_600 => format!("{} min", secs / 60),
        3_600..86_400 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// How long something took: `61 ms`, `10.0 s`.
pub(crate) fn took(milliseconds: u64) -> String {
    if milliseconds < 1_000 {
        return format!("{milliseconds} ms");
    }
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

/// A number with a comma between thousands.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `329 B`, `16.0 KiB`.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{}.{} KiB", count / 1_024, count % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", count / 1_048_576, count % 1_048_576 * 10 / 1_048_576),
    }
}

/// Something that somebody should know of, at the head of a page.
pub(crate) fn banner(class: &str, icon_name: &str, label: &str, content: &Markup) -> Markup {
    html! {
        div class={ "banner " (class) } role="region" aria-label=(label) { (icon(icon_name)) div { (content) } }
    }
}

/// A button that sends a form of its own with the session's token.
pub(crate) fn act(action: &str, csrf: &str, class: &str, content: &Markup) -> Markup {
    html! {
        form method="post" action=(action) { (token(csrf)) button class=(class) { (content) } }
    }
}

/// The field of a form that shows that the form is from a page of this session.
pub(crate) fn token(csrf: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(csrf); }
}

/// Code or data in a box of its own. `id` is its anchor.
pub(crate) fn code(id: &str, label: &str, content: &Markup) -> Markup {
    html! {
        figure class="code" {
            figcaption { b class="label" { (label) } }
            pre id=(id) class="wrap" tabindex="0" aria-label=(label) { (content) }
        }
    }
}

/// Headers as they were sent, one a line, up to [`HEADERS_BYTES_MAX`].
pub(crate) fn headers<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Markup {
    let begun = headers.scan(HEADERS_BYTES_MAX, |left, (name, value)| {
        let shown = (*left > 0).then(|| (beginning(name, *left).0, beginning(value, *left)))?;
        *left = left.saturating_sub(shown.0.len() + shown.1.0.len());
        Some(shown)
    });
    html! {
        @for (name, (value, cut)) in begun {
            span class="muted" { (Outside(name)) ":" } " " (Outside(value))
            @if cut > 0 { span class="muted" { "… " (bytes(cut)) " more" } }
            "\n"
        }
    }
}

/// A body, cut where it is long. `encoding` is set for a body that is no text, which is shown in base64.
pub(crate) fn body(text: &str, encoding: Option<&str>) -> Markup {
    let (shown, left) = beginning(text, BODY_BYTES_MAX);
    html! {
        @if text.is_empty() { span class="muted" { "empty" } }
        (Outside(shown))
        @if left > 0 { "\n" span class="muted" { "… " (bytes(left)) " more" } }
        @if let Some(encoding) = encoding { "\n" span class="muted" { "This is no text, and shown in " (encoding) "." } }
    }
}

/// How much of the headers of a request or response a page shows.
const HEADERS_BYTES_MAX: usize = 8 << 10;

/// How much of a body a page shows. The whole is in the answer of the API and of the command line.
const BODY_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp::from_secs(1_776_695_520);
        let at = |secs: u64| from_now(Timestamp::from_secs(secs), now);
        assert_eq!(at(1_776_695_520), "0 s ago");
        assert_eq!([at(1_776_695_461), at(1_776_695_460)], ["59 s ago", "1 min ago"]);
        assert_eq!([at(1_776_695_520 - 7_199), at(1_776_695_520 - 172_800)], ["1 h ago", "2 d ago"]);
        assert_eq!(at(1_776_695_551), "in 31 s");
        assert!(moment(now, now).0.contains("title=\"20 Apr 2026, 14:32:00 UTC\""), "{}", moment(now, now).0);
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 10_413, 1_234_567].map(number), ["0", "999", "1,000", "10,413", "1,234,567"]);
        assert_eq!([61, 999, 1_000, 10_049].map(took), ["61 ms", "999 ms", "1.0 s", "10.0 s"]);
        assert_eq!([329, 1_024, 1_536, 1 << 20].map(bytes), ["329 B", "1.0 KiB", "1.5 KiB", "1.0 MiB"]);
    }

    #[test]
    fn an_answer_is_a_status_or_the_class_of_a_failure() {
        assert_eq!(Answer::new(None, None), Answer::None);
        assert_eq!(Answer::new(Some(204), None), Answer::Good(204));
        assert_eq!(Answer::new(Some(503), Some("status")), Answer::Bad(503));
        assert_eq!(Answer::new(Some(503), Some("timeout")), Answer::Error("timeout"));
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut() {
        let shown = body(&"x".repeat(1 << 20), None).0;
        assert!(shown.len() < BODY_BYTES_MAX + 200 && shown.contains("more"), "{} bytes", shown.len());
    }

    #[test]
    fn nothing_in_headers_and_bodies_is_markup() {
        let shown = headers([("x-<b>", "\"><script>\u{202e}")].into_iter()).0 + &body("</pre><script>\u{9b}", Some("base64")).0;
        assert!(!shown.contains("<script>") && !shown.contains("</pre>") && !shown.contains("<b>"), "{shown}");
        assert!(!shown.contains(['\u{202e}', '\u{9b}']), "{shown}");
    }
}
