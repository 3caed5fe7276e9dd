//! An attempt with an access token, under one deadline: the token is had first, and had anew once when the endpoint answers 401.

use tokio::time::timeout_at;

use super::{Limits, Started, exchange};
use crate::deliver::connect::{Connector, Unconnected};
use crate::deliver::exchange::connection::{Bounds, Connection};
use crate::deliver::exchange::request::Request;
use crate::deliver::shortage::Shortage;
use crate::deliver::tokens::asking::Asking;
use crate::deliver::tokens::{Token, Tokens};
use crate::domain::delivery::outcome::{Class, Failure, Outcome, Response};
use crate::domain::webhook::egress::auth::bearer;

/// Makes one attempt as [`super::attempt`] does, with a token in its `Authorization` header.
pub(crate) async fn attempt_authorized(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &mut Request<'_>,
    limits: Limits<'_>,
    (tokens, asking): (&Tokens, Asking<'_>),
) -> Result<Outcome, Shortage> {
    let started = Started::new(limits);
    let authorized = Authorized { connector, limits, bounds: started.bounds, tokens, asking };
    started.ended(authorized.send(kept, request).await)
}

struct Authorized<'a> {
    connector: &'a Connector,
    limits: Limits<'a>,
    bounds: Bounds<'a>,
    tokens: &'a Tokens,
    asking: Asking<'a>,
}

impl Authorized<'_> {
    async fn send(&self, kept: &mut Option<Box<Connection>>, request: &mut Request<'_>) -> Result<Response, Unconnected> {
        let token = self.token(None).await?;
        let response = self.send_with(&token, kept, request).await?;
        if response.status != UNAUTHORIZED {
            return Ok(response);
        }
        // The token may have been revoked before its time.
        let token = self.token(Some(&token)).await.map_err(after_refusal)?;
        self.send_with(&token, kept, request).await
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
