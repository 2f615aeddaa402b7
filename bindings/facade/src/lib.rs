//! The one surface below every binding.
