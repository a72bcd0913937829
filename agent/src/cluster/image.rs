//! The reference of a container's image: `host/path:tag@digest`, of which a tag or a digest may be missing.

use std::sync::Arc;

use super::fact::some;

/// An image by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it is from, without tag and digest.
    pub name: Arc<str>,
    /// The tag.
    pub tag: Option<Arc<str>>,
    /// `sha256:..`
    pub digest: Option<Arc<str>>,
}

impl Image {
    /// Of a reference; none if it is the bare id of an image, which names nothing.
    pub fn parse(reference: &str) -> Option<Self> {
        let reference = reference.trim();
        let is_id = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id(reference) || reference.strip_prefix("sha256:").is_some_and(is_id) {
            return None;
        }
        let (tagged, digest) = match reference.split_once('@') {
            Some((tagged, digest)) => (tagged, some(digest)),
            None => (reference, None),
        };
        // A colon before the last slash is that of a port.
        let (name, tag) = match tagged.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, some(tag)),
            _ => (tagged, None),
        };
        Some(Self { name: some(name)?, tag, digest })
    }

    /// What of it says which version this is.
    pub(super) fn version(&self) -> Option<Arc<str>> {
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}").into()),
            (None, Some(digest)) => Some(Arc::clone(digest)),
            (tag, None) => tag.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Image;

    #[test]
    fn references_are_taken_apart() {
        let check = |reference: &str, expect: Option<[Option<&str>; 4]>| {
            let image = Image::parse(reference);
            let told = image.as_ref().map(|image| {
                let version = image.version().map(|v| v.to_string());
                let (tag, digest) = (image.tag.as_deref(), image.digest.as_deref());
                [Some(&*image.name), tag, digest]
                    .map(|t| t.map(str::to_owned))
                    .into_iter()
                    .chain([version])
                    .collect::<Vec<_>>()
            });
            let expect = expect.map(|e| e.map(|t| t.map(str::to_owned)).to_vec());
            assert_eq!(told, expect, "{reference}");
        };
        check("nginx", Some([Some("nginx"), None, None, None]));
        check("nginx:1.27", Some([Some("nginx"), Some("1.27"), None, Some("1.27")]));
        check("here:5000/a/b", Some([Some("here:5000/a/b"), None, None, None]));
        check("here:5000/a/b:v2", Some([Some("here:5000/a/b"), Some("v2"), None, Some("v2")]));
        check("a/b@sha256:1f", Some([Some("a/b"), None, Some("sha256:1f"), Some("sha256:1f")]));
        check(
            "h:1/a:v@sha256:1f",
            Some([Some("h:1/a"), Some("v"), Some("sha256:1f"), Some("v@sha256:1f")]),
        );
        check(&format!("sha256:{}", "a".repeat(64)), None);
        check(&"0".repeat(64), None);
        check("", None);
        check(":v1", None);
        check("@", None);
    }
}
