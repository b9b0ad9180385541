//! File handles: a node's number with a proof that this server made them.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use crate::limits::HANDLE_MAX;
use crate::view::NodeId;
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// Bytes in a handle: the node's number, a constant that tells handles from noise, and the proof.
const LENGTH: usize = 32;

const MAGIC: [u8; 8] = *b"loopbox1";

/// A handle as a client sent it: opaque, and not trusted.
#[derive(Clone, Copy)]
pub(crate) struct FileHandle<'a>(&'a [u8]);

/// A handle as it is sent.
#[derive(Clone, Copy)]
pub(crate) struct OwnHandle([u8; LENGTH]);

/// What handles are made and proved with. Whoever has the same secret understands the same handles, so handles
/// outlive a restart of the server.
#[derive(Clone, Copy)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A new secret.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn random() -> std::io::Result<Secret> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Secret(bytes))
    }

    /// A path that cannot be guessed, and that says nothing about the secret it is made from.
    #[must_use]
    pub fn export_path(&self) -> String {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(b"export");
        format!("/{:032x}", hasher.finish128().as_u128())
    }

    pub(crate) fn seal(&self, id: NodeId) -> OwnHandle {
        let mut handle = [0; LENGTH];
        handle[..8].copy_from_slice(&id.to_be_bytes());
        handle[8..16].copy_from_slice(&MAGIC);
        let proof = self.proof(&handle[..16]);
        handle[16..].copy_from_slice(&proof);
        OwnHandle(handle)
    }

    /// The number in a handle that was made with this secret.
    pub(crate) fn open(&self, handle: FileHandle<'_>) -> Option<NodeId> {
        let handle: &[u8; LENGTH] = handle.0.try_into().ok()?;
        let (body, proof) = handle.split_at(16);
        let genuine: bool = self.proof(body).ct_eq(proof).into();
        let (id, magic) = body.split_first_chunk::<8>()?;
        (genuine && magic == MAGIC).then(|| NodeId::from_be_bytes(*id))
    }

    fn proof(&self, body: &[u8]) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(body);
        hasher.finish128().as_bytes()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl OwnHandle {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Decode<'a> for FileHandle<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<FileHandle<'a>, Garbage> {
        from.opaque(HANDLE_MAX).map(FileHandle)
    }
}

impl Encode for OwnHandle {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.opaque(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_handle_itself_opens() {
        let secret = Secret([7; 16]);
        let handle = secret.seal(12345);
        assert_eq!(secret.open(FileHandle(handle.as_bytes())), Some(12345));
        for bit in 0..LENGTH * 8 {
            let mut forged = handle.0;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(secret.open(FileHandle(&forged)), None, "bit {bit} flipped");
        }
        assert_eq!(secret.open(FileHandle(&handle.0[..31])), None);
        assert_eq!(Secret([8; 16]).open(FileHandle(handle.as_bytes())), None);
    }
}
