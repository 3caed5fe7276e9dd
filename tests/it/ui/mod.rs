//! The dashboard as a browser without JavaScript sees it: signing in, pages, forms, and what is refused.

mod browser;
mod pages;
mod safety;
mod sign_in;
mod webhooks;
