//! Text from outside as it stands on a page.

use std::borrow::Cow;

use maud::Render;

use crate::domain::text::plain::{is_command, plain};

/// Text that a publisher, a tenant or an endpoint wrote. Its markup is escaped like that of any text. Characters that turn around or
/// hide what stands beside them are shown as escapes, as in `\u{202e}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside<'a>(pub(crate) &'a str);

impl Render for Outside<'_> {
    fn render_to(&self, into: &mut String) {
        visible(self.0).as_ref().render_to(into);
    }
}

/// The beginning of a text from outside, at most so many bytes, and a mark where more follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut<'a>(pub(crate) &'a str, pub(crate) usize);

impl Render for Cut<'_> {
    fn render_to(&self, into: &mut String) {
        let (shown, left) = beginning(self.0, self.1);
        Outside(shown).render_to(into);
        if left > 0 {
            into.push('…');
        }
    }
}

/// How many bytes of a name or of a URL a row shows.
pub(crate) const NAME_BYTES_MAX: usize = 120;

/// The text with such characters as escapes. Line ends and tabs stay, without the carriage return of a line end.
fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|char| is_command(char) && !matches!(char, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(plain(&text.replace("\r\n", "\n")))
}

/// The beginning of a text, at most `most` bytes, at the border of a character, and how many bytes follow it.
pub(crate) fn beginning(text: &str, most: usize) -> (&str, usize) {
    let end = text.floor_char_boundary(most);
    (&text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Outside(text).render().0
    }

    #[test]
    fn markup_from_outside_is_text() {
        assert_eq!(shown("<script>alert(\"1\")</script>&amp;"), "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;");
    }

    #[test]
    fn nothing_from_outside_turns_the_page_around() {
        assert_eq!(shown("a\u{202e}b\u{1b}[31mc\u{0}\u{2066}"), "a\\u{202e}b\\u{1b}[31mc\\u{0}\\u{2066}");
        assert_eq!(shown("a\r\nb\tc"), "a\r\nb\tc".replace('\r', ""));
    }

    #[test]
    fn a_cut_text_says_that_more_follows() {
        assert_eq!([Cut("a<b", 2).render().0, Cut("a<b", 3).render().0], ["a&lt;…", "a&lt;b"]);
    }

    #[test]
    fn a_cut_text_ends_between_characters() {
        assert_eq!(beginning("aéb", 2), ("a", 3));
        assert_eq!(beginning("abc", 3), ("abc", 0));
    }
}
