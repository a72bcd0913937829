#!/usr/bin/env bash
# A one-node Kubernetes with real pods, in a network and mount namespace of its own. `cargo xtask cluster` starts it so:
#   STATE=.. PROGRAMS=.. ROOT=.. IMAGES=.. unshare --net --mount --propagation private bash up.sh
# STATE     where it keeps all that it writes
# PROGRAMS  a directory with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl
# ROOT      where the packages containerd, runc and containernetworking-plugins are unpacked
# IMAGES    image tarballs, by spaces; one of them is test.invalid/pause:1
# ATTENDED  if it is set, it ends when its standard input does: whoever began it may have been killed
# Every path is absolute. It stays in the foreground, makes a file `ready`, and takes all down when it is told to end.
set -u
running=""
must() {
    "$@" && return
    echo "failed: $*"
    [ -z "$running" ] || down
    exit 1
}
export PATH=$PROGRAMS:$ROOT/usr/bin:$ROOT/usr/sbin:$PATH
# Nothing is kept for the user, and nothing is asked by way of somebody else.
export KUBECACHEDIR=$STATE/cache
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
HERE=$(cd "$(dirname "$0")" && pwd)
ADDRESS=10.77.0.1
SOCKET=/run/containerd/containerd.sock
CTR="ctr --address $SOCKET --namespace k8s.io"

mkdir -p "$STATE"
cd "$STATE" || exit 1

# A kubelet ends all pods that it does not know: never beside another that has its pods at the same place.
exec 8> /run/steth-cluster.lock
flock --nonblock 8 || { echo "another cluster of these tests runs on this host"; exit 1; }

# Every process of these programs, and those that they began: pods are begun by containerd's shims.
ours() {
    for process in /proc/[0-9]*; do
        case $(readlink "$process/exe" 2> /dev/null) in
            "$PROGRAMS"/* | "$ROOT"/*) tree "${process#/proc/}" ;;
        esac
    done
}
tree() {
    for process in "$@"; do
        echo "$process"
        tree $(pgrep --parent "$process")
    done
}
# What is left of a run, this one or one before it that was killed.
end_all() {
    ours | sort --unique | grep --invert-match --line-regexp $$ | xargs --no-run-if-empty kill -KILL 2> /dev/null
    for turn in 1 2 3 4 5; do
        for group in /sys/fs/cgroup/{*/,}{kubepods,k8s.io}; do
            [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} +
        done 2> /dev/null
        ls -d /sys/fs/cgroup/{*/,}{kubepods,k8s.io} > /dev/null 2>&1 || break
        sleep 0.2
    done
}
[ ! -f begun ] || end_all
pods=$(ls -d /sys/fs/cgroup/{*/,}kubepods 2> /dev/null | head -n 1)
if [ -n "$pods" ]; then
    echo "$pods has another kubelet's pods, and a second kubelet would end them. What to do: another host;"
    echo "if they are left of these tests, end the processes in the cgroup.procs below it, and remove it"
    exit 1
fi
touch begun
read -r -a stat < /proc/$$/stat
echo "$$ ${stat[21]}" > namespace.pid

rm -rf ready audit.log etcd.data kubelet podlogs containerd manifests over
mkdir -p over cni containerd manifests kubelet/seccomp
cp "$HERE/../../deploy/seccomp/steth.json" kubelet/seccomp/

# Nothing stays on the host: /run is empty here, and what is written below these directories goes to memory.
must mount -t tmpfs tmpfs /run
must mount -t tmpfs tmpfs over
for directory in var/lib var/log opt; do
    layer=over/${directory//\//_}
    mkdir -p "$layer"/{upper,work}
    must mount -t overlay overlay -o "lowerdir=/$directory,upperdir=$layer/upper,workdir=$layer/work" "/$directory"
done
must mount --make-rshared /

must ip link set lo up
must ip link add node0 type bridge
must ip address add $ADDRESS/24 dev node0
must ip link set node0 up
must ip route add default via 10.77.0.254 dev node0

# The kubelet sets these for the whole machine.
for name in vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_max{keys,bytes}; do
    sysctl "$name"
done > sysctl.saved
restore() { sed 's/ = /=/' sysctl.saved | xargs sysctl --quiet --write; }

# What runs, the newest first, and how each is started, so that a test can take one away and bring it back.
start() {
    name=$1
    shift
    printf '#!/bin/sh\nexport PATH=%q\ncd %q\nexec %s >> %q 2>&1\n' \
        "$PATH" "$STATE" "$(printf '%q ' "$@")" "$STATE/$name.log" > "$name.sh"
    sh "$name.sh" 8>&- &
    echo $! > "$name.pid"
    running="$name $running"
}

down() {
    trap '' TERM INT HUP
    kubectl --kubeconfig kubeconfig delete daemonset,deployment,statefulset,cronjob,job,pod --all-namespaces --all \
        --grace-period=1 --timeout=20s > /dev/null 2>&1
    # Those that would begin anything anew first.
    for name in proxy kubelet scheduler controllers; do end "$name"; done
    for task in $($CTR tasks list --quiet 2> /dev/null); do $CTR tasks rm --force "$task"; done > /dev/null 2>&1
    for name in $running; do end "$name"; done
    restore
    end_all
    rm -f namespace.pid ready begun
    [ -z "$watcher" ] || kill "$watcher" 2> /dev/null
    exit 0
}
end() {
    process=$(cat "$1.pid" 2> /dev/null) || return
    kill "$process" 2> /dev/null
    # A test may have begun it anew: then it is no child of this shell. What hangs is killed with all that is left.
    for turn in $(seq 200); do
        kill -0 "$process" 2> /dev/null || return
        # One that has ended and that nobody waits for is there still.
        case $(cat "/proc/$process/stat" 2> /dev/null) in *") Z "*) return ;; esac
        sleep 0.05
    done
}
trap down TERM INT HUP
watcher=""
if [ -n "${ATTENDED-}" ]; then
    exec 7<&0
    (cat <&7 > /dev/null; kill -TERM $$) 8>&- &
    watcher=$!
    exec 7<&-
fi

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
volumePluginDir: $STATE/kubelet/plugins
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
for image in $IMAGES; do must $CTR images import "$image" > /dev/null; done
start controllers kube-controller-manager --kubeconfig=kubeconfig --service-account-private-key-file=sa.key \
    --root-ca-file=certs/apiserver.crt --leader-elect=false
start scheduler kube-scheduler --kubeconfig=kubeconfig --leader-elect=false
start kubelet kubelet --config=kubelet.yaml --kubeconfig=kubeconfig --root-dir="$STATE/kubelet" \
    --cert-dir="$STATE/kubelet/pki" --hostname-override=n1 --node-ip=$ADDRESS
start proxy kube-proxy --kubeconfig=kubeconfig --hostname-override=n1 --proxy-mode=nftables --conntrack-max-per-core=0 \
    --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
until kubectl --kubeconfig kubeconfig wait --for=condition=Ready node/n1 --timeout=60s > /dev/null 2>&1; do sleep 0.3; done
restore
touch ready
while :; do
    sleep 3600 8>&- &
    wait $!
done
