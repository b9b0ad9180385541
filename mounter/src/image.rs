//! A disk image that is attached for a jail on macOS: what `hdiutil` says of it, which mounts are its own, and how it is
//! written down for a sweep. All but the file itself is pure.
//!
//! An image is no mount alone: the disks that come of it stay when its mount goes. And it lies in a view, which may be
//! dead when it is to go, so that it must not be looked for by its path.

#[cfg(not(target_os = "linux"))]
mod apply;
#[cfg(not(target_os = "linux"))]
pub use apply::sweep_image;

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::mount_table::MountEntry;

/// The beginning of every disk's name; a number follows, and `sN` where it is a part of one.
const DISK: &str = "/dev/disk";

/// The longest record that is read, in bytes: one names a handful of disks.
const RECORD_MAX: u64 = 1 << 16;

/// An image that is attached for a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// The file, without links.
    pub(crate) file: PathBuf,
    /// The view that it is mounted in, as the kernel's table of mounts writes it.
    pub(crate) within: PathBuf,
    /// Its disk, the parts of that, and the disks that the system has made of its containers; none while it is being
    /// attached.
    pub(crate) devices: Vec<String>,
}

/// What `hdiutil attach -plist` prints.
#[derive(Deserialize)]
struct HdiutilAttach {
    #[serde(rename = "system-entities")]
    entities: Vec<Entity>,
}

/// What `hdiutil info -plist` prints.
#[derive(Deserialize)]
struct HdiutilInfo {
    images: Vec<HdiutilImage>,
}

#[derive(Deserialize)]
struct HdiutilImage {
    #[serde(rename = "image-path")]
    file: Option<PathBuf>,
    #[serde(rename = "system-entities", default)]
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "dev-entry")]
    device: String,
}

impl Image {
    /// Takes over what `hdiutil attach -plist` says of the image.
    ///
    /// # Errors
    /// When it is no such text, or names no disk.
    pub(crate) fn attached(self, said: &[u8]) -> io::Result<Image> {
        let HdiutilAttach { entities } = plist::from_bytes(said).map_err(io::Error::other)?;
        let attached = Image { devices: devices(entities), ..self };
        if attached.disk().is_none() {
            return Err(io::Error::other("hdiutil names no disk"));
        }
        Ok(attached)
    }

    /// The disk to detach, such as `/dev/disk4`: all others go with it. It is made first; the disks of its containers
    /// come later, and have higher numbers.
    pub(crate) fn disk(&self) -> Option<&str> {
        let numbered = self.devices.iter().filter_map(|device| Some((number(device)?, device)));
        numbered.min().map(|(_, device)| device.as_str())
    }

    /// The image as `hdiutil info -plist` knows it: attached, and as the same disk, if that is known. The number of a
    /// disk that was detached goes to the next.
    ///
    /// # Errors
    /// When it is no such text.
    pub(crate) fn known(&self, said: &[u8]) -> io::Result<Option<Image>> {
        let HdiutilInfo { images } = plist::from_bytes(said).map_err(io::Error::other)?;
        let same_file = images.into_iter().filter(|image| image.file.as_ref() == Some(&self.file));
        let mut found = same_file.map(|image| Image { devices: devices(image.entities), ..self.clone() });
        Ok(found.find(|image| self.disk().is_none_or(|disk| image.disk() == Some(disk))))
    }

    /// What of it is mounted in the view, the uppermost first. The source of a mount is a disk, or a snapshot on one
    /// (`NAME@DISK`).
    pub(crate) fn mounts<Id: Clone>(&self, table: &[MountEntry<Id>]) -> Vec<MountEntry<Id>> {
        let is_ours = |entry: &&MountEntry<Id>| {
            let disk = entry.device.rsplit_once('@').map_or(&*entry.device, |(_, disk)| disk);
            entry.at.starts_with(&self.within) && self.devices.iter().any(|device| device == disk)
        };
        table.iter().rev().filter(is_ours).cloned().collect()
    }

    /// Writes down what would outlive the jail.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, record: &Path) -> io::Result<()> {
        fs::write(record, serde_json::to_vec(self)?)
    }

    /// What was written down, if anything was.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn read(record: &Path) -> io::Result<Option<Image>> {
        match record.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(found) if found.is_file() && found.len() <= RECORD_MAX => {
                Ok(Some(serde_json::from_slice(&fs::read(record)?)?))
            }
            Ok(_) => Err(io::Error::other("it is no record of a disk image")),
        }
    }
}

fn devices(entities: Vec<Entity>) -> Vec<String> {
    entities.into_iter().map(|entity| entity.device).collect()
}

/// The number of a whole disk.
fn number(device: &str) -> Option<u32> {
    device.strip_prefix(DISK)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Image;
    use crate::mount_table::MountEntry;

    /// In the form that `hdiutil attach -plist` prints: an image with an APFS container, whose volume is mounted.
    const ATTACHED: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
  <key>system-entities</key>
  <array>
    <dict>
      <key>content-hint</key><string>Apple_APFS</string>
      <key>dev-entry</key><string>/dev/disk9s1</string>
      <key>potentially-mountable</key><false/>
      <key>unmapped-content-hint</key><string>7C3457EF-0000-11AA-AA11-00306543ECAC</string>
    </dict>
    <dict>
      <key>content-hint</key><string>EF57347C-0000-11AA-AA11-00306543ECAC</string>
      <key>dev-entry</key><string>/dev/disk10</string>
      <key>potentially-mountable</key><false/>
    </dict>
    <dict>
      <key>content-hint</key><string>GUID_partition_scheme</string>
      <key>dev-entry</key><string>/dev/disk9</string>
      <key>potentially-mountable</key><false/>
    </dict>
    <dict>
      <key>content-hint</key><string>41504653-0000-11AA-AA11-00306543ECAC</string>
      <key>dev-entry</key><string>/dev/disk10s1</string>
      <key>mount-point</key><string>/private/tmp/v/view.noindex/System/Cryptexes/OS</string>
      <key>potentially-mountable</key><true/>
      <key>volume-kind</key><string>apfs</string>
    </dict>
  </array>
</dict></plist>
"#;

    /// In the form of `hdiutil info -plist`.
    const INFO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
  <key>framework</key><string>671.100.2</string>
  <key>images</key>
  <array>
    <dict>
      <key>blockcount</key><integer>7340032</integer>
      <key>image-encrypted</key><false/>
      <key>image-path</key><string>/System/os.dmg</string>
      <key>system-entities</key>
      <array><dict><key>dev-entry</key><string>/dev/disk9</string></dict></array>
    </dict>
    <dict><key>icon-path</key><string>/x</string></dict>
  </array>
  <key>revision</key><string>1</string>
</dict></plist>
"#;

    fn unattached() -> Image {
        let within = "/private/tmp/v/view.noindex".into();
        Image { file: "/System/os.dmg".into(), within, devices: Vec::new() }
    }

    fn image() -> Image {
        unattached().attached(ATTACHED.as_bytes()).unwrap()
    }

    #[test]
    fn the_disk_to_detach_is_the_images_own() {
        assert_eq!(image().devices, ["/dev/disk9s1", "/dev/disk10", "/dev/disk9", "/dev/disk10s1"]);
        assert_eq!(image().disk(), Some("/dev/disk9"));
        assert!(unattached().attached(b"hdiutil: attach failed - no mountable file systems").is_err());
        let none = br#"<plist version="1.0"><dict><key>system-entities</key><array/></dict></plist>"#;
        let error = unattached().attached(none).unwrap_err();
        assert_eq!(error.to_string(), "hdiutil names no disk");
    }

    #[test]
    fn only_what_of_the_image_is_in_the_view_is_unmounted() {
        let entry = |id, at: &str, device: &str| MountEntry {
            at: at.into(),
            kind: "apfs".into(),
            device: device.into(),
            flags: 0,
            id,
        };
        let table = [
            entry(0, "/", "com.apple.os.update-1@/dev/disk3s1s1"),
            entry(1, "/private/tmp/v/view.noindex", "127.0.0.1:/3f9a"),
            entry(2, "/private/tmp/v/view.noindex/System/Cryptexes/OS", "os.snapshot@/dev/disk10s1"),
            entry(3, "/private/tmp/v/view.noindex/System/Cryptexes/OS", "/dev/disk10s1"),
            entry(4, "/Volumes/os", "/dev/disk10s1"),
            entry(5, "/private/tmp/v/view.noindex/other", "/dev/disk10s11"),
        ];
        let ours = image().mounts(&table);
        assert_eq!(ours.iter().map(|entry| entry.id).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(unattached().mounts(&table).len(), 0);
    }

    #[test]
    fn a_disk_that_is_another_image_by_now_is_not_ours() {
        let known = |image: &Image| image.known(INFO.as_bytes()).unwrap();
        let found = Image { devices: vec!["/dev/disk9".into()], ..unattached() };
        // What was being attached is found by its file alone.
        assert_eq!(known(&unattached()), Some(found.clone()));
        assert_eq!(known(&image()), Some(found.clone()));
        assert_eq!(known(&Image { devices: vec!["/dev/disk8".into()], ..unattached() }), None);
        assert_eq!(known(&Image { file: "/other.dmg".into(), ..found }), None);
        assert!(image().known(b"").is_err());
    }

    #[test]
    fn what_is_written_down_is_read_back() {
        let place = tempfile::tempdir().unwrap();
        let record = place.path().join("1-0.image");
        assert_eq!(Image::read(&record).unwrap(), None);
        image().write(&record).unwrap();
        assert_eq!(Image::read(&record).unwrap(), Some(image()));
        fs::write(&record, "{").unwrap();
        assert!(Image::read(&record).is_err());
    }
}
