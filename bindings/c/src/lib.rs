//! libtidewaiter.
