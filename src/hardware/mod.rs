//! What the machine is. Readers take the root of the file system, so that tests can pass another.

pub mod memory;
