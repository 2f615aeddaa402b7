//! Resolution, against images in memory.
