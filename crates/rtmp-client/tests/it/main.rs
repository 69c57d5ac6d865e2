//! The client against a server's state machine behind a socket: what it sends and receives, where it goes, how long
//! it waits.

#[cfg(test)]
mod finding;
#[cfg(test)]
mod going_on;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod waits;
