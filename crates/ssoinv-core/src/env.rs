//! The environment variables of a process, read once by the binary and passed in to everything below it.

use std::collections::BTreeMap;

/// Environment variables by name.
pub type Env = BTreeMap<String, String>;
