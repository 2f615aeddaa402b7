//! What a library may not decide about memory, and a program may: how its allocator gives back what is free.

/// Keeps glibc at thresholds of its own. Else it raises them with each large block that is freed, up to 64 MiB, and from then on keeps what
/// is free of the threads that images are computed on: half as much again as they ever need. Blocks of buffers and of the overlays of
/// images stay below the first one: to ask the system for each costs a tenth of a run.
///
/// Other programs do the same with `MALLOC_TRIM_THRESHOLD_=131072` and `MALLOC_MMAP_THRESHOLD_=524288` in their environment, where they
/// want the ceiling to hold for images that are made to take memory.
#[allow(unsafe_code, reason = "calls of the C library")]
pub(crate) fn keep_thresholds() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: glibc takes any number here, and holds its own lock while it changes them (mallopt(3)).
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 512 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 << 10);
    }
}
