//! Where people reach the service with a browser: the names by which it may be called, and the links that it prints.

use std::fmt;
use std::net::IpAddr;

use url::Url;

/// The URL of the service as people type it: a scheme and a host, perhaps with a port, and no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    is_https: bool,
    host: Host,
}

/// A host as browsers send it in `Host`: a name or an address, perhaps with a port, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(Box<str>);

/// Why a text is no site or host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSite {
    #[error("is no URL like https://hooks.example.com")]
    Unreadable,
    #[error("begins with neither https:// nor http://")]
    Scheme,
    #[error("has more than scheme, host and port; the dashboard has its own paths")]
    More,
    #[error("is no host like hooks.example.com or 10.0.0.5:8080")]
    Host,
}

impl Site {
    pub(crate) fn new(is_https: bool, host: Host) -> Self {
        Self { is_https, host }
    }

    /// Reads `https://hooks.example.com`, also with a port or a slash at its end.
    pub(crate) fn parse(text: &str) -> Result<Self, NoSite> {
        let url = Url::parse(text).map_err(|_| NoSite::Unreadable)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(NoSite::Scheme),
        };
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !is_bare || url.path() != "/" {
            return Err(NoSite::More);
        }
        let name = url.host_str().ok_or(NoSite::Unreadable)?;
        let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
        Ok(Self { is_https, host: Host(host.into()) })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}

/// As browsers name the origin of its pages (RFC 6454), and as a link begins.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.host)
    }
}

impl Host {
    /// Reads a host of a request or of the config.
    pub(crate) fn parse(text: &str) -> Result<Self, NoSite> {
        let site = Site::parse(&format!("http://{text}")).map_err(|_| NoSite::Host)?;
        // The port of plain HTTP is left out by a browser, and would be left out here of a text that names it.
        let named = text.strip_suffix(":80").unwrap_or(text).to_ascii_lowercase();
        if *site.host.0 == *named { Ok(site.host) } else { Err(NoSite::Host) }
    }

    /// The name or address without the port.
    fn name(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => &self.0,
        }
    }

    /// Whether this host may be called by what `given` says: the same, or the same name where this one has no port.
    pub(crate) fn allows(&self, given: &Self) -> bool {
        *self == *given || *self.0 == *given.name()
    }

    /// Whether it is this machine, whatever the port: `localhost`, `127.0.0.0/8`, `[::1]`.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.name();
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Result<String, NoSite> {
        Site::parse(text).map(|site| site.to_string())
    }

    fn host(text: &str) -> Host {
        Host::parse(text).expect(text)
    }

    #[test]
    fn a_site_is_a_scheme_and_a_host() {
        assert_eq!(site("https://Hooks.Example.com/").as_deref(), Ok("https://hooks.example.com"));
        assert_eq!(site("http://10.0.0.5:8080").as_deref(), Ok("http://10.0.0.5:8080"));
        assert_eq!(site("https://[fd00::1]:8443").as_deref(), Ok("https://[fd00::1]:8443"));
        assert_eq!(site("hooks.example.com"), Err(NoSite::Unreadable));
        assert_eq!(site("ftp://hooks.example.com"), Err(NoSite::Scheme));
        for more in ["https://a.example/ui", "https://me@a.example", "https://a.example?x", "https://a.example/#x"] {
            assert_eq!(site(more), Err(NoSite::More), "{more}");
        }
    }

    #[test]
    fn a_host_is_what_a_browser_sends() {
        assert_eq!(host("Hooks.Example.com:8080").to_string(), "hooks.example.com:8080");
        for bad in ["", "a b", "a/b", "http://a", "me@a", "a?b", "a#b", "a:b", "a\\b"] {
            assert_eq!(Host::parse(bad), Err(NoSite::Host), "{bad}");
        }
    }

    #[test]
    fn a_host_without_a_port_allows_every_port() {
        assert!(host("a.example").allows(&host("a.example:9")) && host("a.example").allows(&host("a.example")));
        assert!(host("a.example:9").allows(&host("a.example:9")));
        assert!(!host("a.example:9").allows(&host("a.example")) && !host("a.example").allows(&host("evil.a.example")));
    }

    #[test]
    fn only_this_machine_is_loopback() {
        assert!(
            ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:80"].iter().all(|name| host(name).is_loopback())
        );
        let others = ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "evil.example:8080"];
        assert!(!others.iter().any(|name| host(name).is_loopback()));
    }
}
