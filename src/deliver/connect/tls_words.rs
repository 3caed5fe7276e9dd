//! Explains TLS errors in words that people who run endpoints understand.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::domain::webhook::target::Host;

/// Explains why the handshake with `host` failed.
pub(in crate::deliver) fn of_handshake(host: &Host, error: &io::Error) -> String {
    match inner(error) {
        Some(Error::InvalidMessage(why)) if !is_oversized(why) => {
            format!("{host} does not speak TLS on this port (is it an http:// address?)")
        }
        Some(error) => explain(host, error),
        None => format!("{host} ended the connection during the TLS handshake"),
    }
}

/// Explains why reading from `host` failed after the handshake. `None` when the error is not one of TLS.
pub(in crate::deliver) fn of_stream(host: &Host, error: &io::Error) -> Option<String> {
    inner(error).map(|error| explain(host, error))
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn explain(host: &Host, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => format!("the certificate that {host} showed is refused: {}", certificate(why)),
        Error::AlertReceived(alert) => alert_from(host, *alert),
        Error::InvalidMessage(why) if is_oversized(why) => {
            format!("{host} sends more than 64 KiB in one message of the TLS handshake; mostly its certificate chain is too long")
        }
        Error::InvalidMessage(_) => format!("{host} sent what is not TLS over an encrypted connection"),
        Error::PeerIncompatible(why) => incompatible(host, why),
        Error::NoApplicationProtocol => format!("{host} does not speak HTTP/1.1 over TLS"),
        Error::NoCertificatesPresented => format!("{host} showed no certificate"),
        Error::PeerSentOversizedRecord => format!("{host} sent a TLS record that is larger than TLS allows"),
        Error::DecryptError => format!("what {host} sent cannot be decrypted"),
        Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            format!("{host} broke the rules of TLS")
        }
        _ => format!("the TLS connection with {host} failed"),
    }
}

fn is_oversized(why: &InvalidMessage) -> bool {
    use InvalidMessage::{CertificatePayloadTooLarge, HandshakePayloadTooLarge};
    matches!(why, CertificatePayloadTooLarge | HandshakePayloadTooLarge)
}

fn incompatible(host: &Host, why: &PeerIncompatible) -> String {
    use PeerIncompatible::{
        NoCipherSuitesInCommon, NoKxGroupsInCommon, NoSignatureSchemesInCommon, ServerDoesNotSupportTls12Or13,
    };
    match why {
        ServerDoesNotSupportTls12Or13 => format!("{host} speaks no newer TLS than 1.1; 1.2 and 1.3 are accepted"),
        NoCipherSuitesInCommon | NoKxGroupsInCommon | NoSignatureSchemesInCommon => {
            format!("{host} and this relay have no cipher in common")
        }
        _ => format!("{host} demands something of TLS that this relay does not have"),
    }
}

/// Explains the alert with which the endpoint ended TLS (RFC 8446 section 6.2).
fn alert_from(host: &Host, alert: AlertDescription) -> String {
    use AlertDescription::*;
    match alert {
        CertificateRequired | NoCertificate => format!("{host}: the endpoint demands a client certificate"),
        BadCertificate | UnsupportedCertificate | CertificateRevoked | CertificateExpired | CertificateUnknown | UnknownCA => {
            format!("{host}: the endpoint demands a client certificate that it trusts")
        }
        HandshakeFailure => {
            format!("{host} refused the TLS handshake: it has no cipher in common, or demands a client certificate")
        }
        ProtocolVersion => format!("{host} speaks neither TLS 1.2 nor 1.3"),
        InsufficientSecurity => format!("{host} demands a stronger cipher than this relay has"),
        UnrecognisedName => format!("{host} has no TLS for this name (SNI)"),
        AccessDenied => format!("{host} denied access by TLS"),
        NoApplicationProtocol => format!("{host} does not speak HTTP/1.1 over TLS"),
        InternalError => format!("{host} reported an internal error of its TLS"),
        CloseNotify | UserCanceled => format!("{host} ended TLS before it answered"),
        BadRecordMac | DecryptionFailed | DecryptError | DecodeError | RecordOverflow | IllegalParameter | UnexpectedMessage => {
            format!("{host} could not read what this relay sent over TLS")
        }
        other => format!("{host} ended TLS with alert {}", u8::from(other)),
    }
}

/// Explains what is wrong with a certificate, so that its owner can act on it.
fn certificate(why: &CertificateError) -> String {
    use CertificateError::*;
    let text = match why {
        BadEncoding => "it cannot be read",
        Expired | ExpiredContext { .. } => "it has expired",
        NotValidYet | NotValidYetContext { .. } => "it is not valid yet",
        Revoked => "it was revoked",
        UnhandledCriticalExtension => "it has a critical extension that this relay does not know",
        NotValidForNameContext { presented, .. } if presented.is_empty() => "it names no host (a common name does not count)",
        NotValidForNameContext { presented, .. } => return format!("it is for {}", names(presented)),
        NotValidForName => "it is for another host",
        UnknownIssuer => "its issuer is not trusted, or the server does not send an intermediate certificate",
        BadSignature => "its signature is not its issuer's",
        InvalidPurpose | InvalidPurposeContext { .. } => "it is not for servers",
        UnsupportedSignatureAlgorithmContext { .. } | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed by an algorithm or a key that is too weak or not known, such as SHA-1"
        }
        Other(other) => other.0.downcast_ref::<webpki::Error>().map_or("it is not for servers", chain),
        _ => "it does not fit the rules for certificates",
    };
    text.to_owned()
}

/// Explains errors about the chain of a certificate that [`certificate`] does not know.
fn chain(why: &webpki::Error) -> &'static str {
    use webpki::Error::*;
    match why {
        CaUsedAsEndEntity => "it is an authority's certificate and not a server's; if it is meant, name it by ca_file",
        EndEntityUsedAsCa => "its issuer is no authority, so it may not issue certificates",
        NameConstraintViolation | MalformedNameConstraint | InvalidNetworkMaskConstraint => {
            "its issuer may not issue for this host"
        }
        PathLenConstraintViolated => "its chain is longer than an authority in it allows",
        UnsupportedCertVersion => "it is older than X.509 version 3, so it names no host",
        CertRevoked | CertDistrusted => "it was revoked",
        MaximumPathDepthExceeded
        | MaximumPathBuildCallsExceeded
        | MaximumSignatureChecksExceeded
        | MaximumNameConstraintComparisonsExceeded => "its chain is too long",
        EmptyEkuExtension => "it is not for servers",
        _ => "it cannot be read",
    }
}

/// The names that a certificate presents, as they stand in it: `DnsName("a.test")` becomes `a.test`.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inside.trim_matches('"').to_owned()
    };
    let shown: Vec<_> = presented.iter().take(NAMES_SHOWN_MAX).map(plain).collect();
    let more = if presented.len() > shown.len() { " and others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// How many names of a certificate are listed.
const NAMES_SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{OtherError, PeerMisbehaved};

    use super::*;

    fn host() -> Host {
        Host::Domain("hook.test".into())
    }

    fn said(error: Error) -> String {
        explain(&host(), &error)
    }

    fn webpki_error(error: webpki::Error) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
    }

    /// Whether a text is free of a library's variant names: no word has two capital letters in it, and there are no brackets of a
    /// debug form.
    fn is_plain(text: &str) -> bool {
        let is_camel = |word: &str| {
            let letters = word.trim_matches(|c: char| !c.is_ascii_alphabetic());
            letters.len() > 4
                && letters.bytes().skip(1).any(|b| b.is_ascii_uppercase())
                && letters.bytes().any(|b| b.is_ascii_lowercase())
        };
        let text = text.replace("ca_file", "");
        !text.contains(['{', '}', '"', '_']) && !text.split(' ').any(is_camel)
    }

    #[test]
    fn every_alert_is_told_in_plain_words() {
        for code in 0..=u8::MAX {
            let text = said(Error::AlertReceived(AlertDescription::from(code)));
            assert!(is_plain(&text) && text.starts_with("hook.test"), "{code}: {text}");
        }
        assert_eq!(
            said(Error::AlertReceived(AlertDescription::CertificateRequired)),
            "hook.test: the endpoint demands a client certificate"
        );
        assert_eq!(said(Error::AlertReceived(AlertDescription::Unknown(200))), "hook.test ended TLS with alert 200");
    }

    #[test]
    fn certificates_are_refused_in_plain_words() {
        let presented =
            vec!["DnsName(\"a.test\")".to_owned(), "DnsName(\"*.b.test\")".to_owned(), "IpAddress(10.0.0.1)".to_owned()];
        let expected = rustls::pki_types::ServerName::try_from("hook.test").unwrap();
        let name = NotValidForNameContext { expected, presented };
        assert!(said(Error::InvalidCertificate(name)).ends_with("refused: it is for a.test, *.b.test, 10.0.0.1"));
        use CertificateError::*;
        for why in [
            BadEncoding,
            Expired,
            NotValidYet,
            Revoked,
            UnhandledCriticalExtension,
            UnknownIssuer,
            BadSignature,
            NotValidForName,
            InvalidPurpose,
            UnknownRevocationStatus,
            ApplicationVerificationFailure,
        ] {
            let text = said(Error::InvalidCertificate(why.clone()));
            assert!(is_plain(&text), "{why:?}: {text}");
        }
        use webpki::Error as Chain;
        for why in [
            Chain::CaUsedAsEndEntity,
            Chain::EndEntityUsedAsCa,
            Chain::UnsupportedCertVersion,
            Chain::NameConstraintViolation,
            Chain::PathLenConstraintViolated,
            Chain::MaximumPathDepthExceeded,
            Chain::BadDer,
            Chain::ExtensionValueInvalid,
        ] {
            let text = said(webpki_error(why.clone()));
            assert!(is_plain(&text), "{why:?}: {text}");
        }
    }

    #[test]
    fn other_tls_errors_are_told_in_plain_words() {
        for error in [
            Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerIncompatible(PeerIncompatible::NullCompressionRequired),
            Error::PeerMisbehaved(PeerMisbehaved::BadCertChainExtensions),
            Error::NoApplicationProtocol,
            Error::DecryptError,
            Error::PeerSentOversizedRecord,
            Error::General("UnexpectedInnerThing".to_owned()),
        ] {
            let text = said(error.clone());
            assert!(is_plain(&text) && text.contains("hook.test"), "{error:?}: {text}");
        }
    }
}
