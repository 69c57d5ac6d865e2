//! What is told survives: servers that are killed under load, folders that are removed, two servers on one folder.

mod crash;
mod folder;
