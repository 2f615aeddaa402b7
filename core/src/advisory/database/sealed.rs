//! For tests: a file whose digests are right, whatever else is in it. Who writes a database on purpose makes these too.

use sha2::{Digest as _, Sha256};

use super::format::{BLOCK_HEAD, BlockHead, HEADER, Header, Section, encode_block};

/// Makes the digests of `file` right: those of the blocks behind the header one after the other, of the index and the
/// contents, and of the header, which also learns how long the file is.
pub(crate) fn seal(file: &mut [u8]) {
    let length = file.len() as u64;
    let Some(mut header) = file.first_chunk::<HEADER>().map(Header::fields) else { return };
    let mut at = HEADER;
    while let Some(head) = file.get(at..).and_then(BlockHead::decode) {
        let end = at + BLOCK_HEAD + head.length as usize;
        let Some(payload) = file.get(at + BLOCK_HEAD..end) else { break };
        let Ok(block) = encode_block(header.generation, at as u64, payload, head.more) else { break };
        put(file, at, &block);
        at = end;
    }
    let part = |section: Section| file.get(section.offset as usize..section.end() as usize).unwrap_or_default();
    let digest = Sha256::new().chain_update(part(header.index)).chain_update(part(header.contents)).finalize();
    header.digest.copy_from_slice(&digest);
    header.total = length;
    put(file, 0, &header.encode());
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
}
