//! Asks an authorization server for a token (RFC 6749 section 4.4.2), by the way that attempts go: each address is judged before it is
//! dialled, no redirect is followed, and the connection is not kept.

use bytes::Bytes;

use super::TokenKey;
use super::answer::{self, ANSWER_BYTES_MAX, Granted};
use crate::deliver::connect::way::Way;
use crate::deliver::connect::{Connector, Unconnected};
use crate::deliver::exchange::connection::Bounds;
use crate::deliver::exchange::request::Request;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::headers::Headers;
use crate::domain::id::TenantNo;
use crate::domain::webhook::egress::ClientCredentials;
use crate::domain::webhook::egress::auth::AUTHORIZATION;
use crate::domain::webhook::target::{Guard, REFUSED, Reason, Schemes, Target};

/// Where a token is asked for, and by which rules.
#[derive(Clone, Copy)]
pub(in crate::deliver) struct Asking<'a> {
    /// The tenant for whose webhook the token is.
    pub(in crate::deliver) tenant: TenantNo,
    pub(in crate::deliver) credentials: &'a ClientCredentials,
    pub(in crate::deliver) connector: &'a Connector,
    /// The way of the webhook's attempts. A server may bind its tokens to the client certificate (RFC 8705).
    pub(in crate::deliver) way: &'a Way,
    pub(in crate::deliver) guard: &'a Guard,
    pub(in crate::deliver) schemes: Schemes,
}

impl Asking<'_> {
    /// Who may use the token too.
    pub(in crate::deliver) fn key(self) -> TokenKey {
        TokenKey { tenant: self.tenant, credentials: self.credentials.id(), tls: self.way.tls_id() }
    }

    /// Asks once. Every failure is of the class `auth`, and is shared with those who wait for the same token.
    ///
    /// A failure because the asker's own time is over says nothing about the server. Then this never ends: the asker lets go of it by
    /// its own deadline or stop, and the next who waits asks.
    pub(in crate::deliver) async fn ask(self, bounds: Bounds<'_>) -> Result<Granted, Unconnected> {
        let target = Target::parse(&self.credentials.token_url, self.schemes, self.guard);
        let target = target.map_err(|reason| refused(&reason))?;
        let came = self.exchange(&target, Bounds { capture: ANSWER_BYTES_MAX, ..bounds }).await;
        if came.is_err() && bounds.are_over() {
            return std::future::pending().await;
        }
        came.map_err(|unconnected| match unconnected {
            Unconnected::Failed(Failure { detail, .. }) => {
                let host = target.host();
                Failure::new(Class::Auth, format!("asking {host} for an access token failed: {detail}")).into()
            }
            shortage => shortage,
        })
    }

    async fn exchange(self, target: &Target, bounds: Bounds<'_>) -> Result<Granted, Unconnected> {
        let request = Request::new(target, &self.headers(), Bytes::from(self.credentials.form()))?;
        let request = request.by(self.way.clone());
        let mut connection = self.connector.connect(target, self.way).await?;
        let response = connection.exchange(&request, bounds).await.map_err(|failed| failed.failure)?;
        answer::read(&response).map_err(|why| Failure::new(Class::Auth, why).into())
    }

    fn headers(self) -> Headers {
        let mut headers = Headers::default();
        headers.push("content-type", "application/x-www-form-urlencoded");
        headers.push("accept", "application/json");
        if let Some(authorization) = self.credentials.authorization() {
            headers.push(AUTHORIZATION, authorization.expose());
        }
        headers
    }
}

/// The failure of a URL that may not be asked. What would open it is the operator's matter, which a tenant does not see.
fn refused(reason: &Reason) -> Failure {
    let why = if reason.can_be_opened() { REFUSED.to_owned() } else { reason.to_string() };
    Failure::new(Class::Auth, format!("the token_url cannot be asked for an access token: {why}"))
}
