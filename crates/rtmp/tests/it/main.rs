//! A client and a server session, joined in memory; the orders of real clients; hostile input.

#[cfg(test)]
mod amf3;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod client;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod link;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod negotiation;
#[cfg(test)]
mod publish_and_play;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod script;
#[cfg(test)]
mod wire;
