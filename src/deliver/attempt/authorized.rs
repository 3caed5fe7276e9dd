//! An attempt with an access token, under one deadline: the token is had first, and had anew once when the endpoint answers 401.

use tokio::time::timeout_at;

use super::{Limits, Started, exchange};
use crate::deliver::connect::{Connector, Unconnected};
use crate::deliver::exchange::connection::{Bounds, Connection};
use crate::deliver::exchange::request::Request;
use crate::deliver::permits::Permits;
use crate::deliver::shortage::Shortage;
use crate::deliver::tokens::asking::Asking;
use crate::deliver::tokens::{Token, Tokens};
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::webhook::egress::auth::bearer;

/// Makes one attempt as [`super::attempt`] does, with a token in its `Authorization` header. `None` when the rate limit lets nothing be
/// sent soon after the token came: nothing was sent. To wait for a permit costs nothing of the attempt's time.
pub(crate) async fn attempt_authorized<W>(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &mut Request<'_>,
    limits: Limits<'_>,
    (tokens, asking, permits): (&Tokens, Asking<'_>, &Permits<'_, W>),
) -> Result<Option<Outcome>, Shortage> {
    let started = Started::new(limits);
    let mut authorized = Authorized { connector, limits, bounds: started.bounds, tokens, asking, permits };
    match authorized.send(kept, request).await.transpose() {
        Some(result) => started.ended(result).map(Some),
        None => Ok(None),
    }
}

struct Authorized<'a, W> {
    connector: &'a Connector,
    limits: Limits<'a>,
    bounds: Bounds<'a>,
    tokens: &'a Tokens,
    asking: Asking<'a>,
    permits: &'a Permits<'a, W>,
}

impl<W> Authorized<'_, W> {
    async fn send(
        &mut self,
        kept: &mut Option<Box<Connection>>,
        request: &mut Request<'_>,
    ) -> Result<Option<Response>, Unconnected> {
        let token = self.token(None).await?;
        if !self.is_permitted().await {
            return Ok(None);
        }
        let response = self.send_with(&token, kept, request).await?;
        if response.status != UNAUTHORIZED {
            return Ok(Some(response));
        }
        // The token may have been revoked before its time.
        let token = self.token(Some(&token)).await.map_err(after_refusal)?;
        if !self.is_permitted().await {
            // The next attempt shows the new token.
            return Ok(Some(response));
        }
        self.send_with(&token, kept, request).await.map(Some)
    }

    /// Waits for the permit of a request, by which the deadline is put off. False when there is none soon.
    async fn is_permitted(&mut self) -> bool {
        let waited = self.permits.take().await;
        self.bounds.deadline.at += waited.unwrap_or_default();
        waited.is_some()
    }

    async fn token(&self, refused: Option<&Token>) -> Result<Token, Unconnected> {
        let had = self.tokens.token(self.asking.key(), refused, self.asking.ask(self.bounds));
        let had = timeout_at(self.bounds.deadline.at.into(), had).await;
        had.unwrap_or_else(|_| Err(late(self.bounds).into()))
    }

    async fn send_with(
        &self,
        token: &Token,
        kept: &mut Option<Box<Connection>>,
        request: &mut Request<'_>,
    ) -> Result<Response, Unconnected> {
        request.authorize(bearer(&token.value));
        exchange(self.connector, kept, request, self.bounds, self.limits.metrics).await
    }
}

fn late(bounds: Bounds<'_>) -> Failure {
    Failure { class: Class::Auth, ..bounds.deadline.missed("no access token came") }
}

fn after_refusal(unconnected: Unconnected) -> Unconnected {
    match unconnected {
        Unconnected::Failed(Failure { class, detail }) => {
            Failure::new(class, format!("the endpoint answered 401 to the token, and {detail}")).into()
        }
        shortage => shortage,
    }
}

/// What an endpoint answers to a token that it does not take (RFC 6750 section 3.1).
const UNAUTHORIZED: u16 = 401;
