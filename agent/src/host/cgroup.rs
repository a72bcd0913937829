//! The control group of a process, and what its path tells: a container, a pod, a systemd unit.

use agent_common::limit;

use super::text;

/// Where a process stands in the hierarchy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cgroup {
    /// The path that says most: of the unified hierarchy if it is in use, else of systemd's, else of any.
    pub path: String,
    /// The container.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod.
    pub pod: Option<String>,
    /// The systemd unit with its suffix (`foo@1.service`), unless it is in a container.
    pub unit: Option<String>,
}

impl Cgroup {
    /// From the content of `/proc/PID/cgroup` (v1, v2 and hybrid).
    pub fn parse(content: &[u8]) -> Self {
        Self::of_paths(content.split(|b| *b == b'\n').take(64).filter_map(|line| {
            let mut fields = line.splitn(3, |b| *b == b':');
            let (Some(_), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                return None;
            };
            // The group may have been removed below the process.
            let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
            Some((controllers, text::limited(path, 4096)))
        }))
    }

    /// From the names in the record of a new program; none if they are not whole. They are seen from the
    /// host, whatever namespace the agent is in.
    pub fn of_names(names: &[u8]) -> Option<Self> {
        let mut paths = Vec::new();
        let mut path = Vec::new();
        for name in names.strip_suffix(b"\0")?.split(|b| *b == 0) {
            if name.is_empty() {
                let from_root = path.drain(..).rev().map(|name| format!("/{name}"));
                paths.push(Some(from_root.collect::<String>()).filter(|path| !path.is_empty()));
            } else if name.len() < limit::EXEC_GROUP - 1 {
                path.push(text::limited(name, limit::EXEC_GROUP));
            } else {
                return None;
            }
        }
        if !path.is_empty() {
            return None;
        }
        let of = [&b""[..], b"pids"].into_iter();
        Some(Self::of_paths(of.zip(paths.into_iter().map(|path| path.unwrap_or("/".to_owned())))))
    }

    /// From a path in each hierarchy, by the controllers of it.
    fn of_paths<'a>(paths: impl Iterator<Item = (&'a [u8], String)>) -> Self {
        let mut unified = None;
        let mut systemd = None;
        let mut any: Option<String> = None;
        let mut container = None;
        let mut pod = None;
        for (controllers, path) in paths {
            container = container.or_else(|| container_of(&path));
            pod = pod.or_else(|| pod_of(&path));
            match controllers {
                b"" => unified = Some(path),
                b"name=systemd" => systemd = Some(path),
                _ if any.as_ref().is_none_or(|a| a.len() < path.len()) => any = Some(path),
                _ => {}
            }
        }
        let says = |path: &Option<String>| path.as_ref().is_some_and(|p| p != "/");
        let path = [&unified, &systemd, &any]
            .into_iter()
            .find(|p| says(p))
            .or([&unified, &systemd, &any].into_iter().find(|p| p.is_some()))
            .cloned()
            .flatten()
            .unwrap_or_default();
        let unit = if container.is_some() {
            None
        } else {
            // On a hybrid host the unified hierarchy may be empty and systemd's own be in use.
            [unified, systemd].into_iter().flatten().find_map(|path| unit_of(&path))
        };
        Self { path, container, pod, unit }
    }

    /// True if a container runtime made it: one that names containers as it likes may be a host to the agent.
    pub fn is_in_container(&self) -> bool {
        self.container.as_deref().is_some_and(is_id)
    }

    /// True if the path alone cannot tell: it is the root of a namespace, or above it.
    pub fn is_namespaced(&self) -> bool {
        self.container.is_none() && (self.path == "/" || self.path.starts_with("/.."))
    }
}

/// The container id in a cgroup path, innermost first.
///
/// Known: docker, containerd, CRI-O, podman, kubelet with either driver, ECS on EC2 and Fargate,
/// LXC, Garden, and the job containers of CI runners.
pub fn container_of(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let parent = |i: usize| i.checked_sub(1).and_then(|i| segments.get(i)).copied().unwrap_or("");
    segments.iter().enumerate().rev().find_map(|(i, segment)| {
        of_segment(segment, parent(i), parent(i.saturating_sub(1))).map(str::to_owned)
    })
}

fn of_segment<'a>(segment: &'a str, parent: &str, grandparent: &str) -> Option<&'a str> {
    if let Some(name) = segment.strip_prefix("lxc.payload.") {
        return (!name.is_empty()).then_some(name);
    }
    match parent {
        "lxc" | "lxc.payload" => return Some(segment),
        "garden" if segment.len() >= 8 && segment.bytes().all(hex_or_dash) => return Some(segment),
        _ => {}
    }
    // Fargate: /ecs/<task>/<task>-<number>.
    if grandparent == "ecs"
        && let Some(number) = segment.strip_prefix(parent).and_then(|s| s.strip_prefix('-'))
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return Some(segment);
    }
    if is_id(segment) {
        return Some(segment);
    }
    // kubepods-pod<uid>.slice:cri-containerd:<id>
    if let Some((_, id)) = segment.rsplit_once(':')
        && is_id(id)
    {
        return Some(id);
    }
    let (runtime, id) = segment.strip_suffix(".scope").unwrap_or(segment).rsplit_once('-')?;
    (is_id(id) && !runtime.ends_with("conmon")).then_some(id)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn hex_or_dash(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')
}

/// The longest uid of a pod: that of a static pod may be any name.
const UID: usize = 63;

/// The uid of the Kubernetes pod in a cgroup path, innermost first.
///
/// The kubelet names a pod's group `pod<uid>` with its own driver, `kubepods-<class>-pod<uid>.slice` with
/// systemd's, where `_` stands for `-`. A uid is a UUID; that of a static pod is the hash of its file, which the
/// API server knows by an annotation only.
pub fn pod_of(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    let pods = segments.iter().position(|segment| segment.ends_with("kubepods"));
    segments.iter().enumerate().rev().find_map(|(at, segment)| {
        // The form that containerd gives what systemd does not run: <slice>:cri-containerd:<id>
        let group = segment.split(':').next().unwrap_or(segment);
        let is_below = pods.is_some_and(|pods| pods < at);
        uid_of_slice(group).or_else(|| uid_of_group(group, is_below))
    })
}

fn uid_of_slice(group: &str) -> Option<String> {
    let (class, uid) = group.strip_suffix(".slice")?.rsplit_once("-pod")?;
    let known = ["kubepods", "kubepods-burstable", "kubepods-besteffort"];
    // A kubelet with a root of its own, as in kind, has that in front.
    let is_pods = known.iter().any(|known| {
        class.strip_suffix(known).is_some_and(|root| root.is_empty() || root.ends_with('-'))
    });
    (is_pods && is_uid(uid)).then(|| uid.replace('_', "-"))
}

/// Seen from a group beside it, the path does not say that this is below the kubelet's: then the uid must look like one.
fn uid_of_group(group: &str, is_below_pods: bool) -> Option<String> {
    let uid = group.strip_prefix("pod").filter(|uid| is_uid(uid))?;
    let is_usual = matches!(uid.len(), 32 | 36) && uid.bytes().all(hex_or_dash);
    (is_usual || is_below_pods).then(|| uid.to_owned())
}

fn is_uid(text: &str) -> bool {
    let is_of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= UID && text.bytes().all(is_of_name)
}

/// The container id in `/proc/PID/mountinfo`: for a process whose cgroup path is hidden by a namespace.
///
/// The engines bind files of their own per-container directory (`hostname`, `resolv.conf`) into
/// the container. The sandbox directories of containerd are those of the pod, and do not count.
pub fn container_of_mounts(mountinfo: &[u8]) -> Option<String> {
    mountinfo.split(|b| *b == b'\n').take(4096).find_map(|line| {
        let mut fields = line.split(|b| *b == b' ').skip(3);
        let source = std::str::from_utf8(fields.next()?).ok()?;
        let mut segments = source.split('/').rev();
        let _file = segments.next()?;
        let mut before = segments.next()?;
        for segment in segments {
            if matches!(segment, "containers" | "overlay-containers" | "docker" | "libpod")
                && is_id(before)
            {
                return Some(before.to_owned());
            }
            before = segment;
        }
        // A cgroup mount of version 1 shows the hidden part of the path as its root.
        let rest: Vec<&[u8]> = fields.collect();
        let dash = rest.iter().position(|f| *f == b"-")?;
        (*rest.get(dash + 1)? == b"cgroup").then(|| container_of(source)).flatten()
    })
}

/// The systemd service in a cgroup path, as systemd names it.
///
/// Scopes and slices are not services, nor is the manager of a user's services.
pub fn unit_of(path: &str) -> Option<String> {
    if path.split('/').any(|s| s.starts_with("kubepods") || s == "docker") {
        return None;
    }
    for segment in path.split('/').rev() {
        if let Some(name) = segment.strip_suffix(".service") {
            if name.is_empty() || name.starts_with("user@") {
                return None;
            }
            return Some(segment.to_owned());
        }
        // What is below a scope or a slice and above no service belongs to none.
        if is_unit(segment, ".scope") || is_unit(segment, ".slice") {
            return None;
        }
    }
    None
}

fn is_unit(segment: &str, suffix: &str) -> bool {
    segment.len() > suffix.len() && segment.ends_with(suffix)
}

/// The service's name in a unit: `foo\x2dbar@1.service` is `foo-bar`.
pub fn name_of_unit(unit: &str) -> String {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let name = match name.split_once('@') {
        Some((template, _)) if !template.is_empty() => template,
        _ => name,
    };
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let [b'\\', b'x', high, low, ..] = *rest
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            bytes.push(high * 16 + low);
            rest = rest.get(4..).unwrap_or_default();
            continue;
        }
        bytes.push(first);
        rest = tail;
    }
    text::text(&bytes)
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests;
