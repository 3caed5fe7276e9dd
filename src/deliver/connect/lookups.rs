//! Looks up a name's IPv6 and IPv4 addresses at once. The family that answers first is dialled first, and the other joins in (RFC
//! 8305 section 3).

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::Unconnected;
use super::race::Late;
use super::resolve::{Family, Resolver};

type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, Unconnected>> + Send + 'a>>;

/// The two lookups of a name, each until it is answered. `judge` is asked about every address that they find.
pub(super) struct Lookups<'a, J> {
    six: Option<Lookup<'a>>,
    four: Option<Lookup<'a>>,
    port: u16,
    judge: J,
}

impl<'a, J: Fn(SocketAddr) -> Result<(), Unconnected>> Lookups<'a, J> {
    pub(super) fn start(resolver: &'a Resolver, name: &'a str, port: u16, judge: J) -> Self {
        let lookup = |family| Some(Box::pin(resolver.addresses(name, family)) as Lookup<'a>);
        Self { six: lookup(Family::Six), four: lookup(Family::Four), port, judge }
    }

    /// Waits for the first addresses to dial. IPv6 addresses are taken at once, IPv4 addresses only after IPv6 has had
    /// [`RESOLUTION_DELAY`] to answer.
    pub(super) async fn first(&mut self) -> Result<Vec<SocketAddr>, Unconnected> {
        let mut failed = None;
        while let Some((family, found)) = self.answer().await {
            match (found, family) {
                (Ok(mut found), Family::Four) => {
                    if let Ok(Some((_, Ok(more)))) = timeout(RESOLUTION_DELAY, self.answer()).await {
                        found.extend(more);
                    }
                    return self.judged(found);
                }
                (Ok(found), Family::Six) => return self.judged(found),
                // A failure of the IPv4 lookup says more, since few names lack an IPv4 address.
                (Err(failure), Family::Four) => failed = Some(failure),
                (Err(failure), Family::Six) => failed = failed.or(Some(failure)),
            }
        }
        Err(failed.unwrap_or_else(Unconnected::no_address))
    }

    /// Waits for the next answer. `None` when both lookups have answered.
    async fn answer(&mut self) -> Option<(Family, Result<Vec<IpAddr>, Unconnected>)> {
        poll_fn(|cx| {
            for (family, lookup) in [(Family::Six, &mut self.six), (Family::Four, &mut self.four)] {
                if let Some(Poll::Ready(found)) = lookup.as_mut().map(|lookup| lookup.as_mut().poll(cx)) {
                    *lookup = None;
                    return Poll::Ready(Some((family, found)));
                }
            }
            if self.is_over() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    /// Makes socket addresses of what a lookup found, and fails if any of them is refused: a name with a private address among
    /// public ones is a trap or a mistake.
    fn judged(&self, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, Unconnected> {
        let addresses: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        addresses.iter().try_for_each(|address| (self.judge)(*address))?;
        Ok(addresses)
    }
}

impl<J: Fn(SocketAddr) -> Result<(), Unconnected>> Late for Lookups<'_, J> {
    async fn next(&mut self) -> Result<Vec<SocketAddr>, Unconnected> {
        match self.answer().await {
            Some((_, Ok(found))) => self.judged(found),
            // The addresses of the other family are being dialled already.
            Some((_, Err(_))) | None => Ok(Vec::new()),
        }
    }

    fn is_over(&self) -> bool {
        self.six.is_none() && self.four.is_none()
    }
}

/// The source of no further addresses: all are known at the start.
pub(super) struct Known;

impl Late for Known {
    async fn next(&mut self) -> Result<Vec<SocketAddr>, Unconnected> {
        std::future::pending().await
    }

    fn is_over(&self) -> bool {
        true
    }
}

/// How long IPv6 may take to answer after IPv4 has answered (RFC 8305 section 3, "Resolution Delay").
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
