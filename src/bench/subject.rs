//! The relay that is measured: forward-only, or hookwheel.

use std::net::SocketAddr;

use super::figures::Spread;
use super::fill::{self, Answer, Filled};
use super::forward;
use super::kept::Watch;
use super::part::{Part, Role};
use super::plan::{Load, Plan, Run};
use super::service::Service;
use super::site::Site;
use super::special::Special;
use super::{Error, listing};

/// The relay that is measured.
pub(super) enum Subject {
    Forward { part: Part, address: SocketAddr },
    Store(Service),
}

impl Subject {
    pub(super) fn start(
        run: Run,
        plan: &Plan,
        load: &Load,
        receiver_port: u16,
        tell: impl FnMut(&str),
    ) -> Result<(Self, Option<Filled>), Error> {
        if run != Run::Forward {
            let site = Site::make(&plan.dir, load, plan.special, receiver_port)?;
            let rows = plan.special.rows().filter(|_| run == Run::Store);
            let filled = rows.map(|rows| fill::fill(&site, load, rows, Answer::Taken, tell)).transpose()?;
            return Ok((Self::Store(Service::start(site)?), filled));
        }
        let orders = forward::Orders { endpoints: load.endpoints.count, receiver_port, slots: load.slots() };
        let mut part = Part::start(Role::Forward, &orders)?;
        let address = part.hear()?;
        Ok((Self::Forward { part, address }, None))
    }

    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Forward { part, .. } => part.id(),
            Self::Store(service) => service.id(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Forward { address, .. } => *address,
            Self::Store(service) => service.api.address,
        }
    }

    /// Forward-only looks at no key, but gets one of the same length.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Forward { .. } => "0".repeat(64),
            Self::Store(service) => service.site.publisher_key.clone(),
        }
    }

    /// Begins to look at what is kept, where that was asked for.
    pub(super) fn watch(&self, plan: &Plan, load: &Load) -> Option<Watch> {
        let service = self.service().filter(|_| matches!(plan.special, Special::Retention(_)))?;
        let each = if load.fan_out { load.endpoints.count } else { 1 };
        Some(Watch::start(service.api.clone(), each.into()))
    }

    /// Of a filled store, so that each endpoint has its share of that at the least.
    pub(super) fn listing(&self, filled: Filled, load: &Load) -> Result<Spread, Error> {
        let least = filled.deliveries / u64::from(load.endpoints.count);
        let listed = self.service().and_then(|service| listing::listing(&service.api, &self.key(), least));
        listed.ok_or_else(|| Error::Service("the newest deliveries of an endpoint cannot be listed".into()))
    }

    pub(super) fn service(&self) -> Option<&Service> {
        match self {
            Self::Forward { .. } => None,
            Self::Store(service) => Some(service),
        }
    }
}
