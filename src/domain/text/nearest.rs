//! Finds the known word that someone probably meant by an unknown one.

/// The known word nearest to `word`, if it is near enough to be a slip of the hand. Of two that are equally near it is the first.
///
/// Near means at most one edit in three characters. An insertion, a deletion, a replacement and a swap of neighbours are one edit
/// each; the case of letters and `-` for `_` are none. Among very many long words not all are compared.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = Folded::new(word);
    let (mut best, mut candidate) = (None, Folded::default());
    let mut cells_left = CELLS_MAX;
    for known in known {
        candidate.fold(known);
        let longer = word.count.max(candidate.count);
        let most = best.map_or(longer / 3, |(edits, _): (usize, _)| (longer / 3).min(edits.saturating_sub(1)));
        let is_apart = word.least_edits(&candidate) > most || best.is_some_and(|(edits, _)| edits == 0);
        if is_apart {
            continue;
        }
        cells_left = match cells_left.checked_sub(word.count * candidate.count) {
            Some(left) => left,
            None => break,
        };
        best = Some((word.edits(&candidate), known)).filter(|(edits, _)| *edits <= most).or(best);
    }
    best.map(|(_, known)| known)
}

/// A word in the form in which words are compared.
#[derive(Default)]
struct Folded {
    letters: String,
    count: usize,
    /// The set of the word's letters, one bit for each letter; several letters share a bit.
    set: u64,
}

impl Folded {
    fn new(word: &str) -> Self {
        let mut folded = Self::default();
        folded.fold(word);
        folded
    }

    /// Becomes the folded form of `word`. Only its first [`WORD_CHARS_MAX`] characters count, since the cost of the distance is
    /// quadratic.
    fn fold(&mut self, word: &str) {
        *self = Self { letters: std::mem::take(&mut self.letters), ..Self::default() };
        self.letters.clear();
        for letter in word.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase) {
            let letter = if letter == '-' { '_' } else { letter };
            self.letters.push(letter);
            self.count += 1;
            self.set |= 1 << (u32::from(letter) % u64::BITS);
        }
    }

    /// A lower bound of the edits between two words: one for each letter too many, and one for each letter that the other word
    /// lacks.
    fn least_edits(&self, other: &Self) -> usize {
        let missing = |one: u64, other: u64| (one & !other).count_ones() as usize;
        let by_length = self.count.abs_diff(other.count);
        by_length.max(missing(self.set, other.set)).max(missing(other.set, self.set))
    }

    /// The edits between two words by optimal string alignment, which is Levenshtein's distance with a swap of neighbours as one
    /// edit.
    fn edits(&self, other: &Self) -> usize {
        strsim::osa_distance(&self.letters, &other.letters)
    }
}

/// The most pairs of letters that are compared: half a millisecond's work, or a thousand words of twenty letters.
const CELLS_MAX: usize = 1 << 18;

/// How many characters of a word are compared. No key, dialect or event type worth a guess is longer.
const WORD_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_its_word() {
        let known = ["timeout", "retention", "in_flight", "in_flight_per_endpoint"];
        for (typed, meant) in [
            ("timout", "timeout"),
            ("tiemout", "timeout"),
            ("Retention", "retention"),
            ("retenton", "retention"),
            ("in-flight", "in_flight"),
            ("in_fligth_per_endpoint", "in_flight_per_endpoint"),
        ] {
            assert_eq!(nearest(typed, known), Some(meant), "{typed}");
        }
    }

    #[test]
    fn another_word_finds_nothing() {
        assert_eq!(nearest("colour", ["timeout", "retention"]), None);
        assert_eq!(nearest("", ["timeout"]), None);
        assert_eq!(nearest("timeout", []), None);
    }

    #[test]
    fn the_nearest_of_several_words_is_found() {
        assert_eq!(nearest("order.piad", ["order.paid.late", "order.pad", "order.paid", "order.said"]), Some("order.pad"));
        assert_eq!(nearest("order.paid", ["order.said", "ORDER.PAID", "order.paid"]), Some("ORDER.PAID"));
    }

    #[test]
    fn not_all_of_very_many_words_are_compared() {
        let (word, alike) = ("a".repeat(20) + "b".repeat(20).as_str(), "b".repeat(20) + "a".repeat(20).as_str());
        let known = |alikes: usize, last| std::iter::repeat_n(&*alike, alikes).chain([last]);
        assert_eq!(nearest(&word, known(100, &word)), Some(&*word));
        assert_eq!(nearest(&word, known(1_000, &word)), None, "it is too far behind");
        assert_eq!(nearest("x", known(1_000, "X")), Some("X"), "what is surely far costs nothing");
    }

    proptest::proptest! {
        #[test]
        fn the_lower_bound_of_edits_is_never_too_high(a in "[a-cA_.é-]{0,9}", b in "[a-cA_.é-]{0,9}") {
            let (one, other) = (Folded::new(&a), Folded::new(&b));
            proptest::prop_assert!(one.least_edits(&other) <= one.edits(&other));
            let near = one.edits(&other) * 3 <= one.count.max(other.count);
            proptest::prop_assert_eq!(nearest(&a, [&*b]).is_some(), near);
        }
    }
}
