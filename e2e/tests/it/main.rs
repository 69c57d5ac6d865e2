//! The built server and real clients.

mod bad_input;
mod examples;
mod matrix;
mod usage;
mod usage_events;
mod usage_languages;
