//! What is measured: the load, the endpoints and how they behave, and which runs make one report.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{self, To};
use super::pace::Share;
use super::special::Special;

/// Everything that `bench` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where the store lies while it is measured; what is made in there is removed.
    pub(crate) dir: PathBuf,
    pub(crate) load: Load,
    /// Empty: all.
    pub(crate) only: Vec<Run>,
    pub(crate) special: Special,
    /// The plain load and the asked one take turns slice by slice, so that a noisy neighbour is one to both.
    pub(crate) alternate: bool,
}

/// One kind of run of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Run {
    /// The relay without a store.
    Forward,
    /// hookwheel under the plain load that the asked one is compared with.
    Base,
    /// hookwheel under the load that was asked for.
    Store,
}

/// What the publisher does, and to whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Of the publisher, each with at most one request under way.
    pub(crate) connections: usize,
    /// Events per second; 0: each connection sends as soon as it was answered.
    pub(crate) rate: f64,
    pub(crate) end: End,
    /// Events in one request.
    pub(crate) batch: u64,
    pub(crate) endpoints: Endpoints,
    /// Every event is for all endpoints; else for one after the other.
    pub(crate) fan_out: bool,
    /// Members of an event's data besides its mark.
    pub(crate) data: String,
}

/// When publishing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Events(u64),
    After(Duration),
}

/// The endpoints, the failing ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) count: u32,
    pub(crate) hanging: u32,
    pub(crate) resetting: u32,
    pub(crate) refusing: u32,
}

/// How an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Healthy,
    /// Takes the request and says nothing.
    Hanging,
    /// Closes the connection when a request comes.
    Resetting,
    /// Answers 500.
    Refusing,
}

impl Plan {
    /// Whether a run is part of the report.
    pub(super) fn has(&self, run: Run) -> bool {
        let possible = if run == Run::Store { self.special.has_load() } else { self.special.compares() };
        possible && (self.only.is_empty() || self.only.contains(&run))
    }

    /// The runs of the report, each once.
    pub(super) fn runs(&self) -> Vec<(Run, Load)> {
        let forward = (Run::Forward, self.forward_load());
        let base = self.base_load().map(|load| (Run::Base, load));
        let all = [Some(forward), base, Some((Run::Store, self.load.clone()))];
        all.into_iter().flatten().filter(|(run, _)| self.has(*run)).collect()
    }

    /// Whether there is nothing to measure: the plain load is not compared with itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.only == [Run::Base] && self.base_load().is_none()
    }

    /// Whether there are two runs of hookwheel, which can alternate.
    pub(crate) fn is_pair(&self) -> bool {
        self.has(Run::Base) && self.has(Run::Store) && self.base_load().is_some()
    }

    /// When a run may publish.
    pub(super) fn share(&self, run: Run) -> Share {
        match run {
            Run::Base if self.alternate => Share::First,
            Run::Store if self.alternate => Share::Second,
            _ => Share::All,
        }
    }

    /// What a forward-only relay can be given: it has no queue, so a failing endpoint would hold up its publisher.
    pub(super) fn forward_load(&self) -> Load {
        Load { endpoints: self.load.endpoints.healthy(), ..self.load.clone() }
    }

    /// The load without what is special about it; `None`: nothing is.
    ///
    /// For a filled store that is the same on an empty one, with failing endpoints the same without failures; else one endpoint
    /// and one event a request.
    pub(super) fn base_load(&self) -> Option<Load> {
        let load = &self.load;
        if self.special.rows().is_some() {
            return Some(load.clone());
        }
        if load.endpoints.failing() > 0 {
            return Some(self.forward_load());
        }
        let plain =
            Load { batch: 1, endpoints: Endpoints::all_healthy(1), fan_out: false, end: load.plain_end(), ..load.clone() };
        (plain != *load).then_some(plain)
    }
}

impl Load {
    /// As many deliveries for one endpoint.
    fn plain_end(&self) -> End {
        match self.end {
            End::Events(events) if self.fan_out => End::Events(events * u64::from(self.endpoints.count)),
            end => end,
        }
    }

    /// Attempts at once to one endpoint: hookwheel's default, but where one endpoint gets all, what makes it the relay's limit.
    pub(super) fn slots(&self) -> usize {
        if self.endpoints.count == 1 { ONE_ENDPOINT_SLOTS } else { DEFAULT_SLOTS }
    }

    /// Open files that the relay or the receiver may come to need: the publisher's connections, one kept for each endpoint, and
    /// one for each attempt under way.
    pub(super) fn open_files(&self) -> u64 {
        let attempts = (self.slots() as u64 * u64::from(self.endpoints.count)).min(IN_FLIGHT as u64);
        self.connections as u64 + u64::from(self.endpoints.count) + attempts + OTHER_FILES
    }

    /// Whom an event is for.
    pub(super) fn to(&self, number: u64) -> To {
        if self.fan_out { To::All } else { To::One(self.endpoints.turn(number)) }
    }

    /// The one type of events that an endpoint gets.
    pub(super) fn kind(&self, endpoint: u32) -> String {
        event::kind(if self.fan_out { To::All } else { To::One(endpoint) })
    }

    /// Data of so many bytes.
    pub(crate) fn padding(bytes: usize) -> String {
        event::padding(bytes)
    }

    /// Length of an event's data.
    pub(super) fn data_bytes(&self) -> usize {
        event::data_bytes(&self.data)
    }

    /// Data that holds a JSON value of the caller's, on one line.
    pub(crate) fn body(json: &str) -> String {
        // White space between tokens is all that a line end in JSON can be (RFC 8259 sections 2 and 7).
        format!(r#""body":{}"#, json.replace(['\r', '\n'], " "))
    }
}

impl Endpoints {
    pub(crate) fn all_healthy(count: u32) -> Self {
        Self { count, hanging: 0, resetting: 0, refusing: 0 }
    }

    /// A share of the endpoints fails: hanging, resetting and refusing in turn.
    pub(crate) fn with_failing_share(mut self, share: f64) -> Self {
        let failing = (0..self.count).take_while(|done| f64::from(*done) + 0.5 <= f64::from(self.count) * share);
        for number in failing {
            match number % 3 {
                0 => self.hanging += 1,
                1 => self.resetting += 1,
                _ => self.refusing += 1,
            }
        }
        self
    }

    /// The same number of endpoints, without failures.
    fn healthy(self) -> Self {
        Self::all_healthy(self.count)
    }

    pub(crate) fn failing(self) -> u32 {
        self.hanging.saturating_add(self.resetting).saturating_add(self.refusing)
    }

    /// Whose turn an event is.
    pub(super) fn turn(self, number: u64) -> u32 {
        u32::try_from(number % u64::from(self.count)).unwrap_or(0)
    }

    pub(super) fn manner(self, endpoint: u32) -> Manner {
        let [hanging, resetting] = [self.hanging, self.hanging + self.resetting];
        match endpoint {
            endpoint if endpoint < hanging => Manner::Hanging,
            endpoint if endpoint < resetting => Manner::Resetting,
            endpoint if endpoint < self.failing() => Manner::Refusing,
            _ => Manner::Healthy,
        }
    }

    pub(super) fn is_healthy(self, endpoint: u32) -> bool {
        self.manner(endpoint) == Manner::Healthy
    }
}

/// The address of an endpoint: an origin of its own, all on one listener.
pub(super) fn address(endpoint: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + endpoint), port)
}

/// The endpoint of an address.
pub(super) fn endpoint(address: Ipv4Addr) -> Option<u32> {
    address.to_bits().checked_sub(FIRST_ADDRESS.to_bits())
}

/// Beyond the addresses that a machine's own services use. Loopback goes on to 127.255.255.254.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// Far below what loopback holds, and what a report can be made of.
pub(crate) const ENDPOINTS_MAX: u32 = 100_000;

const ONE_ENDPOINT_SLOTS: usize = 256;

/// `in_flight` of a config that does not name it.
pub(super) const IN_FLIGHT: usize = 4_096;

/// Libraries, pipes, the store, and some room.
const OTHER_FILES: u64 = 64;

/// `in_flight_per_endpoint` of a config that does not name it.
const DEFAULT_SLOTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn load(count: u32) -> Load {
        Load {
            connections: 4,
            rate: 0.0,
            end: End::Events(10),
            batch: 1,
            endpoints: Endpoints::all_healthy(count),
            fan_out: false,
            data: String::new(),
        }
    }

    fn plan(load: Load) -> Plan {
        Plan { dir: PathBuf::new(), load, only: Vec::new(), special: Special::Nothing, alternate: false }
    }

    #[test]
    fn an_endpoint_is_known_by_its_address() {
        for number in [0, 1, 255, 256, 65_536, ENDPOINTS_MAX] {
            let address = address(number, 80);
            assert!(address.ip().is_loopback());
            assert_eq!(endpoint(*address.ip()), Some(number));
        }
        assert_eq!(endpoint(Ipv4Addr::LOCALHOST), None);
    }

    #[test]
    fn the_failing_come_first_and_are_as_many_as_the_share_says() {
        let manners = |endpoints: Endpoints| (0..endpoints.count).map(|at| endpoints.manner(at)).collect::<Vec<_>>();
        let five = Endpoints::all_healthy(5);
        assert_eq!(manners(five.with_failing_share(0.0)), [Manner::Healthy; 5]);
        let expected = [Manner::Hanging, Manner::Resetting, Manner::Healthy, Manner::Healthy, Manner::Healthy];
        assert_eq!(manners(five.with_failing_share(0.4)), expected);
        assert_eq!(five.with_failing_share(1.0).failing(), 5);
        assert_eq!(Endpoints::all_healthy(1).with_failing_share(0.4).failing(), 0);
    }

    #[test]
    fn the_base_is_what_is_not_special() {
        assert_eq!(plan(load(1)).base_load(), None);
        assert_eq!(plan(load(7)).base_load(), Some(load(1)));
        assert!(plan(load(7)).is_pair() && !plan(load(1)).is_pair());
        assert_eq!(plan(Load { batch: 100, ..load(1) }).base_load(), Some(load(1)));
        let fanned = Load { fan_out: true, ..load(7) };
        assert_eq!(plan(fanned).base_load(), Some(Load { end: End::Events(70), ..load(1) }));
        let mut failing = load(7);
        failing.endpoints.hanging = 1;
        assert_eq!(plan(failing).base_load(), Some(load(7)));
    }

    #[test]
    fn the_two_that_alternate_share_the_time() {
        let shares = |plan: Plan| [Run::Forward, Run::Base, Run::Store].map(|run| plan.share(run));
        assert_eq!(shares(plan(load(7))), [Share::All; 3]);
        assert_eq!(shares(Plan { alternate: true, ..plan(load(7)) }), [Share::All, Share::First, Share::Second]);
    }

    #[test]
    fn a_filled_store_is_compared_with_an_empty_one() {
        let filled = Plan { special: Special::Rows(9), ..plan(load(7)) };
        assert_eq!(filled.base_load(), Some(load(7)));
        assert!(filled.has(Run::Forward) && filled.has(Run::Base) && filled.has(Run::Store));
    }

    #[test]
    fn retries_and_restarts_have_nothing_to_compare_with() {
        let has = |special| [Run::Forward, Run::Base, Run::Store].map(|run| Plan { special, ..plan(load(7)) }.has(run));
        assert_eq!(has(Special::Late(9)), [false, false, true]);
        assert_eq!(has(Special::Pending(9)), [false; 3]);
    }

    #[test]
    fn few_endpoints_get_by_with_the_files_that_every_shell_gives() {
        assert!(Load { connections: 256, ..load(1) }.open_files() < 1_024);
        assert_eq!(Load { connections: 256, ..load(10_000) }.open_files(), 256 + 10_000 + 4_096 + 64);
    }

    #[test]
    fn a_body_stays_on_one_line() {
        assert_eq!(Load::body("{\n\"a\": 1\r\n}"), "\"body\":{ \"a\": 1  }");
    }
}
