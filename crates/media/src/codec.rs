//! Codec configuration records: what a decoder needs to know before its first access unit.
