//! What the service says about itself to people and programs. It is text alone: nothing here reads the store, the config or a socket.

pub(crate) mod problem;
