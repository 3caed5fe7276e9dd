//! Warnings about a config that is valid and may still harm. `check`, the start and `status` tell them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use x509_parser::parse_x509_certificate;

use super::checked::{Config, Tls};
use crate::domain::time::Timestamp;

/// The facts of a config that may make a warning. Whether they do depends on the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dangers {
    http: bool,
    /// Networks in `allow_private` that cover all addresses of IPv4 or of IPv6.
    everywhere: Vec<IpNet>,
    /// The address of a listener without TLS that is not loopback.
    in_the_clear: Option<SocketAddr>,
    certificate: Option<Validity>,
    /// The files of the config that hold credentials and that everyone can read.
    exposed: Vec<PathBuf>,
}

/// The time from which and until which a certificate is valid (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    from: Timestamp,
    until: Timestamp,
}

impl Dangers {
    pub(crate) fn of(config: &Config) -> Self {
        let (listen, tls) = (config.server.listen, config.server.tls.as_ref());
        Self {
            http: config.delivery.danger_allow_http,
            everywhere: config.delivery.allow_private.iter().filter(|net| net.prefix_len() == 0).copied().collect(),
            in_the_clear: (tls.is_none() && !listen.ip().is_loopback()).then_some(listen),
            certificate: tls.and_then(validity),
            exposed: config.exposed.clone(),
        }
    }

    /// The warnings at this time, one sentence each.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<String> {
        let http = "[delivery] danger_allow_http lets deliveries go out unencrypted where a dialect wants https".to_owned();
        let net = |net: &IpNet| format!("[delivery] allow_private = {net} opens every private address to every webhook");
        let listen =
            |listen| format!("[server] listen = {listen} takes keys and events in the clear: it has no tls_cert and tls_key");
        let exposed = |file: &PathBuf| {
            let file = file.display();
            format!(
                "{file} holds headers or credentials of webhooks and everyone can read it: chmod 0640 {file}, or name a file by {{ file = \"PATH\" }}"
            )
        };
        let mut warnings: Vec<String> = self.http.then_some(http).into_iter().collect();
        warnings.extend(self.everywhere.iter().map(net));
        warnings.extend(self.in_the_clear.map(listen));
        warnings.extend(self.certificate.and_then(|validity| validity.warning(now)));
        warnings.extend(self.exposed.iter().map(exposed));
        warnings
    }
}

impl Validity {
    fn warning(self, now: Timestamp) -> Option<String> {
        let day = |time: Timestamp| time.rfc3339_secs();
        if now < self.from {
            return Some(format!("[server] the certificate in tls_cert is valid from {} on, and not yet", day(self.from)));
        }
        let left = self.until.since(now);
        match left {
            Duration::ZERO => {
                Some(format!("[server] the certificate in tls_cert ended at {}: clients refuse it", day(self.until)))
            }
            left if left <= RENEWAL => {
                let days = left.as_secs() / DAY.as_secs();
                Some(format!("[server] the certificate in tls_cert ends in {days} d, at {}", day(self.until)))
            }
            _ => None,
        }
    }
}

/// The validity of the server's own certificate, which is the first of its chain.
fn validity(tls: &Tls) -> Option<Validity> {
    let (_, certificate) = parse_x509_certificate(tls.0.cert.first()?).ok()?;
    let at = |secs: i64| Timestamp::from_millis(u64::try_from(secs).unwrap_or_default().saturating_mul(1_000));
    let said = certificate.validity();
    Some(Validity { from: at(said.not_before.timestamp()), until: at(said.not_after.timestamp()) })
}

const DAY: Duration = Duration::from_secs(86_400);

/// How near to its end a certificate makes a warning. Certificates of 90 days are renewed 30 days before their end, so nobody has
/// renewed one that is nearer than this.
const RENEWAL: Duration = Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests {
    use super::super::fixture::{Folder, certificate_of_a_spring};
    use super::*;

    fn warnings(server: &str) -> Vec<String> {
        Dangers::of(&Folder::new(server).load().expect("valid")).warnings(Timestamp::EPOCH)
    }

    #[test]
    fn an_address_that_others_reach_wants_tls() {
        assert_eq!(warnings("[server]\nlisten = \"127.0.0.1:8080\"\n"), [""; 0]);
        for public in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
            let warned = warnings(&format!("[server]\nlisten = {public:?}\n"));
            assert!(matches!(&warned[..], [one] if one.contains(public) && one.contains("in the clear")), "{warned:?}");
        }
    }

    #[test]
    fn a_certificate_near_its_end_is_told_of() {
        let folder = Folder::new("[server]\nlisten = \"0.0.0.0:443\"\ntls_cert = \"tls/cert.pem\"\ntls_key = \"tls/key.pem\"\n");
        let (cert, key) = certificate_of_a_spring();
        folder.write("tls/cert.pem", &cert, 0o644);
        folder.write("tls/key.pem", &key, 0o600);
        let dangers = Dangers::of(&folder.load().expect("valid"));
        let said = |now: &str| dangers.warnings(Timestamp::parse_rfc3339(now).expect("a time")).join("|");
        assert_eq!(said("2026-02-28T00:00:00Z"), "");
        assert!(said("2026-03-02T12:00:00Z").contains("ends in 29 d, at 2026-04-01T00:00:00Z"));
        assert!(said("2026-04-01T00:00:00Z").contains("ended at 2026-04-01T00:00:00Z"));
        assert!(said("2025-12-31T23:59:59Z").contains("valid from 2026-01-01T00:00:00Z on, and not yet"));
    }

    #[test]
    fn credentials_in_a_config_that_everyone_can_read_are_told_of() {
        let webhook = |line: &str| format!("[[webhook]]\nname = \"w\"\nurl = \"https://a.test/\"\nevents = [\"*\"]\n{line}\n");
        for (line, is_told) in [
            ("", false),
            ("headers = { X-Key = \"sesame\" }", true),
            ("headers = { X-Key = { file = \"keys/secret\" } }", false),
            ("auth = { type = \"basic\", username = \"u\", password = \"sesame\" }", true),
            ("auth = { type = \"bearer\", token = { file = \"keys/secret\" } }", false),
            ("proxy = \"http://u:sesame@proxy.test:1\"", true),
            ("proxy = \"http://proxy.test:1\"", false),
            ("[delivery]\nproxy = \"http://u:sesame@proxy.test:1\"", true),
        ] {
            let folder = Folder::new("");
            folder.write("keys/secret", "sesame", 0o600);
            for (mode, is_open) in [(0o644, true), (0o640, false), (0o600, false)] {
                folder.write("hookwheel.toml", webhook(line), mode);
                let said = Dangers::of(&folder.load().expect(line)).warnings(Timestamp::EPOCH).join("|");
                assert_eq!(said.contains("everyone can read it"), is_told && is_open, "{line}, {mode:o}: {said}");
                assert!(!said.contains("sesame"), "{said}");
            }
        }
    }

    #[test]
    fn what_is_named_danger_is_warned_of() {
        let said = warnings("[delivery]\ndanger_allow_http = true\nallow_private = [\"0.0.0.0/0\"]\n");
        assert!(matches!(&said[..], [http, net] if http.contains("danger_allow_http") && net.contains("0.0.0.0/0")), "{said:?}");
    }
}
