//! What a delivery log says when a connection ends at the wrong moment.

use std::io;

use crate::deliver::connect::tls_words;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::target::Host;

/// How far a response had come.
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

    /// What had not come at the deadline.
    pub(in crate::deliver) fn missing(self) -> &'static str {
        match self {
            Self::Before => "the endpoint did not answer",
            Self::Head => "the response's headers did not all come",
            Self::Body => "the response's body did not end",
        }
    }
}

/// The endpoint closed the connection.
pub(in crate::deliver) fn closed(place: Place) -> Failure {
    Failure::new(Class::Reset, format!("the endpoint closed the connection {}", place.name()))
}

/// Reading failed.
pub(in crate::deliver) fn broken(error: &io::Error, host: &Host, place: Place) -> Failure {
    match tls_words::of_stream(host, error) {
        Some(text) => Failure::new(Class::Tls, text),
        None if error.kind() == io::ErrorKind::UnexpectedEof => closed(place),
        None => Failure::new(Class::Reset, format!("the endpoint reset the connection {}", place.name())),
    }
}
