//! Happy eyeballs (RFC 8305): dials several addresses, each a little after the one before, and takes the first that connects.
//!
//! So an address that swallows packets costs a quarter of a second and not the whole attempt, and a family whose lookup is slow
//! joins in when its answer comes. Few addresses are dialled at the same time, whatever a name leads to, so that a name with many
//! silent addresses does not use up the sockets of others.

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

/// The addresses of one target, dialled until one connects.
pub(super) struct Race {
    addresses: Addresses,
    dialling: JoinSet<(SocketAddr, io::Result<TcpStream>)>,
    /// The dials under way, the oldest first. Some of them may have ended.
    handles: VecDeque<AbortHandle>,
    /// How many further addresses may be dialled.
    left: usize,
    failure: Option<Failure>,
    shortage: Option<Shortage>,
}

/// A source of further addresses, which come while the first are dialled.
pub(super) trait Late {
    /// Waits for further addresses, all judged; pending for ever when no more come.
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

    /// Connects to any of the addresses within `patience`.
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
                    // The dial was given up by [`Race::give_up_oldest`].
                    Err(_) => {}
                },
                more = late.next(), if !late.is_over() => self.addresses.add(&more?),
                () = sleep_until(next_at.into()), if !self.addresses.is_empty() => {}
                () = sleep_until(end.into()) => return Err(self.late(patience)),
            }
        }
    }

    /// Dials the next address if it is due, and returns when the one after it is due.
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
        // The delay is short enough for all addresses to be dialled in time.
        let others = u32::try_from(self.addresses.len().min(left)).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(now) / (others + 2);
        now + ATTEMPT_DELAY.min(share)
    }

    /// Makes room for one more dial by giving up the oldest, which is the least likely to answer.
    fn give_up_oldest(&mut self) {
        self.handles.retain(|dial| !dial.is_finished());
        if self.handles.len() >= DIALLING_MAX
            && let Some(oldest) = self.handles.pop_front()
        {
            oldest.abort();
        }
    }

    /// Notes why a dial failed. A shortage of this machine counts only for the first address; for a further one it merely means
    /// one address less.
    fn note(&mut self, error: &io::Error, address: SocketAddr) {
        let is_first = self.left + 1 == DIALLED_MAX;
        match Shortage::of_connect(error, address) {
            Some(shortage) if is_first => self.shortage = Some(shortage),
            Some(_) => {}
            None => self.failure = Some(unreachable(error)),
        }
    }

    /// The error when every address has failed. If this machine lacked something, nothing is known of the endpoint.
    fn lost(self) -> Unconnected {
        let none = || Failure::new(Class::Connect, "there is no address to connect to");
        self.shortage.map_or_else(|| Unconnected::Failed(self.failure.unwrap_or_else(none)), Unconnected::Shortage)
    }

    fn late(self, patience: Duration) -> Unconnected {
        let late = Failure::new(Class::Timeout, format!("connecting took longer than {patience:?}"));
        self.shortage.map_or(Unconnected::Failed(late), Unconnected::Shortage)
    }
}

/// Addresses that were not dialled yet. The families take turns, beginning with IPv6 (RFC 8305 section 4).
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

/// The time between two dials (RFC 8305 section 8, "Connection Attempt Delay"). It is shorter when there are too many addresses
/// for the time left.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How many addresses are dialled at the same time.
pub(crate) const DIALLING_MAX: usize = 2;

/// How many addresses one attempt dials: more than any web server's name has, and too few to attack others with.
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

    /// A source that gives its addresses once, late.
    struct Once(Vec<SocketAddr>);

    impl Late for Once {
        async fn next(&mut self) -> Result<Vec<SocketAddr>, Unconnected> {
            // By then the other addresses have refused long ago.
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(std::mem::take(&mut self.0))
        }

        fn is_over(&self) -> bool {
            self.0.is_empty()
        }
    }

    #[tokio::test]
    async fn no_more_addresses_are_dialled_than_the_bound() {
        // Nobody listens at these addresses, and each refuses at once.
        let many: Vec<SocketAddr> = (1..=200).map(|last| ([127, 0, 9, last], 9).into()).collect();
        let mut late = Once(many.clone());
        let race = Race::new(&many);
        let lost = race.run(&mut late, Duration::from_secs(2)).await.unwrap_err();
        assert!(matches!(lost, Unconnected::Failed(Failure { class: Class::Connect, .. })), "{lost:?}");
    }

    #[tokio::test]
    async fn no_more_addresses_are_dialled_at_once_than_the_bound() {
        let swallowing = Swallowing::listen("127.0.0.1:0").await;
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
    fn a_late_address_family_is_dialled_next() {
        let mut addresses = Addresses::default();
        addresses.add(&read(&["1.1.1.1", "1.1.1.2"]));
        assert_eq!(addresses.next(), read(&["1.1.1.1"]).pop());
        addresses.add(&read(&["::1"]));
        assert_eq!(addresses.next(), read(&["::1"]).pop());
    }
}
