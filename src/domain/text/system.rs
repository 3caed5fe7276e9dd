//! What the operating system says of a failure, in words for a person.

use std::io;

/// The cause without the system's number, beginning in lower case: it goes on from what failed.
pub(crate) fn words(cause: &io::Error) -> String {
    let text = cause.to_string();
    let number = cause.raw_os_error().map(|number| format!(" (os error {number})"));
    let text = number.and_then(|number| text.strip_suffix(&number).map(str::to_owned)).unwrap_or(text);
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // `I/O error` stays as it is.
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_no_number_and_goes_on_from_what_failed() {
        assert_eq!(words(&io::Error::from_raw_os_error(98)), "address already in use");
        assert_eq!(words(&io::Error::other("it is gone")), "it is gone");
        assert_eq!(words(&io::Error::other("I/O error")), "I/O error");
    }
}
