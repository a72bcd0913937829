#!/usr/bin/env bash
# A one-node Kubernetes with real pods, in a network and mount namespace of its own. `cargo xtask cluster` starts it so:
#   STATE=.. PROGRAMS=.. ROOT=.. IMAGES=.. unshare --net --mount --propagation private bash up.sh
# STATE     where it keeps all that it writes
# PROGRAMS  a directory with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl
# ROOT      where the packages containerd, runc and containernetworking-plugins are unpacked
# IMAGES    image tarballs, by spaces; one of them is test.invalid/pause:1
# Every path is absolute. It stays in the foreground, says READY, and takes all down when it is told to end.
set -u
export PATH=$PROGRAMS:$ROOT/usr/bin:$ROOT/usr/sbin:$PATH
HERE=$(cd "$(dirname "$0")" && pwd)
ADDRESS=10.77.0.1
SOCKET=/run/containerd/containerd.sock
CTR="ctr --address $SOCKET --namespace k8s.io"

mkdir -p "$STATE"/{over,cni,containerd}
cd "$STATE" || exit 1
rm -f namespace.pid

# Nothing stays on the host: /run is empty here, and what is written below these directories goes to memory.
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs over
for directory in var/lib var/log opt; do
    layer=over/${directory//\//_}
    mkdir -p "$layer"/{upper,work}
    mount -t overlay overlay -o "lowerdir=/$directory,upperdir=$layer/upper,workdir=$layer/work" "/$directory"
done
mount --make-rshared /

ip link set lo up
ip link add node0 type bridge
ip address add $ADDRESS/24 dev node0
ip link set node0 up
ip route add default via 10.77.0.254 dev node0

# The kubelet sets these for the whole machine.
for name in vm.overcommit_memory kernel.panic kernel.panic_on_oops; do sysctl "$name"; done > sysctl.saved
restore() { sed 's/ = /=/' sysctl.saved | xargs sysctl --quiet --write; }

# What runs, the newest first, and how each is started, so that a test can take one away and bring it back.
running=""
sleeper=""
start() {
    name=$1
    shift
    printf '#!/bin/sh\nexport PATH=%q\ncd %q\nexec %s >> %q 2>&1\n' \
        "$PATH" "$STATE" "$(printf '%q ' "$@")" "$STATE/$name.log" > "$name.sh"
    sh "$name.sh" &
    echo $! > "$name.pid"
    running="$name $running"
}

down() {
    trap '' TERM INT
    kubectl --kubeconfig kubeconfig delete daemonset,deployment,statefulset,cronjob,job,pod --all-namespaces --all \
        --grace-period=1 --timeout=20s > /dev/null 2>&1
    for task in $($CTR tasks list --quiet 2> /dev/null); do $CTR tasks rm --force "$task"; done > /dev/null 2>&1
    for name in $running; do
        process=$(cat "$name.pid")
        kill "$process" 2> /dev/null
        # A test may have begun it anew: then it is no child of this shell.
        while kill -0 "$process" 2> /dev/null; do
            wait "$process" 2> /dev/null || sleep 0.05
        done
    done
    kill "$sleeper" 2> /dev/null
    restore
    for group in /sys/fs/cgroup/{*/,}{kubepods,k8s.io}; do
        [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} +
    done 2> /dev/null
    rm -f namespace.pid
    exit 0
}
trap down TERM INT

if [ ! -f sa.key ]; then
    openssl genrsa -out sa.key 2048 2> /dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2> /dev/null
fi
echo 'admin,admin,1,"system:masters"' > tokens.csv
cat > kubeconfig <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://$ADDRESS:6443", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: admin}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
current-context: test
YAML
cat > containerd.toml <<TOML
version = 2
root = "$STATE/containerd/root"
state = "/run/containerd-state"
[grpc]
  address = "$SOCKET"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  # Without CAP_SYS_RESOURCE a lower score is refused, and every sandbox with it.
  restrict_oom_score_adj = true
  sandbox_image = "test.invalid/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$ROOT/usr/lib/cni"
    conf_dir = "$STATE/cni"
TOML
cat > cni/10-pods.conflist <<JSON
{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.78.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
  }]
}
JSON
# What the agent asks of the API server is read by a test.
cat > audit.yaml <<YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted, ResponseComplete]
rules:
  - {level: Metadata, users: ["system:serviceaccount:steth:steth"]}
  - {level: None}
YAML
rm -f audit.log manifests/*
mkdir -p manifests kubelet/seccomp
cp "$HERE/../../deploy/seccomp/steth.json" kubelet/seccomp/
cat > kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$SOCKET
address: 0.0.0.0
readOnlyPort: 10255
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: [pods]
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
# The images were put there by hand, and cannot be fetched again.
imageGCHighThresholdPercent: 100
podLogsDir: $STATE/podlogs
staticPodPath: $STATE/manifests
makeIPTablesUtilChains: false
YAML

start containerd containerd --config containerd.toml
start etcd etcd --data-dir etcd.data --unsafe-no-fsync
start apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=$ADDRESS --advertise-address=$ADDRESS \
    --secure-port=6443 --cert-dir=certs --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key --token-auth-file=tokens.csv \
    --authorization-mode=Node,RBAC --service-cluster-ip-range=10.96.0.0/16 --allow-privileged=true \
    --kubelet-preferred-address-types=InternalIP --audit-policy-file=audit.yaml --audit-log-path=audit.log
until curl --silent --insecure --fail --header 'Authorization: Bearer admin' https://$ADDRESS:6443/readyz > /dev/null; do
    sleep 0.2
done
for image in $IMAGES; do $CTR images import "$image" > /dev/null; done
start controllers kube-controller-manager --kubeconfig=kubeconfig --service-account-private-key-file=sa.key \
    --root-ca-file=certs/apiserver.crt --leader-elect=false
start scheduler kube-scheduler --kubeconfig=kubeconfig --leader-elect=false
start kubelet kubelet --config=kubelet.yaml --kubeconfig=kubeconfig --root-dir="$STATE/kubelet" \
    --cert-dir="$STATE/kubelet/pki" --hostname-override=n1 --node-ip=$ADDRESS
start proxy kube-proxy --kubeconfig=kubeconfig --hostname-override=n1 --proxy-mode=nftables --conntrack-max-per-core=0 \
    --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
until kubectl --kubeconfig kubeconfig wait --for=condition=Ready node/n1 --timeout=60s > /dev/null 2>&1; do sleep 0.3; done
restore
echo $$ > namespace.pid
echo READY
while :; do
    sleep 3600 &
    sleeper=$!
    wait "$sleeper"
done
