//! The built server and real clients.

mod bad_input;
mod capabilities;
mod decisions;
mod enhanced;
mod equality;
mod examples;
mod examples_guide;
mod faults;
mod guessing;
mod limits;
mod matrix;
mod network;
mod obs;
mod other_server;
mod packaging;
mod pairing;
mod pairing_reload;
mod reconnect;
mod secrets;
mod spec_table;
mod time;
mod tls;
mod tls_suites;
mod usage;
mod usage_events;
mod usage_languages;
