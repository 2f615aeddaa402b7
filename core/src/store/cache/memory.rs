//! Layer results in memory, for as long as the program lives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::{Boxed, LayerCache};
use crate::error::Result;

/// Keeps layer results in memory, up to a number of bytes; the oldest go first.
#[derive(Debug)]
pub struct MemoryCache {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<String, Vec<u8>>,
    order: VecDeque<String>,
    bytes: usize,
}

impl MemoryCache {
    /// An empty cache that keeps at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }
}

impl LayerCache for MemoryCache {
    fn get<'a>(&'a self, key: &'a str) -> Boxed<'a, Result<Option<Vec<u8>>>> {
        let kept = self.state.lock().unwrap_or_else(PoisonError::into_inner).kept.get(key).cloned();
        Box::pin(std::future::ready(Ok(kept)))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: &'a [u8]) -> Boxed<'a, Result<()>> {
        self.keep(key, bytes);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl MemoryCache {
    fn keep(&self, key: &str, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.kept.insert(key.to_owned(), bytes.to_owned()) {
            Some(before) => state.bytes -= before.len(),
            None => state.order.push_back(key.to_owned()),
        }
        state.bytes += bytes.len();
        while state.bytes > self.limit {
            let Some(oldest) = state.order.pop_front() else { break };
            state.bytes -= state.kept.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }
}
