//! Finds the known word that someone probably meant by an unknown one.

/// The known word nearest to `word`, if it is near enough to be a slip of the hand. Of two that are equally near it is the first.
///
/// Near means at most one edit in three characters. An insertion, a deletion, a replacement and a swap of neighbours are one edit
/// each; the case of letters and `-` for `_` are none. Among very many long words not all are compared.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = Folded::new(word);
    let (mut best, mut candidate, mut rows) = (None, Folded::default(), Rows::default());
    let mut cells_left = CELLS_MAX;
    for known in known {
        candidate.fold(known);
        let longer = word.letters.len().max(candidate.letters.len());
        let most = best.map_or(longer / 3, |(edits, _): (usize, _)| (longer / 3).min(edits.saturating_sub(1)));
        let is_apart = word.least_edits(&candidate) > most || best.is_some_and(|(edits, _)| edits == 0);
        if is_apart {
            continue;
        }
        cells_left = match cells_left.checked_sub(word.letters.len() * candidate.letters.len()) {
            Some(left) => left,
            None => break,
        };
        best = rows.distance(&word.letters, &candidate.letters, most).map(|edits| (edits, known)).or(best);
    }
    best.map(|(_, known)| known)
}

/// A word in the form in which words are compared.
#[derive(Default)]
struct Folded {
    letters: Vec<char>,
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
        let letters = word.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase);
        self.letters.clear();
        self.letters.extend(letters.map(|letter| if letter == '-' { '_' } else { letter }));
        self.set = self.letters.iter().fold(0, |set, letter| set | 1 << (u32::from(*letter) % u64::BITS));
    }

    /// A lower bound of the edits between two words: one for each letter too many, and one for each letter that the other word
    /// lacks.
    fn least_edits(&self, other: &Self) -> usize {
        let missing = |one: u64, other: u64| (one & !other).count_ones() as usize;
        let by_length = self.letters.len().abs_diff(other.letters.len());
        by_length.max(missing(self.set, other.set)).max(missing(other.set, self.set))
    }
}

/// Memory for the last three rows of a comparison, reused for the next one.
#[derive(Default)]
struct Rows([Vec<usize>; 3]);

impl Rows {
    /// The distance by optimal string alignment, which is Levenshtein's with a swap of neighbours as one edit. `None` when it is
    /// above `most`.
    fn distance(&mut self, a: &[char], b: &[char], most: usize) -> Option<usize> {
        let [before, above, row] = &mut self.0;
        above.clear();
        above.extend(0..=b.len());
        for i in 0..a.len() {
            row.clear();
            row.push(i + 1);
            for j in 0..b.len() {
                let replaced = above[j] + usize::from(a[i] != b[j]);
                let mut edits = replaced.min(above[j + 1] + 1).min(row[j] + 1);
                if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                    edits = edits.min(before[j - 1] + 1);
                }
                row.push(edits);
            }
            std::mem::swap(before, above);
            std::mem::swap(above, row);
            // Later rows come from these two, and edits only add up.
            if above.iter().chain(before.iter()).all(|edits| *edits > most) {
                return None;
            }
        }
        above.last().copied().filter(|edits| *edits <= most)
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
    fn swapped_neighbours_are_one_edit() {
        assert_eq!(distance("abcd", "abdc", 9), Some(1));
        assert_eq!(distance("kitten", "sitting", 9), Some(3));
        assert_eq!(distance("", "abc", 9), Some(3));
        assert_eq!((distance("kitten", "sitting", 3), distance("kitten", "sitting", 2)), (Some(3), None));
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
            let edits = distance(&a, &b, usize::MAX).unwrap();
            proptest::prop_assert!(Folded::new(&a).least_edits(&Folded::new(&b)) <= edits);
            let near = edits * 3 <= Folded::new(&a).letters.len().max(Folded::new(&b).letters.len());
            proptest::prop_assert_eq!(nearest(&a, [&*b]).is_some(), near);
        }
    }

    fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
        Rows::default().distance(&Folded::new(a).letters, &Folded::new(b).letters, most)
    }
}
