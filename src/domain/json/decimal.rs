//! Decimal numbers, as they are written in JSON, compared without rounding.

use std::cmp::Ordering;

/// A number of a scanned text. Two numbers are equal when their values are: `1`, `1.0` and `10e-1` are, and so are `-0` and `0`.
///
/// The order is exact if one of the two has an exponent of at most [`EXPONENT_MAX`] in size. An exponent that does not fit 64
/// bits counts as the nearest that does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    is_negative: bool,
    /// The power of ten of the first digit.
    magnitude: i64,
    /// The digits before the point, beginning with the first and ending with the last that is not zero; `fraction` has those
    /// behind it. Both are empty for zero.
    whole: &'a [u8],
    fraction: &'a [u8],
}

/// The largest size of an exponent in a number that is kept for comparisons.
pub(crate) const EXPONENT_MAX: u64 = 999_999_999;

impl<'a> Decimal<'a> {
    /// Reads a number that a scanner has accepted. It takes time by the length of the text, and no memory.
    pub(crate) fn new(raw: &'a str) -> Self {
        let (mantissa, exponent) = halves(raw, |byte| byte == b'e' || byte == b'E');
        let is_negative = mantissa.first() == Some(&b'-');
        let (whole, fraction) = halves_of(&mantissa[usize::from(is_negative)..], |byte| byte == b'.');
        Self { is_negative, magnitude: power(exponent), whole, fraction }.stripped()
    }

    /// A number from its digits, without a point and without zeros at either end.
    fn of_digits(is_negative: bool, magnitude: i64, digits: &'a [u8]) -> Self {
        Self { is_negative, magnitude, whole: digits, fraction: &[] }
    }

    /// Removes zeros before the first and behind the last digit. `magnitude` is the written exponent before, and the power of the
    /// first digit after.
    fn stripped(self) -> Self {
        let whole = without_leading(self.whole);
        let fraction = if whole.is_empty() { without_leading(self.fraction) } else { self.fraction };
        let behind_point = self.fraction.len() - fraction.len();
        let shift = if whole.is_empty() { -1 - signed(behind_point) } else { signed(whole.len()) - 1 };
        let fraction = without_trailing(fraction);
        let whole = if fraction.is_empty() { without_trailing(whole) } else { whole };
        let is_zero = whole.is_empty() && fraction.is_empty();
        if is_zero {
            return Self::of_digits(false, 0, &[]);
        }
        Self { is_negative: self.is_negative, magnitude: self.magnitude.saturating_add(shift), whole, fraction }
    }

    /// The sign: -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.whole.is_empty() && self.fraction.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// Compares how far two numbers are from zero.
    fn size(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| self.digits().cmp(other.digits()))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = || if self.is_negative { other.size(self) } else { self.size(other) };
        self.sign().cmp(&other.sign()).then_with(by_size)
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

/// A number that is kept to be compared with many others.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    is_negative: bool,
    magnitude: i64,
    digits: Box<[u8]>,
}

impl Number {
    /// Keeps a number that a scanner has accepted. `None` when its exponent is above [`EXPONENT_MAX`] in size.
    pub(crate) fn new(raw: &str) -> Option<Self> {
        let (_, exponent) = halves(raw, |byte| byte == b'e' || byte == b'E');
        let read = Decimal::new(raw);
        let is_comparable = power(exponent).unsigned_abs() <= EXPONENT_MAX;
        is_comparable.then(|| Self { is_negative: read.is_negative, magnitude: read.magnitude, digits: read.digits().collect() })
    }

    pub(crate) fn decimal(&self) -> Decimal<'_> {
        Decimal::of_digits(self.is_negative, self.magnitude, &self.digits)
    }
}

fn halves(raw: &str, is_border: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    halves_of(raw.as_bytes(), is_border)
}

/// The bytes before and behind the first border. Without a border all bytes are before it.
fn halves_of(bytes: &[u8], is_border: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    match bytes.iter().position(|&byte| is_border(byte)) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// The value of an exponent's text. It is 0 when the text is empty.
fn power(text: &[u8]) -> i64 {
    let is_negative = text.first() == Some(&b'-');
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let size = digits.fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if is_negative { -size } else { size }
}

fn without_leading(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    &digits[zeros..]
}

fn without_trailing(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    &digits[..digits.len() - zeros]
}

/// A length as a signed number. No length comes near the bound of an `i64`.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compared(a: &str, b: &str) -> Ordering {
        let kept = Number::new(b).expect("a small exponent");
        let (read, other) = (Decimal::new(a), Decimal::new(b));
        assert_eq!(read.cmp(&other), read.cmp(&kept.decimal()), "{a} {b}");
        assert_eq!(read.cmp(&other), other.cmp(&read).reverse(), "{a} {b}");
        read.cmp(&other)
    }

    #[test]
    fn one_value_has_many_spellings() {
        for all in [
            &["0", "-0", "0.000", "0e99", "-0.0E-7"][..],
            &["1", "1.0", "10e-1", "0.1e1", "0.00001E+5", "100e-2"],
            &["-1200", "-1.2e3", "-0.0012E6", "-12000.00e-1"],
            &["9007199254740993", "9007199254740993.0", "900719925474099.3e1"],
        ] {
            for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
                assert_eq!(compared(a, b), Ordering::Equal, "{a} {b}");
            }
        }
    }

    #[test]
    fn digits_that_a_double_would_round_away_count() {
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.1000000000000000000000000000001"),
            ("-1.0000000000000000000000001", "-1"),
            ("1e400", "1.1e400"),
            ("1e-500", "2e-500"),
            ("-2e-500", "-1e-500"),
            ("-1", "0"),
            ("0", "1e-900"),
            ("99", "100"),
            ("0.099", "0.1"),
        ] {
            assert_eq!(compared(less, more), Ordering::Less, "{less} {more}");
        }
    }

    #[test]
    fn an_exponent_beyond_64_bits_exceeds_any_kept_number() {
        let huge = format!("1e{}", "9".repeat(100));
        let tiny = format!("1e-{}", "9".repeat(100));
        let (most, least) = (Number::new("9e999999999").expect("kept"), Number::new("1e-999999999").expect("kept"));
        assert!(Decimal::new(&huge) > most.decimal() && Decimal::new(&tiny) < least.decimal());
        assert!(Number::new(&huge).is_none() && Number::new(&tiny).is_none() && Number::new("1e1000000000").is_none());
    }

    proptest! {
        #[test]
        fn decimals_compare_as_whole_numbers_of_the_smallest_unit_do(
            (a, b) in (-10_000_i64..10_000, -10_000_i64..10_000),
            (places_a, places_b) in (0_u32..6, 0_u32..6),
        ) {
            let scaled = |value: i64, places: u32| i128::from(value) * 10_i128.pow(6 - places);
            let expected = scaled(a, places_a).cmp(&scaled(b, places_b));
            prop_assert_eq!(compared(&format!("{a}e-{places_a}"), &format!("{b}E-{places_b}")), expected);
            prop_assert_eq!(compared(&pointed(a, places_a), &pointed(b, places_b)), expected);
        }
    }

    /// `value` with so many of its digits behind the point.
    fn pointed(value: i64, places: u32) -> String {
        let unit = 10_u64.pow(places);
        let size = value.unsigned_abs();
        let sign = if value < 0 { "-" } else { "" };
        if places == 0 {
            format!("{sign}{size}")
        } else {
            format!("{sign}{}.{:0width$}", size / unit, size % unit, width = places as usize)
        }
    }
}
