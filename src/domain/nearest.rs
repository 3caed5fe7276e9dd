//! Which known word was meant by one that is unknown.

/// The known word nearest to `word`, if it is near enough to be a slip of the hand.
///
/// Near is one edit in three characters: insertions, deletions, replacements and swapped neighbours count one each, and the
/// case of letters and `-` for `_` count nothing.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let judged = known.into_iter().map(|candidate| (distance(&word, &folded(candidate)), candidate));
    let (edits, best) = judged.min_by_key(|(edits, _)| *edits)?;
    let longer = word.len().max(best.chars().count());
    (edits * 3 <= longer).then_some(best)
}

fn folded(word: &str) -> Vec<char> {
    // Whoever writes a novel as a key gets no suggestion; the distance is quadratic.
    let letters = word.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase);
    letters.map(|letter| if letter == '-' { '_' } else { letter }).collect()
}

/// Optimal string alignment: Levenshtein's distance with swapped neighbours as one edit.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = above[j] + usize::from(a[i] != b[j]);
            let mut edits = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                let swapped: usize = before[j - 1];
                edits = edits.min(swapped + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

/// Longer than any key, dialect or event type that is worth a guess, in characters.
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
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("abcd"), &letters("abdc")), 1);
        assert_eq!(distance(&letters("kitten"), &letters("sitting")), 3);
        assert_eq!(distance(&letters(""), &letters("abc")), 3);
    }
}
