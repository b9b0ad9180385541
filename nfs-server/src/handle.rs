//! File handles: a node id with a MAC.

use std::hash::Hasher;

use defences::Defence;
use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use crate::limits::HANDLE_MAX;
use crate::view::NodeId;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// Bytes in a handle: the node id, a magic number and the MAC.
const LENGTH: usize = 32;

const MAGIC: [u8; 8] = *b"loopbox1";

/// A handle received from a client, not verified.
#[derive(Clone, Copy)]
pub(crate) struct FileHandle<'a>(&'a [u8]);

/// A handle to be sent.
#[derive(Clone, Copy)]
pub(crate) struct SignedHandle([u8; LENGTH]);

/// The key of handles' MACs and of the export path. Handles stay valid when a server is restarted with the same key.
#[derive(Clone, Copy)]
pub struct HandleKey([u8; 16]);

impl HandleKey {
    /// A random key.
    ///
    /// # Errors
    /// As getrandom(2).
    pub fn random() -> std::io::Result<HandleKey> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(HandleKey(bytes))
    }

    /// An export path that cannot be guessed and does not disclose the key.
    #[must_use]
    pub fn export_path(&self) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(b"export");
        format!("/{:032x}", hasher.finish128().as_u128())
    }

    pub(crate) fn sign(&self, id: NodeId) -> SignedHandle {
        let mut handle = [0; LENGTH];
        handle[..8].copy_from_slice(&id.to_be_bytes());
        handle[8..16].copy_from_slice(&MAGIC);
        let mac = self.mac(&handle[..16]);
        handle[16..].copy_from_slice(&mac);
        SignedHandle(handle)
    }

    /// The node id of a handle, if it was signed with this key.
    pub(crate) fn verify(&self, handle: FileHandle<'_>) -> Option<NodeId> {
        let handle: &[u8; LENGTH] = handle.0.try_into().ok()?;
        let (body, mac) = handle.split_at(16);
        let genuine = bool::from(self.mac(body).ct_eq(mac)) || !Defence::HandleProof.stands();
        let (id, magic) = body.split_first_chunk::<8>()?;
        (genuine && magic == MAGIC).then(|| NodeId::from_be_bytes(*id))
    }

    fn mac(&self, body: &[u8]) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(body);
        hasher.finish128().as_bytes()
    }
}

impl std::fmt::Debug for HandleKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("HandleKey(..)")
    }
}

impl SignedHandle {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Decode<'a> for FileHandle<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<FileHandle<'a>, Garbage> {
        from.opaque(HANDLE_MAX).map(FileHandle)
    }
}

impl Encode for FileHandle<'_> {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.opaque(self.0);
    }
}

impl Encode for SignedHandle {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.opaque(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_handle_of_this_key_is_verified() {
        let handle_key = HandleKey([7; 16]);
        let handle = handle_key.sign(12345);
        assert_eq!(handle_key.verify(FileHandle(handle.as_bytes())), Some(12345));
        for bit in 0..LENGTH * 8 {
            let mut forged = handle.0;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(handle_key.verify(FileHandle(&forged)), None, "bit {bit} flipped");
        }
        assert_eq!(handle_key.verify(FileHandle(&handle.0[..31])), None);
        assert_eq!(HandleKey([8; 16]).verify(FileHandle(handle.as_bytes())), None);
    }
}
