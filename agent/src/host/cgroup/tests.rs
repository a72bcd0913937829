//! Cgroup paths as they are met, and what must be read from them.

use super::*;

const ID: &str = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
const OTHER: &str = "aaaa9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";

#[test]
fn container_ids_in_all_their_forms() {
    let check = |path: &str, expect: Option<&str>| {
        let path = path.replace("{id}", ID).replace("{other}", OTHER);
        assert_eq!(container_of(&path).as_deref(), expect, "{path}");
    };
    let id = Some(ID);
    check("/docker/{id}", id);
    check("/docker/{id}/init.scope", id);
    check("/docker/{id}/system.slice/nginx.service", id);
    check("/system.slice/docker-{id}.scope", id);
    check(
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1a_2b.slice/cri-containerd-{id}.scope",
        id,
    );
    check("/kubepods.slice/kubepods-pod1a.slice/crio-{id}.scope", id);
    check("/kubepods.slice/kubepods-pod1a.slice/crio-{id}.scope/container", id);
    check("/kubepods.slice/kubepods-pod1a.slice/crio-conmon-{id}.scope", None);
    check("/machine.slice/libpod-{id}.scope", id);
    check("/machine.slice/libpod-{id}.scope/container", id);
    check("/machine.slice/libpod-conmon-{id}.scope", None);
    check("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope", id);
    check("/kubepods/besteffort/pod0a1b2c3d-1111-2222-3333-444455556666/{id}", id);
    check("/kubepods-besteffort-pod1a.slice:cri-containerd:{id}", id);
    check("/system.slice/containerd.service/kubepods-pod1a.slice:cri-containerd:{id}", id);
    check("/docker/{other}/kubelet.slice/kubelet-kubepods.slice/cri-containerd-{id}.scope", id);
    check("/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/{id}", id);
    check("/ecs/0a1b2c3d-1111-2222-3333-444455556666/{id}", id);
    check(
        "/ecs/0a1b2c3d4e5f60718293a4b5c6d7e8f9/0a1b2c3d4e5f60718293a4b5c6d7e8f9-2531612879",
        Some("0a1b2c3d4e5f60718293a4b5c6d7e8f9-2531612879"),
    );
    check("/lxc/web-1", Some("web-1"));
    check("/lxc.payload.web-1", Some("web-1"));
    check("/lxc.payload/web-1/system.slice/nginx.service", Some("web-1"));
    check("/lxc.monitor.web-1", None);
    check(
        "/system.slice/garden.service/garden/70eb4ce5-a065-4401-6990-88ed",
        Some("70eb4ce5-a065-4401-6990-88ed"),
    );
    check("/actions_job/{id}", id);
    check("/../../kubepods/burstable/pod1a/{id}", id);
    check("/../cri-containerd-{id}.scope", id);
    check("/", None);
    check("", None);
    check("/system.slice/nginx.service", None);
    check("/user.slice/user-0.slice/session-1.scope", None);
    check("/docker/3f4e9c1d", None);
    check(&format!("/docker/{}", ID.to_uppercase()), None);
    check(&"/x".repeat(100_000), None);
}

#[test]
fn pods_in_all_their_forms() {
    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";
    const HASH: &str = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d";
    let check = |path: &str, expect: Option<&str>| {
        let low = UID.replace('-', "_");
        let path = path.replace("{uid}", UID).replace("{low}", &low);
        let path = path.replace("{hash}", HASH).replace("{id}", ID).replace("{other}", OTHER);
        assert_eq!(pod_of(&path).as_deref(), expect, "{path}");
    };
    let uid = Some(UID);
    // The kubelet's own driver, by class.
    check("/kubepods/pod{uid}/{id}", uid);
    check("/kubepods/burstable/pod{uid}/{id}", uid);
    check("/kubepods/besteffort/pod{uid}/{id}", uid);
    check("/kubepods/besteffort/pod{uid}", uid);
    check("/kubepods/burstable/pod{hash}/{id}", Some(HASH));
    check("/kubepods/burstable/podweb-static/{id}", Some("web-static"));
    // systemd's: containerd, CRI-O, Docker by cri-dockerd, and what is within a container.
    let class = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{low}.slice";
    check(class, uid);
    check(&format!("{class}/cri-containerd-{{id}}.scope"), uid);
    check(&format!("{class}/crio-{{id}}.scope/container"), uid);
    check(&format!("{class}/docker-{{id}}.scope"), uid);
    check(&format!("{class}/cri-containerd-{{id}}.scope/system.slice/x.service"), uid);
    check("/kubepods.slice/kubepods-pod{low}.slice/crio-{id}.scope", uid);
    check(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{hash}.slice",
        Some(HASH),
    );
    // containerd told to use systemd by a kubelet that does not.
    check("/kubepods-besteffort-pod{low}.slice:cri-containerd:{id}", uid);
    check("/system.slice/containerd.service/kubepods-pod{low}.slice:cri-containerd:{id}", uid);
    // A node that is a container itself (kind), and a kubelet with a root of its own.
    check(
        "/docker/{other}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
         kubelet-kubepods-burstable-pod{low}.slice/cri-containerd-{id}.scope",
        uid,
    );
    check("/docker/{other}/kubelet/kubepods/burstable/pod{uid}/{id}", uid);
    // A cluster within a pod: the innermost is whose it is.
    check("/kubepods/pod{hash}/{other}/kubepods/besteffort/pod{uid}/{id}", uid);
    // Seen from another group.
    check("/../../pod{uid}/{id}", uid);
    check("/../../../burstable/pod{hash}/{id}", Some(HASH));
    check("/../kubepods-burstable-pod{low}.slice/cri-containerd-{id}.scope", uid);
    // What is none.
    check("/../pods/{id}", None);
    check("/podinfo/{id}", None);
    check("/machine.slice/machine-libpod_pod_{id}.slice/libpod-{id}.scope", None);
    check("/user.slice/my-pod{low}.slice", None);
    check("/notkubepods-pod{low}.slice", None);
    check("/kubepods/burstable/pod", None);
    check("/kubepods.slice/kubepods-pod.slice", None);
    check("/kubepods/burstable/pod{id}", None);
    check("/kubepods/burstable/pod\u{1b}[31m", None);
    check("/kubepods/burstable/{id}", None);
    check(&format!("/kubepods{}", "/pod".repeat(50_000)), None);
    check("", None);
}

#[test]
fn a_pod_is_told_beside_its_container_in_every_version() {
    const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";
    let path = format!("/kubepods/burstable/pod{UID}/{ID}");
    for content in [
        format!("0::{path}\n"),
        format!("12:pids:{path}\n11:memory:{path}\n1:name=systemd:{path}\n"),
        format!("4:memory:{path}\n1:name=systemd:/\n0::/system.slice/containerd.service\n"),
        format!("0::{path} (deleted)\n"),
    ] {
        let group = Cgroup::parse(content.as_bytes());
        assert_eq!(group.pod.as_deref(), Some(UID), "{content}");
        assert_eq!(group.container.as_deref(), Some(ID), "{content}");
        assert_eq!(group.unit, None, "{content}");
    }
}

#[test]
fn units_from_paths() {
    let check = |path: &str, expect: Option<&str>| {
        assert_eq!(unit_of(path).as_deref(), expect, "{path}");
    };
    check("/system.slice/nginx.service", Some("nginx.service"));
    check("/system.slice/system-foo.slice/foo@1.service", Some("foo@1.service"));
    check("/system.slice/foo.service/delegated/worker", Some("foo.service"));
    check(
        "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
        Some("web.service"),
    );
    check("/user.slice/user-1000.slice/user@1000.service/init.scope", None);
    check("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x-1.scope", None);
    check("/user.slice/user-1000.slice/user@1000.service", None);
    check("/user.slice/user-1000.slice/session-3.scope", None);
    check("/system.slice/foo.service/inner.scope", None);
    check("/init.scope", None);
    check("/system.slice", None);
    check("/kubepods.slice/x.service", None);
    check("/docker/abc/system.slice/x.service", None);
    check("/.service", None);
    check("/", None);
}

#[test]
fn names_of_units() {
    let check = |unit: &str, expect: &str| assert_eq!(name_of_unit(unit), expect, "{unit}");
    check("nginx.service", "nginx");
    check("foo@1.service", "foo");
    check("postgresql@15-main.service", "postgresql");
    check("my\\x2dapp.service", "my-app");
    check("my\\x2dapp@a\\x2db.service", "my-app");
    check("odd\\x2.service", "odd\\x2");
    check("odd\\xzz.service", "odd\\xzz");
    check("odd\\", "odd\\");
    check("@1.service", "@1");
}

#[test]
fn files_of_every_version() {
    let check = |content: &str, path: &str, container: Option<&str>, unit: Option<&str>| {
        let content = content.replace("{id}", ID);
        let expect = Cgroup {
            path: path.replace("{id}", ID),
            container: container.map(str::to_owned),
            pod: None,
            unit: unit.map(str::to_owned),
        };
        assert_eq!(Cgroup::parse(content.as_bytes()), expect, "{content}");
    };
    let unit = Some("nginx.service");
    check("0::/system.slice/nginx.service\n", "/system.slice/nginx.service", None, unit);
    check("0::/system.slice/nginx.service (deleted)\n", "/system.slice/nginx.service", None, unit);
    check(
        "12:pids:/docker/{id}\n11:memory:/docker/{id}\n1:name=systemd:/docker/{id}\n",
        "/docker/{id}",
        Some(ID),
        None,
    );
    check(
        "9:name=systemd:/system.slice/nginx.service\n4:memory:/a/much/longer/path/that/is/no/unit\n0::/\n",
        "/system.slice/nginx.service",
        None,
        unit,
    );
    check("4:memory:/x/y\n3:cpu:/\n0::/\n", "/x/y", None, None);
    check("0::/\n", "/", None, None);
    check("4:cpu,cpuacct:/odd:path/{id}\n", "/odd:path/{id}", Some(ID), None);
    check("", "", None, None);
    check("garbage\n:\n::\n1:2\n", "", None, None);
}

#[test]
fn mounts_tell_what_a_namespace_hides() {
    let check = |line: &str, expect: Option<&str>| {
        let content =
            format!("22 27 0:21 / /proc rw - proc proc rw\n{}\n", line.replace("{id}", ID));
        assert_eq!(container_of_mounts(content.as_bytes()).as_deref(), expect, "{line}");
    };
    let id = Some(ID);
    check(
        "1 2 254:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/vda rw",
        id,
    );
    check(
        "1 2 0:1 /containers/overlay-containers/{id}/userdata/hosts /etc/hosts rw - tmpfs t rw",
        id,
    );
    check(
        "1 2 0:1 /containerd/io.containerd.grpc.v1.cri/sandboxes/{id}/hostname /etc/hostname rw - ext4 d rw",
        None,
    );
    check("1 2 0:1 /docker/{id} /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory", id);
    check("1 2 0:1 /docker/{id}", None);
    check("\u{0}\u{0}", None);
}

#[test]
fn names_of_groups_are_paths_from_the_innermost_outward() {
    let check = |names: &str, expect: Option<Cgroup>| {
        assert_eq!(Cgroup::of_names(names.as_bytes()), expect, "{names}");
    };
    let parsed = |content: String| Some(Cgroup::parse(content.as_bytes()));
    let pod = "pod0a1b2c3d-1111-2222-3333-444455556666";
    check("\0", parsed("0::/".into()));
    check("nginx.service\0system.slice\0\0", parsed("0::/system.slice/nginx.service".into()));
    check(
        &format!("{ID}\0{pod}\0burstable\0kubepods\0\0"),
        parsed(format!("0::/kubepods/burstable/{pod}/{ID}")),
    );
    // A hybrid host, with the container in the older hierarchies alone.
    check(
        &format!("containerd.service\0system.slice\0\0{ID}\0{pod}\0kubepods\0\0"),
        parsed(format!("0::/system.slice/containerd.service\n4:pids:/kubepods/{pod}/{ID}")),
    );
    check(
        &format!("\0{ID}\0{pod}\0kubepods\0\0"),
        parsed(format!("0::/\n4:pids:/kubepods/{pod}/{ID}")),
    );
    // Cut: on the way to the root, within a name, by a name that is too long.
    check("", None);
    check("nginx.service\0system.slice\0", None);
    check("nginx.service\0syst", None);
    check(&format!("{}\0\0", "x".repeat(limit::EXEC_GROUP - 1)), None);
    check(&format!("\0{}\0", "x".repeat(20)), None);
}
