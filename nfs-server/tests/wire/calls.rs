//! The procedures of NFSv3 as methods: plain arguments in, `nfs3_types` results out.

use nfs3_types::nfs3::*;
use nfs3_types::xdr_codec::{Opaque, Void};

use super::client::{Client, Given, given};

/// A name in a directory.
pub fn at<'n>(directory: &nfs_fh3, name: &'n [u8]) -> diropargs3<'n> {
    diropargs3 { dir: directory.clone(), name: name.into() }
}

/// Attributes to set: this mode and nothing else.
pub fn mode(mode: u32) -> sattr3 {
    sattr3 { mode: Nfs3Option::Some(mode), ..sattr3::default() }
}

/// Attributes to set: this length and nothing else.
pub fn size(size: u64) -> sattr3 {
    sattr3 { size: Nfs3Option::Some(size), ..sattr3::default() }
}

/// Attributes to set: these owners and nothing else.
pub fn owner(uid: Option<u32>, gid: Option<u32>) -> sattr3 {
    let option = |id: Option<u32>| id.map_or(Nfs3Option::None, Nfs3Option::Some);
    sattr3 { uid: option(uid), gid: option(gid), ..sattr3::default() }
}

impl Client {
    pub fn null(&mut self) -> Void {
        self.nfs(NFS_PROGRAM::NFSPROC3_NULL, &Void)
    }

    pub fn getattr(&mut self, object: &nfs_fh3) -> Given<fattr3, Void> {
        let arguments = GETATTR3args { object: object.clone() };
        let result: GETATTR3res = self.nfs(NFS_PROGRAM::NFSPROC3_GETATTR, &arguments);
        given(result).map(|done| done.obj_attributes)
    }

    pub fn setattr(&mut self, object: &nfs_fh3, set: sattr3) -> Given<SETATTR3resok, SETATTR3resfail> {
        self.setattr_guarded(object, set, Nfs3Option::None)
    }

    pub fn setattr_guarded(
        &mut self,
        object: &nfs_fh3,
        new_attributes: sattr3,
        guard: sattrguard3,
    ) -> Given<SETATTR3resok, SETATTR3resfail> {
        let arguments = SETATTR3args { object: object.clone(), new_attributes, guard };
        given::<SETATTR3resok, SETATTR3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_SETATTR, &arguments))
    }

    pub fn lookup(&mut self, directory: &nfs_fh3, name: &[u8]) -> Given<LOOKUP3resok, LOOKUP3resfail> {
        given::<LOOKUP3resok, LOOKUP3resfail>(
            self.nfs(NFS_PROGRAM::NFSPROC3_LOOKUP, &LOOKUP3args { what: at(directory, name) }),
        )
    }

    pub fn access(&mut self, object: &nfs_fh3, access: u32) -> Given<ACCESS3resok, ACCESS3resfail> {
        let arguments = ACCESS3args { object: object.clone(), access };
        given::<ACCESS3resok, ACCESS3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_ACCESS, &arguments))
    }

    pub fn readlink(&mut self, link: &nfs_fh3) -> Given<READLINK3resok<'static>, READLINK3resfail> {
        let arguments = READLINK3args { symlink: link.clone() };
        given::<READLINK3resok<'static>, _>(self.nfs(NFS_PROGRAM::NFSPROC3_READLINK, &arguments))
    }

    pub fn read(
        &mut self,
        file: &nfs_fh3,
        offset: u64,
        count: u32,
    ) -> Given<READ3resok<'static>, READ3resfail> {
        let arguments = READ3args { file: file.clone(), offset, count };
        given::<READ3resok<'static>, _>(self.nfs(NFS_PROGRAM::NFSPROC3_READ, &arguments))
    }

    pub fn write(&mut self, file: &nfs_fh3, offset: u64, data: &[u8]) -> Given<WRITE3resok, WRITE3resfail> {
        self.write_stable(file, offset, data, stable_how::UNSTABLE)
    }

    pub fn write_stable(
        &mut self,
        file: &nfs_fh3,
        offset: u64,
        data: &[u8],
        stable: stable_how,
    ) -> Given<WRITE3resok, WRITE3resfail> {
        let (file, count) = (file.clone(), data.len() as u32);
        let arguments = WRITE3args { file, offset, count, stable, data: Opaque::borrowed(data) };
        given::<WRITE3resok, WRITE3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_WRITE, &arguments))
    }

    pub fn create(
        &mut self,
        directory: &nfs_fh3,
        name: &[u8],
        how: createhow3,
    ) -> Given<CREATE3resok, CREATE3resfail> {
        let arguments = CREATE3args { where_: at(directory, name), how };
        given::<CREATE3resok, CREATE3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_CREATE, &arguments))
    }

    pub fn mkdir(
        &mut self,
        directory: &nfs_fh3,
        name: &[u8],
        attributes: sattr3,
    ) -> Given<MKDIR3resok, MKDIR3resfail> {
        let arguments = MKDIR3args { where_: at(directory, name), attributes };
        given::<MKDIR3resok, MKDIR3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_MKDIR, &arguments))
    }

    pub fn symlink(
        &mut self,
        directory: &nfs_fh3,
        name: &[u8],
        target: &[u8],
    ) -> Given<SYMLINK3resok, SYMLINK3resfail> {
        let symlink = symlinkdata3 { symlink_attributes: mode(0o777), symlink_data: target.into() };
        let arguments = SYMLINK3args { where_: at(directory, name), symlink };
        given::<SYMLINK3resok, SYMLINK3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_SYMLINK, &arguments))
    }

    pub fn mknod(
        &mut self,
        directory: &nfs_fh3,
        name: &[u8],
        what: mknoddata3,
    ) -> Given<MKNOD3resok, MKNOD3resfail> {
        let arguments = MKNOD3args { where_: at(directory, name), what };
        given::<MKNOD3resok, MKNOD3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_MKNOD, &arguments))
    }

    pub fn remove(&mut self, directory: &nfs_fh3, name: &[u8]) -> Given<REMOVE3resok, REMOVE3resfail> {
        given::<REMOVE3resok, REMOVE3resfail>(
            self.nfs(NFS_PROGRAM::NFSPROC3_REMOVE, &REMOVE3args { object: at(directory, name) }),
        )
    }

    pub fn rmdir(&mut self, directory: &nfs_fh3, name: &[u8]) -> Given<RMDIR3resok, RMDIR3resfail> {
        given::<RMDIR3resok, RMDIR3resfail>(
            self.nfs(NFS_PROGRAM::NFSPROC3_RMDIR, &RMDIR3args { object: at(directory, name) }),
        )
    }

    pub fn rename(
        &mut self,
        (from_directory, from): (&nfs_fh3, &[u8]),
        (to_directory, to): (&nfs_fh3, &[u8]),
    ) -> Given<RENAME3resok, RENAME3resfail> {
        let arguments = RENAME3args { from: at(from_directory, from), to: at(to_directory, to) };
        given::<RENAME3resok, RENAME3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_RENAME, &arguments))
    }

    pub fn link(
        &mut self,
        file: &nfs_fh3,
        directory: &nfs_fh3,
        name: &[u8],
    ) -> Given<LINK3resok, LINK3resfail> {
        let arguments = LINK3args { file: file.clone(), link: at(directory, name) };
        given::<LINK3resok, LINK3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_LINK, &arguments))
    }

    pub fn readdir(
        &mut self,
        directory: &nfs_fh3,
        cookie: u64,
        count: u32,
    ) -> Given<READDIR3resok<'static>, READDIR3resfail> {
        let cookieverf = cookieverf3::default();
        let arguments = READDIR3args { dir: directory.clone(), cookie, cookieverf, count };
        given::<READDIR3resok<'static>, _>(self.nfs(NFS_PROGRAM::NFSPROC3_READDIR, &arguments))
    }

    pub fn readdirplus(
        &mut self,
        directory: &nfs_fh3,
        cookie: u64,
        maxcount: u32,
    ) -> Given<READDIRPLUS3resok<'static>, READDIRPLUS3resfail> {
        let (dir, cookieverf) = (directory.clone(), cookieverf3::default());
        let arguments = READDIRPLUS3args { dir, cookie, cookieverf, dircount: maxcount, maxcount };
        given::<READDIRPLUS3resok<'static>, _>(self.nfs(NFS_PROGRAM::NFSPROC3_READDIRPLUS, &arguments))
    }

    pub fn fsstat(&mut self, fsroot: &nfs_fh3) -> Given<FSSTAT3resok, FSSTAT3resfail> {
        let arguments = FSSTAT3args { fsroot: fsroot.clone() };
        given::<FSSTAT3resok, FSSTAT3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_FSSTAT, &arguments))
    }

    pub fn fsinfo(&mut self, fsroot: &nfs_fh3) -> Given<FSINFO3resok, FSINFO3resfail> {
        let arguments = FSINFO3args { fsroot: fsroot.clone() };
        given::<FSINFO3resok, FSINFO3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_FSINFO, &arguments))
    }

    pub fn pathconf(&mut self, object: &nfs_fh3) -> Given<PATHCONF3resok, PATHCONF3resfail> {
        let arguments = PATHCONF3args { object: object.clone() };
        given::<PATHCONF3resok, PATHCONF3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_PATHCONF, &arguments))
    }

    pub fn commit(&mut self, file: &nfs_fh3) -> Given<COMMIT3resok, COMMIT3resfail> {
        let arguments = COMMIT3args { file: file.clone(), offset: 0, count: 0 };
        given::<COMMIT3resok, COMMIT3resfail>(self.nfs(NFS_PROGRAM::NFSPROC3_COMMIT, &arguments))
    }
}
