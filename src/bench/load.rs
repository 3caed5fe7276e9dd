//! The load of a measurement: what the publisher sends, to how many endpoints, and how each of them answers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use serde::Serialize;

use super::event::To;
use crate::config::IN_FLIGHT_PER_ENDPOINT;

/// What the publisher does, and to whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Load {
    /// Connections of the publisher, each with at most one request under way.
    pub(crate) connections: usize,
    /// Events per second; 0: a closed loop, in which each connection sends as soon as it was answered.
    pub(crate) rate: f64,
    pub(crate) end: End,
    /// Events in one request.
    pub(crate) batch: u64,
    pub(crate) endpoints: Endpoints,
    /// Whether every event is for all endpoints; else events are for one endpoint after the other.
    pub(crate) fan_out: bool,
    /// Members of an event's data besides its mark, without braces.
    #[serde(skip)]
    pub(crate) data: String,
}

/// When publishing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Events(u64),
    After(Duration),
}

/// How many endpoints there are, and how many fail. From number 0 on stand the hanging, the resetting, the refusing, the healthy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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

impl Load {
    /// The load that a forward-only relay can be given: it has no queue, so a failing endpoint would hold up its publisher.
    pub(super) fn without_failures(&self) -> Self {
        Self { endpoints: Endpoints { count: self.endpoints.count, ..Endpoints::default() }, ..self.clone() }
    }

    /// Attempts at once to one endpoint: hookwheel's default, and more where there is one endpoint alone, which would be the limit
    /// of the relay.
    pub(super) fn slots(&self) -> u64 {
        if self.endpoints.count == 1 { ONE_ENDPOINT_SLOTS } else { IN_FLIGHT_PER_ENDPOINT }
    }

    /// Whom an event is for.
    pub(super) fn to(&self, number: u64) -> To {
        if self.fan_out { To::All } else { To::One(self.endpoints.turn(number)) }
    }
}

impl Endpoints {
    pub(crate) fn failing(self) -> u32 {
        self.hanging.saturating_add(self.resetting).saturating_add(self.refusing)
    }

    /// The endpoint whose turn an event is.
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
}

/// The address of an endpoint: each is an origin of its own, and all are on one listener.
pub(super) fn address(endpoint: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + endpoint), port)
}

/// The endpoint that has an address.
pub(super) fn endpoint(address: Ipv4Addr) -> Option<u32> {
    address.to_bits().checked_sub(FIRST_ADDRESS.to_bits())
}

/// Beyond the addresses that a machine's own services use. Loopback goes on to 127.255.255.254.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

const ONE_ENDPOINT_SLOTS: u64 = 256;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Ten events for so many healthy endpoints, one after the other.
    pub(in crate::bench) fn load(count: u32) -> Load {
        let endpoints = Endpoints { count, ..Endpoints::default() };
        Load { connections: 4, rate: 0.0, end: End::Events(10), batch: 1, endpoints, fan_out: false, data: r#""a":1"#.into() }
    }

    #[test]
    fn an_endpoint_is_known_by_its_address_and_the_failing_come_first() {
        for number in [0, 255, 256, 65_536, 100_000] {
            assert_eq!(endpoint(*address(number, 80).ip()), Some(number));
        }
        assert_eq!(endpoint(Ipv4Addr::LOCALHOST), None);
        let endpoints = Endpoints { count: 4, hanging: 1, resetting: 1, refusing: 1 };
        let expected = [Manner::Hanging, Manner::Resetting, Manner::Refusing, Manner::Healthy];
        assert_eq!([0, 1, 2, 3].map(|at| endpoints.manner(at)), expected);
    }
}
