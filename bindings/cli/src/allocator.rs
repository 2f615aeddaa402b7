//! What a library may not decide about memory, and a program may: how its allocator gives back what is free.

/// Keeps glibc at the threshold that it begins with. Else it raises it with each large block that is freed, up
/// to 64 MiB, and from then on keeps what is free of the threads that images are computed on: half as much again as they ever need.
/// Other programs do the same with `MALLOC_TRIM_THRESHOLD_=131072` in their environment, where they want the ceiling to hold for images
/// that are made to take memory.
#[allow(unsafe_code, reason = "a call of the C library")]
pub(crate) fn keep_threshold() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: glibc takes any number here, and holds its own lock while it changes them (mallopt(3)).
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 << 10);
    }
}
