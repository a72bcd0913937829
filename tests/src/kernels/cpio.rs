//! A writer of cpio archives in the "newc" form, the one the kernel unpacks an initramfs from
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).

/// An archive in the making. Parents come before their children, as the kernel makes no directory by itself.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

impl Archive {
    /// A directory that everybody may enter.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// A file with its permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, (0, 0), content);
    }

    /// A character device.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path, CHARACTER | 0o600, (major, minor), &[]);
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    /// The largest file a newc header can state is 4 GiB; what is longer is cut to that, which the kernel then refuses.
    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.entries += 1;
        let name = path.trim_start_matches('/');
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let links = 1;
        let fields =
            [self.entries, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_headers_names_and_contents_padded_to_four() {
        let mut archive = Archive::default();
        archive.directory("/d");
        archive.file("d/f", 0o755, b"hello");
        archive.character_device("c", 5, 1);
        let text = String::from_utf8(archive.finish()).unwrap().replace('\0', ".");
        let header = |number: &str, mode: &str, size: &str, device: &str, name_size: &str| {
            let zero = "00000000";
            let one = "00000001";
            [number, mode, zero, zero, one, zero, size, zero, zero, device, name_size, zero]
                .concat()
        };
        let expect = [
            "070701",
            &header("00000001", "000041ED", "00000000", "0000000000000000", "00000002"),
            "d.",
            "070701",
            &header("00000002", "000081ED", "00000005", "0000000000000000", "00000004"),
            "d/f...hello...",
            "070701",
            &header("00000003", "00002180", "00000000", "0000000500000001", "00000002"),
            "c.",
            "070701",
            &header("00000004", "00000000", "00000000", "0000000000000000", "0000000B"),
            "TRAILER!!!....",
        ];
        assert_eq!(text, expect.concat());
        assert_eq!(text.len() % 4, 0);
    }
}
