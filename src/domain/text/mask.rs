//! Secret text as it is shown: its beginning and its length, as in `Bea…(41)`.

/// Masks a value as `Bea…(41)`. Of a short value nothing is shown. The number is the value's length in bytes.
pub(crate) fn mask(value: &str) -> String {
    let shown = if value.len() < SHOWN_OF_MIN { "" } else { &value[..value.floor_char_boundary(SHOWN_BYTES)] };
    format!("{shown}{CUT}{})", value.len())
}

/// Whether a text has the form of a masked value. Somebody who sends such a text has read it in an answer, and does not mean it as
/// the value itself.
pub(crate) fn is_mask(text: &str) -> bool {
    let length = text.strip_suffix(')').and_then(|text| text.split_once(CUT));
    length.is_some_and(|(shown, length)| {
        shown.len() <= SHOWN_BYTES && !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// What stands between the beginning of a masked value and its length.
const CUT: &str = "…(";

/// How many bytes of a masked value are shown: enough to tell `Bearer` from `Basic`.
const SHOWN_BYTES: usize = 3;

/// The least length of a value of which a part is shown. In a shorter one that part would give away too much.
const SHOWN_OF_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_masked_value_is_known_as_masked(value in "\\PC{0,40}") {
            prop_assert!(is_mask(&mask(&value)));
        }
    }

    #[test]
    fn a_masked_value_shows_its_beginning_and_its_length() {
        assert_eq!([mask("Bearer 0123456789"), mask("abc"), mask("")], ["Bea…(17)", "…(3)", "…(0)"]);
    }

    #[test]
    fn other_text_is_not_taken_for_a_masked_value() {
        for text in ["", "Bearer 0123456789", "…", "…()", "…(1", "…(1a)", "Bear…(17)", "Bea...(17)"] {
            assert!(!is_mask(text), "{text}");
        }
    }
}
