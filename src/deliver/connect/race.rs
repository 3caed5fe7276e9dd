//! Happy eyeballs (RFC 8305): several addresses are dialled, each a little after the one before, and the first that connects wins.
//!
//! An address that swallows packets so costs a quarter of a second and not the whole attempt, and a family whose lookup is slow
//! joins in when its answer comes. Few are dialled at the same time, whatever a name leads to: who dials many that do not answer
//! would take the sockets of others.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

use super::{Unconnected, unreachable};
use crate::clock;
use crate::deliver::shortage::Shortage;
use crate::domain::delivery::outcome::{Class, Failure};

/// Addresses on their way to a connection.
pub(super) struct Race {
    addresses: Addresses,
    dialling: JoinSet<(SocketAddr, io::Result<TcpStream>)>,
    /// The dials under way, oldest first; some may have ended.
    handles: VecDeque<AbortHandle>,
    /// How many may still be dialled.
    left: usize,
    failure: Option<Failure>,
    shortage: Option<Shortage>,
}

/// Where more addresses may come from while others are dialled already.
pub(super) trait Late {
    /// The next ones, judged; pending for ever when there are none to come.
    async fn next(&mut self) -> Result<Vec<SocketAddr>, Unconnected>;
    fn is_over(&self) -> bool;
}

impl Race {
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let mut waiting = Addresses::default();
        waiting.add(addresses);
        let (dialling, handles) = (JoinSet::new(), VecDeque::new());
        Self { addresses: waiting, dialling, handles, left: DIALLED_MAX, failure: None, shortage: None }
    }

    /// Connects within `patience`, whichever address it be.
    pub(super) async fn run(mut self, late: &mut impl Late, patience: Duration) -> Result<TcpStream, Unconnected> {
        let end = clock::steady() + patience;
        let mut next_at = clock::steady();
        loop {
            next_at = self.dial_if_due(next_at, end);
            if self.dialling.is_empty() && self.addresses.is_empty() && late.is_over() {
                return Err(self.lost());
            }
            tokio::select! {
                biased;
                Some(done) = self.dialling.join_next() => match done {
                    Ok((_, Ok(tcp))) => return Ok(tcp),
                    Ok((address, Err(error))) => {
                        self.note(&error, address);
                        next_at = clock::steady();
                    }
                    // One that was given up.
                    Err(_) => {}
                },
                more = late.next(), if !late.is_over() => self.addresses.add(&more?),
                () = sleep_until(next_at.into()), if !self.addresses.is_empty() => {}
                () = sleep_until(end.into()) => return Err(self.late(patience)),
            }
        }
    }

    /// Dials the next address when it is time, and says when it is time for the one after it.
    fn dial_if_due(&mut self, due: Instant, end: Instant) -> Instant {
        let now = clock::steady();
        if now < due {
            return due;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.addresses = Addresses::default();
            return due;
        };
        let Some(address) = self.addresses.next() else { return due };
        self.left = left;
        self.give_up_oldest();
        self.handles.push_back(self.dialling.spawn(async move { (address, TcpStream::connect(address).await) }));
        // All are tried in time, however many there are.
        let others = u32::try_from(self.addresses.len().min(left)).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(now) / (others + 2);
        now + ATTEMPT_DELAY.min(share)
    }

    /// Makes place for one more dial. Who has not answered by then is the least likely to.
    fn give_up_oldest(&mut self) {
        self.handles.retain(|dial| !dial.is_finished());
        if self.handles.len() >= DIALLING_MAX
            && let Some(oldest) = self.handles.pop_front()
        {
            oldest.abort();
        }
    }

    /// What this machine lacks for a further address is one address less; for the first one it is all.
    fn note(&mut self, error: &io::Error, address: SocketAddr) {
        let is_first = self.left + 1 == DIALLED_MAX;
        match Shortage::of_connect(error, address) {
            Some(shortage) if is_first => self.shortage = Some(shortage),
            Some(_) => {}
            None => self.failure = Some(unreachable(error)),
        }
    }

    /// Every address failed. Where this machine lacked something, nothing is known of the endpoint.
    fn lost(self) -> Unconnected {
        let none = || Failure::new(Class::Connect, "there is no address to connect to");
        self.shortage.map_or_else(|| Unconnected::Failed(self.failure.unwrap_or_else(none)), Unconnected::Shortage)
    }

    fn late(self, patience: Duration) -> Unconnected {
        let late = Failure::new(Class::Timeout, format!("connecting took longer than {patience:?}"));
        self.shortage.map_or(Unconnected::Failed(late), Unconnected::Shortage)
    }
}

/// Both families in turn, IPv6 first where both wait (RFC 8305 section 4).
#[derive(Debug, Default)]
struct Addresses {
    six: VecDeque<SocketAddr>,
    four: VecDeque<SocketAddr>,
    four_next: bool,
}

impl Addresses {
    fn add(&mut self, more: &[SocketAddr]) {
        more.iter().for_each(|address| if address.is_ipv4() { &mut self.four } else { &mut self.six }.push_back(*address));
    }

    fn len(&self) -> usize {
        self.six.len() + self.four.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next(&mut self) -> Option<SocketAddr> {
        let (first, second) = if self.four_next { (&mut self.four, &mut self.six) } else { (&mut self.six, &mut self.four) };
        let next = first.pop_front().or_else(|| second.pop_front())?;
        self.four_next = !next.is_ipv4();
        Some(next)
    }
}

/// Between two addresses (RFC 8305 section 8, "Connection Attempt Delay"); less where there are too many for the time.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// At the same time: the address that is tried, and one more beside it.
pub(crate) const DIALLING_MAX: usize = 2;

/// Addresses of one name that one attempt dials: more than any name of a web server has, few enough not to be a weapon.
const DIALLED_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::connect::tests::Swallowing;

    fn read(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 1)).collect()
    }

    #[test]
    fn both_families_are_dialled_in_turn() {
        let mut addresses = Addresses::default();
        addresses.add(&read(&["1.1.1.1", "1.1.1.2", "::1", "::2", "::3"]));
        let order: Vec<_> = std::iter::from_fn(|| addresses.next()).collect();
        assert_eq!(order, read(&["::1", "1.1.1.1", "::2", "1.1.1.2", "::3"]));
    }

    /// Addresses that come once, late.
    struct Once(Vec<SocketAddr>);

    impl Late for Once {
        async fn next(&mut self) -> Result<Vec<SocketAddr>, Unconnected> {
            // Long after the others have refused.
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(std::mem::take(&mut self.0))
        }

        fn is_over(&self) -> bool {
            self.0.is_empty()
        }
    }

    #[tokio::test]
    async fn no_more_are_dialled_than_the_bound_whenever_they_come() {
        // Nobody listens there, and each refuses at once.
        let many: Vec<SocketAddr> = (1..=200).map(|last| ([127, 0, 9, last], 9).into()).collect();
        let mut late = Once(many.clone());
        let race = Race::new(&many);
        let lost = race.run(&mut late, Duration::from_secs(2)).await.unwrap_err();
        assert!(matches!(lost, Unconnected::Failed(Failure { class: Class::Connect, .. })), "{lost:?}");
    }

    #[tokio::test]
    async fn no_more_are_dialled_at_once_than_the_bound() {
        let swallowing = Swallowing::at("127.0.0.1:0").await;
        let mut race = Race::new(&[swallowing.address; 12]);
        let now = clock::steady();
        for dialled in 1..=12 {
            race.dial_if_due(now, now + Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(1)).await;
            while race.dialling.try_join_next().is_some() {}
            assert_eq!(race.dialling.len(), DIALLING_MAX.min(dialled), "the others have given their sockets back");
        }
    }

    #[test]
    fn a_family_that_comes_late_is_next() {
        let mut addresses = Addresses::default();
        addresses.add(&read(&["1.1.1.1", "1.1.1.2"]));
        assert_eq!(addresses.next(), read(&["1.1.1.1"]).pop());
        addresses.add(&read(&["::1"]));
        assert_eq!(addresses.next(), read(&["::1"]).pop());
    }
}
