//! What the dashboard looks like: pages as HTML, made of values that the caller has read. Only here the crate `maud` is named.
//!
//! ```text
//!   values of a page ──▶ its template ──▶ frame: rail, scope, icons, theme ──▶ text
//!   text from outside ──▶ text::Outside: markup is escaped by maud, commands to the reader's eyes are shown as escapes
//! ```
//!
//! Everything works without JavaScript. No page has an inline style or script, so that the policy of its contents can be strict. The
//! room reads no store, no clock and no request: `api::pages` does, and hands in what is to be shown.

pub(crate) mod asset;
pub(crate) mod choose;
pub(crate) mod deliveries;
pub(crate) mod delivery;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod frame;
pub(crate) mod href;
mod icon;
pub(crate) mod login;
pub(crate) mod part;
pub(crate) mod text;
pub(crate) mod webhook;
pub(crate) mod webhooks;
