//! What a request is: its route, who asks, what it names, and what of it is refused before any call.

pub(in crate::api) mod auth;
pub(in crate::api) mod context;
pub(in crate::api) mod creations;
pub(in crate::api) mod cursor;
pub(in crate::api) mod entrance;
pub(in crate::api) mod guesses;
pub(in crate::api) mod judged;
pub(in crate::api) mod key_changes;
pub(in crate::api) mod params;
pub(in crate::api) mod rate;
pub(in crate::api) mod route;
pub(in crate::api) mod settings;
pub(in crate::api) mod target;
pub(in crate::api) mod turned_away;
pub(in crate::api) mod whose;
