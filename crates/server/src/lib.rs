//! Configuration and composition: the only crate that knows all the others.

pub mod config;

use config::{Config, Flags, Problems};

/// Being composed.
#[derive(Debug)]
pub struct Server(Config);

impl Server {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(flags: Flags) -> Result<Self, Problems> {
        Config::load(&flags, config::environment()).map(Self)
    }

    /// Runs.
    ///
    /// # Errors
    /// Start.
    pub fn run(self) -> Result<(), std::io::Error> {
        Ok(())
    }
}
