//! Where a webhook may point: a URL as typed becomes a [`Target`], or is refused with a [`Reason`].
//!
//! One parser reads every URL, and only its canonical form is kept and dialled, so no two readers can disagree about the host.
//! The addresses of a name are judged later by the same [`Guard`], at the moment of dialling.

mod guard;
mod range;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use url::{Position, Url};

pub(crate) use guard::{Guard, LOCALHOST, OPENED_BY, REFUSED, Refused};

/// Which schemes an endpoint's URL may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schemes {
    /// Whether `http` is allowed besides `https`.
    pub(crate) http: bool,
}

/// An endpoint's URL in canonical form, with its parts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    url: Box<str>,
    /// Where the authority stands in `url`.
    authority: std::ops::Range<usize>,
    host: Host,
    port: u16,
    tls: bool,
}

/// The host of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name in lower-case ASCII, without a dot at its end.
    Domain(Box<str>),
    Ip(IpAddr),
}

impl Target {
    /// Parses a URL as an endpoint's owner typed it.
    ///
    /// `guard` judges a literal address, and must allow local names. A dot at the end of a name is dropped, since every name is
    /// absolute here.
    pub(crate) fn parse(text: &str, schemes: Schemes, guard: &Guard) -> Result<Self, Reason> {
        check_text(text)?;
        let tls = check_scheme(text, schemes)?;
        let mut url = Url::parse(text).map_err(Reason::Syntax)?;
        check_parts(&url)?;
        let host = host(&mut url, guard)?;
        let port = url.port_or_known_default().ok_or(Reason::NoHost)?;
        check_port(&host, port, guard)?;
        if let Host::Ip(ip) = host {
            guard.judge(SocketAddr::new(ip, port)).map_err(Reason::Refused)?;
        }
        Self::from_parts(&url, host, port, tls)
    }

    fn from_parts(url: &Url, host: Host, port: u16, tls: bool) -> Result<Self, Reason> {
        let start = url[..Position::BeforeHost].len();
        let authority = start..start + url[Position::BeforeHost..Position::AfterPort].len();
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(Reason::Long);
        }
        Ok(Self { url: url.as_str().into(), authority, host, port, tls })
    }

    /// The canonical URL, which is stored and shown.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the target may be dialled only at addresses that the operator named. So it is when its host is a single label,
    /// which has a meaning in a private network only, or when its port belongs to another protocol.
    pub(crate) fn needs_leave(&self) -> bool {
        let is_single_label = matches!(&self.host, Host::Domain(name) if !name.contains('.'));
        is_single_label || is_port_of_others(self.port)
    }

    /// The path and query for the request line (RFC 9112 section 3.2.1).
    pub(crate) fn path_and_query(&self) -> &str {
        &self.url[self.authority.end..]
    }

    /// The value of the `Host` header. A default port is left out (RFC 9110 section 7.2).
    pub(crate) fn authority(&self) -> &str {
        &self.url[self.authority.clone()]
    }

    /// Whether a connection made for `other` serves this target too.
    pub(crate) fn shares_origin(&self, other: &Self) -> bool {
        (self.tls, self.port, &self.host) == (other.tls, other.port, &other.host)
    }
}

/// Only the origin is shown, since the path and the query may carry a token.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", &self.url[..self.authority.end])
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => name.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

impl Host {
    /// Whether the host is `localhost` or a name below it. No resolver is asked for such names (RFC 6761 section 6.3).
    pub(crate) fn is_local_name(&self) -> bool {
        matches!(self, Self::Domain(name) if is_local(name))
    }
}

/// Why a URL cannot be an endpoint's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the URL is longer than {URL_BYTES_MAX} bytes")]
    Long,
    #[error("the URL contains a space, a control character or a backslash; percent-encode it")]
    Characters,
    #[error("the URL must begin with https://")]
    HttpsOnly,
    #[error("the URL must begin with https:// or http://")]
    Scheme,
    #[error("the URL cannot be read: {0}")]
    Syntax(url::ParseError),
    #[error("the URL names no host")]
    NoHost,
    #[error("the URL contains a user name or a password; use the signature to authenticate the sender")]
    UserInfo,
    #[error("the URL contains a fragment (#…), which is never sent; leave it out")]
    Fragment,
    #[error("the host {0} is not a name that DNS can hold")]
    Name(String),
    #[error("the host {0} is a single label; give the full name, with its domain")]
    SingleLabel(String),
    #[error("the host {0} means this machine, which this relay does not send to")]
    Local(String),
    #[error("port {0} belongs to another protocol; serve the webhook on 443, 80 or a port above 1023 that is not taken by one")]
    Port(u16),
    #[error("{0}")]
    Refused(Refused),
}

impl Reason {
    /// Whether the operator can allow the URL by naming its addresses in `allow_private`.
    pub(crate) fn can_be_opened(&self) -> bool {
        match self {
            Self::Refused(refused) => *refused != Refused::Own,
            Self::SingleLabel(_) | Self::Local(_) | Self::Port(1..) => true,
            _ => false,
        }
    }
}

fn check_text(text: &str) -> Result<(), Reason> {
    if text.len() > URL_BYTES_MAX {
        return Err(Reason::Long);
    }
    // The URL parser drops tabs and line ends, trims spaces and reads a backslash as a slash. A host could be hidden in such
    // forms.
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if text.contains(odd) { Err(Reason::Characters) } else { Ok(()) }
}

/// Whether the scheme is `https`. Both slashes are required, since the parser would also read `http:host` and `http:///host`.
fn check_scheme(text: &str, schemes: Schemes) -> Result<bool, Reason> {
    let refused = if schemes.http { Reason::Scheme } else { Reason::HttpsOnly };
    let (scheme, rest) = text.split_once(':').ok_or(refused.clone())?;
    let tls = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ if scheme.eq_ignore_ascii_case("http") && schemes.http => false,
        _ => return Err(refused),
    };
    let authority = rest.strip_prefix("//").ok_or(refused)?.split(['/', '?', '#']).next().unwrap_or_default();
    match authority {
        "" => Err(Reason::NoHost),
        // An empty user name leaves no trace in what the parser returns.
        _ if authority.contains('@') => Err(Reason::UserInfo),
        _ => Ok(tls),
    }
}

fn check_parts(url: &Url) -> Result<(), Reason> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Reason::UserInfo);
    }
    if url.fragment().is_some() { Err(Reason::Fragment) } else { Ok(()) }
}

/// Refuses ports of other protocols, unless the operator named the address. The addresses of a name are known only when it is
/// dialled.
fn check_port(host: &Host, port: u16, guard: &Guard) -> Result<(), Reason> {
    let has_leave = match host {
        Host::Ip(ip) => guard.allows(*ip),
        Host::Domain(_) => guard.allows_private_names(),
    };
    if port == 0 || (is_port_of_others(port) && !has_leave) { Err(Reason::Port(port)) } else { Ok(()) }
}

fn is_port_of_others(port: u16) -> bool {
    PORTS_OF_OTHERS.binary_search(&port).is_ok()
}

/// Takes the host out of a URL. A dot at its end is also removed from `url`.
fn host(url: &mut Url, guard: &Guard) -> Result<Host, Reason> {
    let name = match url.host().ok_or(Reason::NoHost)? {
        url::Host::Ipv4(ip) => return Ok(Host::Ip(ip.into())),
        url::Host::Ipv6(ip) => return Ok(Host::Ip(ip.into())),
        url::Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
    };
    check_name(&name, guard)?;
    url.set_host(Some(&name)).map_err(Reason::Syntax)?;
    Ok(Host::Domain(name.into()))
}

fn check_name(name: &str, guard: &Guard) -> Result<(), Reason> {
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(Reason::Name(name.to_owned()));
    }
    if is_local(name) {
        return if guard.allows_local_names() { Ok(()) } else { Err(Reason::Local(name.to_owned())) };
    }
    if name.contains('.') || guard.allows_private_names() { Ok(()) } else { Err(Reason::SingleLabel(name.to_owned())) }
}

/// Whether a text is a label of a name: letters, digits and inner hyphens (RFC 1123 section 2.1), and underscores, which some
/// hosts have.
fn is_label(label: &str) -> bool {
    let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (1..=LABEL_BYTES_MAX).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The longest URL in bytes, as typed and in canonical form.
pub(crate) const URL_BYTES_MAX: usize = 2_048;

/// The longest name, and the longest label, that DNS can hold (RFC 1035 section 2.3.4), without the dot at the end.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Ports on which other services listen, so that a signed POST cannot be made to speak to them.
///
/// The first part is the list that browsers keep (Fetch standard, "port blocking"). The second part is our own: databases,
/// caches, queues and control planes, which the list leaves out. The table is sorted.
const PORTS_OF_OTHERS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113,
    115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554,
    556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389,
    3659, 4045, 4190, 5060, 5061, 5432, 5671, 5672, 5900, 5985, 5986, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    9042, 9092, 9200, 9300, 10080, 10250, 11211, 27017, 27018,
];

#[cfg(test)]
mod tests;
