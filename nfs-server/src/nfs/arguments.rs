//! Arguments and results that several procedures share.

use super::attributes::{PostOp, PreOpAttr, Wcc};
use super::status::Status;
use crate::call::Call;
use crate::handle::{FileHandle, SignedHandle};
use crate::view::{Attributes, Caller, Node, PATH_MAX, Writable};
use crate::xdr::{Decode, Decoder, Encode, Encoder, Garbage};

/// `diropargs3`: a name in a directory. Too long names are decoded, to be refused with NAMETOOLONG.
pub(super) struct DirOp<'a> {
    pub(super) directory: FileHandle<'a>,
    pub(super) name: &'a [u8],
}

/// The result of CREATE, MKDIR, SYMLINK and MKNOD.
pub(super) struct Created {
    pub(super) handle: SignedHandle,
    pub(super) attributes: Attributes,
    pub(super) directory: Wcc,
}

impl<'a> Decode<'a> for DirOp<'a> {
    fn decode(from: &mut Decoder<'a>) -> Result<DirOp<'a>, Garbage> {
        Ok(DirOp { directory: FileHandle::decode(from)?, name: from.opaque(PATH_MAX)? })
    }
}

impl Encode for Created {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.optional(Some(&self.handle));
        PostOp(Some(self.attributes)).encode(to);
        self.directory.encode(to);
    }
}

impl Call<'_> {
    pub(super) fn caller(&self) -> Caller<'_> {
        self.credentials.caller()
    }

    /// The node of a handle: BADHANDLE if this server did not sign it, STALE if the file was removed.
    pub(super) fn node(&self, handle: FileHandle<'_>) -> Result<Node, Status> {
        let id = self.service.handle_key.verify(handle).ok_or(Status::BadHandle)?;
        self.service.view.node(id).map_err(Status::from)
    }

    /// The directory of a name that is to be changed.
    pub(super) fn writable_names(&self, place: &DirOp<'_>) -> Result<Writable<'_>, Status> {
        let directory = self.node(place.directory)?;
        self.service.view.writable_names(&directory, place.name, self.caller()).map_err(Status::from)
    }

    /// The node of a handle, to change it.
    pub(super) fn writable(&self, handle: FileHandle<'_>) -> Result<Writable<'_>, Status> {
        self.service.view.writable(self.node(handle)?).map_err(Status::from)
    }

    pub(super) fn handle(&self, node: &Node) -> SignedHandle {
        self.service.handle_key.sign(node.id())
    }

    /// A node's attributes, where a reply may leave them out.
    pub(super) fn post_op(&self, node: &Node) -> PostOp {
        PostOp(self.service.view.attributes(node).ok())
    }

    /// The attributes of a node before a change.
    pub(super) fn pre_op(&self, node: &Node) -> Option<PreOpAttr> {
        self.service.view.last_attributes(node).map(PreOpAttr::from)
    }

    /// Changes a name in a directory, and returns the directory's `wcc_data`.
    pub(super) fn change<T>(
        &self,
        directory: &Writable<'_>,
        name: &[u8],
        change: impl FnOnce() -> Result<T, crate::view::Error>,
    ) -> Result<(T, Wcc), super::Failure<Wcc>> {
        let before = self.pre_op(directory.node());
        let result = change();
        let wcc = Wcc { before, after: directory.attributes().ok() };
        match result {
            Ok(value) => Ok((value, wcc)),
            Err(error) => {
                directory.refused(name, error);
                Err(super::Failure { status: error.into(), body: wcc })
            }
        }
    }

    /// Creates a node in a directory.
    ///
    /// In a read-only directory an existing name gives EXIST rather than ROFS, as on local file systems. Linux's client
    /// relies on it since 6.10: for open(2) with `O_CREAT`, as shells do for `>/dev/null`, it calls CREATE first and looks
    /// the name up only after EXIST.
    pub(super) fn make(
        &self,
        place: &DirOp<'_>,
        make: impl FnOnce(&Writable<'_>) -> Result<(Node, Attributes), crate::view::Error>,
    ) -> Result<Created, super::Failure<Wcc>> {
        let view = &self.service.view;
        let node = self.node(place.directory)?;
        if !view.is_writable(&node) && view.lookup(&node, place.name, self.caller()).is_ok() {
            return Err(crate::view::Error::Exists.into());
        }
        let directory = self.writable_names(place)?;
        let ((node, attributes), wcc) = self.change(&directory, place.name, || make(&directory))?;
        Ok(Created { handle: self.handle(&node), attributes, directory: wcc })
    }
}
