//! Connections: accepted, driven, timed and ended; and the bodies that come in and go out on them.

pub(in crate::api) mod accept;
pub(in crate::api) mod ahead;
pub(in crate::api) mod body;
pub(in crate::api) mod carrier;
pub(in crate::api) mod drive;
pub(in crate::api) mod h1;
pub(in crate::api) mod h2;
pub(in crate::api) mod intake;
pub(in crate::api) mod leaving;
pub(in crate::api) mod pace;
pub(in crate::api) mod shutdown;
pub(in crate::api) mod slots;
pub(in crate::api) mod streams;
