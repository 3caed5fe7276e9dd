//! By which names a browser may call the dashboard, and how it comes: over TLS or not.
//!
//! A page of somebody else may point a name of its own at the address of this service (DNS rebinding). So only names that the config
//! knows are answered, and loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::checked::Config;
use crate::config::site::{Host, Site};

/// The names of the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sites {
    public: Option<Site>,
    /// The further hosts that the config names, and the address that is listened on.
    hosts: Vec<Host>,
    listen: Option<SocketAddr>,
    is_tls: bool,
}

impl Sites {
    /// `address` is the one that is listened on.
    pub(in crate::api) fn new(config: &Config, address: SocketAddr) -> Self {
        let server = &config.server;
        let own = (!address.ip().is_unspecified()).then(|| Host::parse(&address.to_string()).ok()).flatten();
        let hosts = server.hosts.iter().cloned().chain(own).collect();
        Self { public: server.public_url.clone(), hosts, listen: Some(address), is_tls: server.tls.is_some() }
    }

    /// The site by which a browser came. `None` for a host that nobody named.
    pub(super) fn visited(&self, host: Host) -> Option<Site> {
        if host.is_loopback() {
            return Some(Site::new(self.is_tls, host));
        }
        let public = self.public.as_ref().map(Site::host);
        let is_known = public.into_iter().chain(&self.hosts).any(|known| known.allows(&host));
        is_known.then(|| Site::new(self.is_https(), host))
    }

    /// The site for links that the service prints.
    pub(in crate::api) fn own(&self) -> Option<Site> {
        let listened = || Host::parse(&dialled(self.listen?).to_string()).ok().map(|host| Site::new(self.is_tls, host));
        self.public.clone().or_else(listened)
    }

    fn is_https(&self) -> bool {
        self.is_tls || self.public.as_ref().is_some_and(Site::is_https)
    }
}

/// An address that a browser on this machine can dial.
fn dialled(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        _ => listen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(public: Option<&str>, hosts: &[&str]) -> Sites {
        let hosts = hosts.iter().map(|host| Host::parse(host).unwrap()).collect();
        Sites { public: public.map(|url| Site::parse(url).unwrap()), hosts, listen: None, is_tls: false }
    }

    fn visited(sites: &Sites, host: &str) -> Option<String> {
        sites.visited(Host::parse(host).unwrap()).map(|site| site.to_string())
    }

    #[test]
    fn only_known_names_and_loopback_are_answered() {
        let sites = sites(Some("https://hooks.example.com"), &["hooks.internal:8080"]);
        assert_eq!(visited(&sites, "hooks.example.com").as_deref(), Some("https://hooks.example.com"));
        assert_eq!(visited(&sites, "hooks.internal:8080").as_deref(), Some("https://hooks.internal:8080"));
        assert_eq!(visited(&sites, "localhost:8080").as_deref(), Some("http://localhost:8080"), "as through a tunnel");
        for foreign in ["evil.example", "hooks.internal", "hooks.example.com.evil.example", "10.0.0.1:8080"] {
            assert_eq!(visited(&sites, foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_link_leads_to_the_public_url_or_to_what_is_listened_on() {
        let own = |sites: Sites| sites.own().map(|site| site.to_string());
        assert_eq!(own(sites(Some("https://a.example"), &[])).as_deref(), Some("https://a.example"));
        let listening = |address: &str| Sites { listen: address.parse().ok(), ..sites(None, &[]) };
        assert_eq!(own(listening("0.0.0.0:8080")).as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(own(listening("[::]:8080")).as_deref(), Some("http://[::1]:8080"));
        assert_eq!(own(Sites { is_tls: true, ..listening("10.0.0.5:8443") }).as_deref(), Some("https://10.0.0.5:8443"));
    }
}
