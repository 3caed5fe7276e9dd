//! Finds out where the body of a response ends (RFC 9112 section 6.3). Pure.

use crate::domain::headers::Headers;

/// How the end of a body is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Framing {
    /// There is no body.
    Empty,
    /// The body has so many bytes.
    Length(u64),
    Chunked,
    /// The body ends when the endpoint closes the connection.
    UntilClose,
    /// Two readers could find different ends. Only what came with the head is kept, and nothing more is waited for.
    Unclear(&'static str),
    /// The body is chunked, but beside it stands a header that a careful sender does not send. The chunks are read, but their end
    /// is not waited for.
    OddlyChunked(&'static str),
}

impl Framing {
    pub(in crate::deliver) fn from_head(status: u16, headers: &Headers) -> Self {
        if matches!(status, SWITCHING_PROTOCOLS | NO_CONTENT | NOT_MODIFIED) {
            return Self::Empty;
        }
        let has_length = headers.get("content-length").is_some();
        match Codings::parse(headers) {
            Codings::None => length(headers),
            Codings::Chunked if has_length => {
                Self::OddlyChunked("the response has both a content-length and a transfer-encoding")
            }
            Codings::Chunked => Self::Chunked,
            Codings::OthersThenChunked => Self::OddlyChunked("the response has a transfer-encoding besides chunked"),
            Codings::Others => Self::Unclear("the response's transfer-encoding is not chunked, so its end is not known"),
        }
    }

    /// Whether every reader finds the same end, so that the bytes behind it belong to the next exchange.
    pub(in crate::deliver) fn is_certain(&self) -> bool {
        matches!(self, Self::Empty | Self::Length(_) | Self::Chunked)
    }

    /// What is wrong with the framing, if anything is.
    pub(in crate::deliver) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Unclear(fault) | Self::OddlyChunked(fault) => Some(fault),
            _ => None,
        }
    }
}

/// The transfer codings of a response.
enum Codings {
    None,
    Chunked,
    OthersThenChunked,
    Others,
}

impl Codings {
    fn parse(headers: &Headers) -> Self {
        let lines = headers.iter().filter(|(name, _)| *name == "transfer-encoding");
        let mut codings = lines.flat_map(|(_, value)| value.split(',')).map(|coding| coding.trim_matches([' ', '\t']));
        let Some(first) = codings.next() else { return Self::None };
        match codings.last() {
            None if is_chunked(first) => Self::Chunked,
            Some(last) if is_chunked(last) => Self::OthersThenChunked,
            _ => Self::Others,
        }
    }
}

fn is_chunked(coding: &str) -> bool {
    coding.eq_ignore_ascii_case("chunked")
}

fn length(headers: &Headers) -> Framing {
    let mut lines = headers.iter().filter(|(name, _)| *name == "content-length").map(|(_, value)| value);
    match (lines.next(), lines.next()) {
        (None, _) => Framing::UntilClose,
        (Some(value), None) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
            value.parse().map_or(Framing::Unclear("the response's content-length is too large a number"), Framing::Length)
        }
        (Some(_), None) => Framing::Unclear("the response's content-length is not a number"),
        (Some(_), Some(_)) => Framing::Unclear("the response has more than one content-length"),
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;
const NO_CONTENT: u16 = 204;
const NOT_MODIFIED: u16 = 304;

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(status: u16, headers: &[(&str, &str)]) -> Framing {
        Framing::from_head(status, &headers.iter().copied().collect())
    }

    const LENGTH: &str = "content-length";
    const CODING: &str = "transfer-encoding";

    #[test]
    fn plain_framings_are_certain() {
        for (headers, expected) in [
            (&[(LENGTH, "7")][..], Framing::Length(7)),
            (&[(CODING, "chunked")], Framing::Chunked),
            (&[(CODING, " Chunked ")], Framing::Chunked),
        ] {
            let framing = framing(200, headers);
            assert!(framing.is_certain() && framing.fault().is_none(), "{headers:?}");
            assert_eq!(framing, expected);
        }
        assert_eq!(framing(200, &[]), Framing::UntilClose);
        for status in [204, 304, 101] {
            assert_eq!(framing(status, &[(LENGTH, "7")]), Framing::Empty);
        }
    }

    #[test]
    fn an_ambiguous_framing_is_never_certain() {
        for headers in [
            &[(LENGTH, "x")][..],
            &[(LENGTH, "-1")],
            &[(LENGTH, "+2")],
            &[(LENGTH, "2, 2")],
            &[(LENGTH, "")],
            &[(LENGTH, "99999999999999999999999")],
            &[(LENGTH, "2"), (LENGTH, "2")],
            &[(LENGTH, "2"), (CODING, "chunked")],
            &[(CODING, "chunked"), (CODING, "chunked")],
            &[(CODING, "gzip, chunked")],
            &[(CODING, "chunked, gzip")],
            &[(CODING, "xchunked")],
            &[(CODING, "identity")],
            &[(CODING, "")],
        ] {
            let framing = framing(200, headers);
            assert!(!framing.is_certain() && framing.fault().is_some(), "{headers:?}: {framing:?}");
        }
    }
}
