//! The symbolic links of an image, and where a path leads through them. The cost of a path is that of its bytes, however deep
//! it lies and however many links there are.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};

/// How many links a path may lead through; Linux has 40.
const FOLLOWED: usize = 40;
/// How many bytes the targets of these links may have together, and where a path ends that leads through them: what Linux
/// takes for one path.
const BYTES: usize = 4096;

/// Symbolic links by their path.
///
/// They lie under a hash that is built component by component: going down a path asks at every step whether a link is there,
/// and a map of paths would hash the whole path each time. The hash has a secret key, so that nobody makes two paths meet.
#[derive(Debug, Default)]
pub(super) struct Links {
    key: RandomState,
    links: HashMap<u64, Link>,
}

#[derive(Debug)]
struct Link {
    path: Box<[u8]>,
    target: Box<[u8]>,
}

impl Links {
    pub(super) fn clear(&mut self) {
        self.links.clear();
    }

    /// Adds a link, or gives one another target.
    pub(super) fn insert(&mut self, path: &[u8], target: &[u8]) {
        let hash = self.hash(path);
        self.links.insert(hash, Link { path: path.into(), target: target.into() });
    }

    /// Removes a link; how long its target was, where there was one.
    pub(super) fn remove(&mut self, path: &[u8]) -> Option<usize> {
        if self.links.is_empty() {
            return None;
        }
        let hash = self.hash(path);
        let length = self.at(hash, path)?.len();
        self.links.remove(&hash);
        Some(length)
    }

    /// The target of the link at this very path.
    pub(super) fn get(&self, path: &[u8]) -> Option<&[u8]> {
        self.at(self.hash(path), path)
    }

    /// A path with all links resolved, the last component too. A loop, and a way that is longer than any real one, ends where
    /// it is.
    pub(super) fn resolve(&self, path: &[u8]) -> Vec<u8> {
        if self.links.is_empty() {
            return path.to_vec();
        }
        let mut resolved: Vec<u8> = Vec::with_capacity(path.len());
        let mut hash = self.key.build_hasher();
        // For each component of `resolved`: where it starts, and the hash of what is before it.
        let mut passed: Vec<(usize, DefaultHasher)> = Vec::new();
        let (mut ahead, mut followed, mut room) = (vec![path], 0, BYTES);
        while let Some(rest) = ahead.pop() {
            let (component, rest) = match memchr::memchr(b'/', rest) {
                Some(slash) => (rest.get(..slash).unwrap_or_default(), rest.get(slash + 1..).unwrap_or_default()),
                None => (rest, &[][..]),
            };
            if !rest.is_empty() {
                ahead.push(rest);
            }
            match component {
                b"" | b"." => {}
                b".." => {
                    if let Some((start, before)) = passed.pop() {
                        resolved.truncate(start);
                        hash = before;
                    }
                }
                _ => {
                    let (start, before) = (resolved.len(), hash.clone());
                    if start > 0 {
                        resolved.push(b'/');
                    }
                    resolved.extend_from_slice(component);
                    add(&mut hash, component);
                    match self.at(hash.finish(), &resolved) {
                        Some(target) if followed < FOLLOWED && target.len() <= room => {
                            followed += 1;
                            room -= target.len();
                            if target.starts_with(b"/") {
                                resolved.clear();
                                passed.clear();
                                hash = self.key.build_hasher();
                            } else {
                                resolved.truncate(start);
                                hash = before;
                            }
                            ahead.push(target);
                        }
                        _ if resolved.len() > BYTES => return resolved,
                        _ => passed.push((start, before)),
                    }
                }
            }
        }
        resolved
    }

    fn at(&self, hash: u64, path: &[u8]) -> Option<&[u8]> {
        self.links.get(&hash).filter(|link| *link.path == *path).map(|link| &*link.target)
    }

    fn hash(&self, path: &[u8]) -> u64 {
        let mut hash = self.key.build_hasher();
        path.split(|byte| *byte == b'/').for_each(|component| add(&mut hash, component));
        hash.finish()
    }
}

fn add(hash: &mut DefaultHasher, component: &[u8]) {
    hash.write(component);
    hash.write_u8(b'/');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_where_linux_would() {
        let mut links = Links::default();
        assert_eq!(links.resolve(b"a/../b"), b"a/../b");
        for (path, target) in [
            ("lib", "usr/lib"),
            ("usr/lib/x", "../share/x"),
            ("abs", "/usr"),
            ("up", "../../.."),
            ("a", "b"),
            ("b", "a"),
            ("self", "self/self"),
            ("empty", ""),
        ] {
            links.insert(path.as_bytes(), target.as_bytes());
        }
        for (path, resolved) in [
            ("lib", "usr/lib"),
            ("lib/y", "usr/lib/y"),
            ("lib/x/y", "usr/share/x/y"),
            ("abs/lib/x", "usr/share/x"),
            ("up/etc", "etc"),
            ("libx/y", "libx/y"),
            ("lib/../etc", "usr/etc"),
            ("empty/z", "z"),
            ("a/z", "a/z"),
        ] {
            assert_eq!(links.resolve(path.as_bytes()), resolved.as_bytes(), "{path}");
        }
        assert!(links.resolve(b"self/z").ends_with(b"/z"));
        assert_eq!((links.remove(b"lib"), links.remove(b"lib"), links.get(b"lib")), (Some(7), None, None));
        assert_eq!(links.resolve(b"lib/y"), b"lib/y");
    }
}
