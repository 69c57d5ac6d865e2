//! The whole RTMP service within the process, and peers that talk to it over pairs of sockets. Everything runs in one
//! thread with a clock that only the fuzzer moves, so that an input means the same each time.

pub mod facts;
pub mod peer;
pub mod said;
pub mod script;
pub mod server;
pub mod tagged;
pub mod world;
