//! How much memory the process has taken, as the system counts it.

/// Peak resident memory of this process in bytes; 0 where the system does not say.
pub(super) fn memory() -> u64 {
    // proc(5): `VmHWM` is the peak resident set size in KiB.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}
