//! A client and a server session, joined in memory; and hostile input.

#[cfg(test)]
mod link;
#[cfg(test)]
mod publish_and_play;
