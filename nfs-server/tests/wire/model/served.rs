//! The steps as calls: each looks its path up from the top, as a client with an empty cache does.

use nfs3_types::nfs3::{ftype3, nfs_fh3, nfsstat3};

use super::{Attributes, Given, Place, Step};
use crate::calls::{mode, size};
use crate::client::Client;
use crate::world::{World, guarded};

/// The whole listing of a directory with a handful of names, in bytes.
const LISTING: u32 = 1 << 16;

/// A scratch of a served view.
pub struct Served {
    client: Client,
    top: nfs_fh3,
}

/// A call's status alone.
type Status<T> = Result<T, nfsstat3>;

fn status<T, E>(given: Result<T, (nfsstat3, E)>) -> Status<T> {
    given.map_err(|(status, _)| status)
}

fn done<T, E>(given: Result<T, (nfsstat3, E)>) -> Status<Given> {
    status(given).map(|_| Given::Nothing)
}

impl Served {
    pub fn new(world: &World) -> Served {
        Served { client: world.root(), top: world.at("build") }
    }

    /// The directory of a path, and the name there, which may be new.
    fn at<'p>(&mut self, path: &[&'p str]) -> Status<(nfs_fh3, &'p [u8])> {
        let (name, above) = path.split_last().expect("a path has names");
        let mut directory = self.top.clone();
        for name in above {
            directory = status(self.client.lookup(&directory, name.as_bytes()))?.object;
        }
        // What is made or removed is so in a directory alone; a client has looked whether it is one.
        match status(self.client.getattr(&directory))?.type_ {
            ftype3::NF3DIR => Ok((directory, name.as_bytes())),
            _ => Err(nfsstat3::NFS3ERR_NOTDIR),
        }
    }

    fn find(&mut self, path: &[&str]) -> Status<nfs_fh3> {
        let (directory, name) = self.at(path)?;
        Ok(status(self.client.lookup(&directory, name))?.object)
    }

    fn list(&mut self, path: &[&str]) -> Status<Given> {
        let directory = self.find(path)?;
        let listed = status(self.client.readdir(&directory, 0, LISTING))?;
        assert!(listed.reply.eof, "a listing that long has an end");
        let names = listed.reply.entries.0.iter().map(|entry| String::from_utf8_lossy(&entry.name.0).into());
        let mut names: Vec<String> = names.filter(|name| name != "." && name != "..").collect();
        names.sort();
        Ok(Given::Names(names))
    }

    fn look(&mut self, path: &[&str]) -> Status<Given> {
        let found = self.find(path)?;
        let told = status(self.client.getattr(&found))?;
        Ok(Given::Attributes(match told.type_ {
            ftype3::NF3REG => Attributes::File { size: told.size, links: told.nlink, mode: told.mode },
            ftype3::NF3DIR => Attributes::Directory { mode: told.mode },
            ftype3::NF3LNK => Attributes::Symlink { size: told.size, links: told.nlink },
            other => panic!("nobody has made {other:?}"),
        }))
    }
}

impl Place for Served {
    fn take(&mut self, step: &Step) -> Status<Given> {
        match step {
            Step::Create(path) => {
                let (directory, name) = self.at(path)?;
                done(self.client.create(&directory, name, guarded(0o644)))
            }
            Step::MakeDirectory(path) => {
                let (directory, name) = self.at(path)?;
                done(self.client.mkdir(&directory, name, mode(0o755)))
            }
            Step::MakeSymlink(path, target) => {
                let (directory, name) = self.at(path)?;
                done(self.client.symlink(&directory, name, target.as_bytes()))
            }
            Step::Remove(path) => {
                let (directory, name) = self.at(path)?;
                done(self.client.remove(&directory, name))
            }
            Step::RemoveDirectory(path) => {
                let (directory, name) = self.at(path)?;
                done(self.client.rmdir(&directory, name))
            }
            Step::Link(from, to) => {
                let file = self.find(from)?;
                let (directory, name) = self.at(to)?;
                // Whoever makes a name has looked it up.
                if self.client.lookup(&directory, name).is_ok() {
                    return Err(nfsstat3::NFS3ERR_EXIST);
                }
                done(self.client.link(&file, &directory, name))
            }
            Step::Rename(from, to) => {
                let ((old, from), (new, to)) = (self.at(from)?, self.at(to)?);
                done(self.client.rename((&old, from), (&new, to)))
            }
            Step::Write(path, offset, bytes) => {
                let file = self.find(path)?;
                let written = status(self.client.write(&file, (*offset).into(), bytes))?;
                assert_eq!(written.count as usize, bytes.len());
                Ok(Given::Nothing)
            }
            Step::Truncate(path, length) => {
                let file = self.find(path)?;
                done(self.client.setattr(&file, size((*length).into())))
            }
            Step::Mode(path, bits) => {
                let found = self.find(path)?;
                if status(self.client.getattr(&found))?.type_ == ftype3::NF3LNK {
                    return Ok(Given::Nothing);
                }
                done(self.client.setattr(&found, mode((*bits).into())))
            }
            Step::Read(path, offset, count) => {
                let file = self.find(path)?;
                let read = status(self.client.read(&file, (*offset).into(), (*count).into()))?;
                Ok(Given::Bytes(read.data.to_vec()))
            }
            Step::ReadLink(path) => {
                let link = self.find(path)?;
                let target = status(self.client.readlink(&link))?.data;
                Ok(Given::Target(String::from_utf8_lossy(&target.0).into()))
            }
            Step::List(path) => self.list(path),
            Step::Look(path) => self.look(path),
        }
    }
}
