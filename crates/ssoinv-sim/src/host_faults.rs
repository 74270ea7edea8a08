//! Failures of host names that are called through the proxy, and the connections that they and unknown names caused.
//! [`Control`](crate::Control) sets them, `proxy.rs` reads and counts, tests read the counts.

use std::collections::HashMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::sync::lock;

/// The failure of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFault {
    /// Connections are refused.
    Refused,
    /// Connections are accepted, and there is no response.
    Silent,
    /// The name has no address.
    Unresolvable,
}

/// The failures in force, and the connections that failed.
#[derive(Debug, Default)]
pub(crate) struct HostFaults {
    faults: Mutex<HashMap<String, HostFault>>,
    unknown_hosts: Mutex<Vec<String>>,
    failed_connects: Mutex<HashMap<String, usize>>,
}

impl HostFaults {
    pub(crate) fn set(&self, host: &str, fault: Option<HostFault>) {
        let mut faults = lock(&self.faults);
        match fault {
            Some(fault) => faults.insert(host.to_owned(), fault),
            None => faults.remove(host),
        };
    }

    /// Returns the failure of a host, and counts the connection if there is one.
    pub(crate) fn connect(&self, host: &str) -> Option<HostFault> {
        let fault = lock(&self.faults).get(host).copied();
        if fault.is_some() {
            *lock(&self.failed_connects).entry(host.to_owned()).or_default() += 1;
        }
        fault
    }

    /// Records a connection to a name that the simulator doesn't stand for.
    pub(crate) fn record_unknown(&self, host: String) {
        lock(&self.unknown_hosts).push(host);
    }

    pub(crate) fn unknown_hosts(&self) -> Vec<String> {
        lock(&self.unknown_hosts).clone()
    }

    pub(crate) fn failed_connects(&self, host: &str) -> usize {
        lock(&self.failed_connects).get(host).copied().unwrap_or_default()
    }
}
