//! Files of trust, for the fuzzer.

use super::known_hosts::KnownHost;
use crate::fuzzing::Target;

pub(in crate::git) const TARGETS: &[Target] = &[Target { name: "known-hosts", run: known_hosts }];

fn known_hosts(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for (host, port) in [("git.example.com", 22), ("127.0.0.1", 2222)] {
        if KnownHost::read(text, host, port).is_ok() {
            let is_entry = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
            assert!(text.lines().any(is_entry), "trust without an entry");
        }
    }
}
