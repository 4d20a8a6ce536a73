//! What a running process took so far.

use std::{fmt, fs};

use crate::support::process::Process;

/// User and system time so far (proc(5), fields 14 and 15 of `stat`, in ticks of 10 ms).
pub fn cpu_seconds(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks =
        |field: usize| fields.get(field).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory of a process, or of `self`, that was resident since the start or the last reset (proc(5), `VmHWM`).
/// `None` once the process is gone.
pub fn peak_kib(process: impl fmt::Display) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The same in MiB; nothing once the process is gone.
pub fn peak_mib(process: &Process) -> f64 {
    peak_kib(process.id()).unwrap_or_default() as f64 / 1024.0
}

/// Forgets the peak so far.
pub fn reset_peak(process: &Process) {
    let path = format!("/proc/{}/clear_refs", process.id());
    if let Err(error) = fs::write(&path, "5") {
        panic!("{path}: {error}");
    }
}
