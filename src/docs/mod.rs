//! What the service says about itself to people and programs. It is text alone: nothing here reads the store, the config or a socket.

pub(crate) mod problem;

/// The OpenAPI 3.1 description of the API. A test of `api` holds it equal to the types and routes.
pub(crate) const OPENAPI: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json"));
