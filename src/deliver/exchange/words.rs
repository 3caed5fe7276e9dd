//! The texts of failures that a delivery log shows when a connection ends too early.

use std::io;

use crate::deliver::connect::tls_words;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::target::Host;

/// How much of a response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::deliver) enum Place {
    Before,
    Head,
    Body,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Before => "before a response",
            Self::Head => "in the response's headers",
            Self::Body => "in the response's body",
        }
    }

    /// Says which part of the response had not come at the deadline.
    pub(in crate::deliver) fn missing(self) -> &'static str {
        match self {
            Self::Before => "the endpoint did not answer",
            Self::Head => "the response's headers did not all come",
            Self::Body => "the response's body did not end",
        }
    }
}

/// The failure when the endpoint has closed the connection.
pub(in crate::deliver) fn closed(place: Place) -> Failure {
    Failure::new(Class::Reset, format!("the endpoint closed the connection {}", place.name()))
}

/// The failure when reading from the connection failed.
pub(in crate::deliver) fn broken(error: &io::Error, host: &Host, place: Place) -> Failure {
    match tls_words::of_stream(host, error) {
        Some(text) => Failure::new(Class::Tls, text),
        None if error.kind() == io::ErrorKind::UnexpectedEof => closed(place),
        None => Failure::new(Class::Reset, format!("the endpoint reset the connection {}", place.name())),
    }
}
