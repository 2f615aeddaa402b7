//! A number for bytes that is always the same (FNV-1a), where a collision does little harm.

/// The number of these bytes.
pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |state: u64, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}
