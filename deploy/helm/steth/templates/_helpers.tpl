{{/* The name of everything: the release's, with the chart's unless that is in it. */}}
{{- define "steth.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What the DaemonSet knows its pods by; never to be changed. */}}
{{- define "steth.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "steth.labels" -}}
{{ include "steth.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* Annotations of the pods; what is given wins. A change of the configuration restarts the agents. */}}
{{- define "steth.annotations" -}}
{{- $all := dict "kubectl.kubernetes.io/default-container" "steth" -}}
{{- with .Values.config -}}{{- $_ := set $all "checksum/config" (toYaml . | sha256sum) -}}{{- end -}}
{{- if include "steth.annotated" . -}}
{{- $_ := set $all "prometheus.io/scrape" "true" -}}
{{- $_ := set $all "prometheus.io/port" (.Values.prometheus.port | toString) -}}
{{- end -}}
{{ mergeOverwrite $all (.Values.podAnnotations | default dict) | toYaml }}
{{- end -}}

{{/* Not empty if Prometheus is told by annotations that there is something to scrape. */}}
{{- define "steth.annotated" -}}
{{- if and (include "steth.serves" .) (not .Values.podMonitor.enabled) (not .Values.hostNetwork) }}yes{{ end -}}
{{- end -}}

{{/* The pods' service account; empty if they need none. */}}
{{- define "steth.account" -}}
{{- with .Values.serviceAccount.name -}}
{{ . }}
{{- else -}}
{{- if .Values.kubernetes.api }}{{ include "steth.name" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if the agent serves pages. */}}
{{- define "steth.serves" -}}
{{- if dig "prometheus" "enabled" true .Values.config }}yes{{ end -}}
{{- end -}}

{{/* The name of the API server's role, which is the whole cluster's. */}}
{{- define "steth.role" -}}
{{ printf "%s-%s" .Release.Namespace (include "steth.name" .) }}
{{- end -}}

{{/* Attributes of everything that is told, as OTEL_RESOURCE_ATTRIBUTES has them. */}}
{{- define "steth.attributes" -}}
{{- $all := list "k8s.node.name=$(NODE_NAME)" -}}
{{- with .Values.clusterName }}{{ $all = append $all (printf "k8s.cluster.name=%s" .) }}{{ end -}}
{{- range $key, $value := dig "agent" "attributes" dict .Values.config -}}
{{- $all = append $all (printf "%s=%s" $key ($value | toString | urlquery | replace "+" "%20")) -}}
{{- end -}}
{{ join "," $all }}
{{- end -}}

{{/* Variables that are the chart's to set, or stronger than those, and where to say instead what they say. */}}
{{- define "steth.variables" -}}
NODE_NAME: take another name for yours
NODE_IP: take another name for yours
OTEL_EXPORTER_OTLP_ENDPOINT: set otlp.endpoint instead
STETH_OTLP_ENDPOINT: set otlp.endpoint instead
OTEL_RESOURCE_ATTRIBUTES: set config.agent.attributes instead, which is joined with the names of node and cluster
STETH_AGENT_ATTRIBUTES: set config.agent.attributes instead, which is joined with the names of node and cluster
OTEL_EXPORTER_PROMETHEUS_HOST: leave it out; the address is the pod's, or 127.0.0.1 with hostNetwork
OTEL_EXPORTER_PROMETHEUS_PORT: set prometheus.port instead
STETH_PROMETHEUS_LISTEN: set prometheus.port instead
STETH_PROMETHEUS_ENABLED: set config.prometheus.enabled instead, which the probes follow
STETH_HOST_ROOT: leave it out, the chart mounts the host's files and says where
STETH_KUBERNETES_API: set kubernetes.api instead, which gives the role for it as well
STETH_KUBERNETES_ENABLED: set config.kubernetes.enabled instead
STETH_KUBERNETES_SERVICES: set kubernetes.services instead, which gives the role for it as well
{{- end -}}

{{/* What cannot be had together, or would not be heeded. */}}
{{- define "steth.contradictions" -}}
{{- $variables := include "steth.variables" . | fromYaml -}}
{{- range .Values.extraEnv -}}
{{- $name := .name | default "" -}}
{{- with get $variables $name -}}
{{- fail (printf "extraEnv: %s is the chart's to say: %s" $name .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := include "steth.selector" . | fromYaml -}}
{{- if hasKey ($.Values.podLabels | default dict) $name -}}
{{- fail (printf "podLabels: %s is what the DaemonSet knows its pods by; leave it out" $name) -}}
{{- end -}}
{{- end -}}
{{- $api := .Values.kubernetes.api -}}
{{- $account := .Values.serviceAccount -}}
{{- if and $api (not $account.create) (not $account.name) -}}
{{- fail "serviceAccount.create: without it set serviceAccount.name, the account that the role is bound to, or kubernetes.api: false" -}}
{{- end -}}
{{- if and $account.create $account.name (not $api) -}}
{{- fail "serviceAccount.name: with kubernetes.api: false no account is made; set serviceAccount.create: false if there is one of that name" -}}
{{- end -}}
{{- if and $account.annotations (not (and $api $account.create)) -}}
{{- fail "serviceAccount.annotations: no account is made that could have them, with kubernetes.api or serviceAccount.create: false" -}}
{{- end -}}
{{- if dig "otlp" "endpoint" "" .Values.config -}}
{{- fail "config.otlp.endpoint: leave it out and set otlp.endpoint, which is stronger" -}}
{{- end -}}
{{- if and $api (eq (dig "kubernetes" "api" true .Values.config | toString) "false") -}}
{{- fail "config.kubernetes.api: leave it out and set kubernetes.api: false, which takes account, token and role away as well" -}}
{{- end -}}
{{- if and (or $api .Values.runtime.enabled) (eq (dig "kubernetes" "enabled" true .Values.config | toString) "false") -}}
{{- fail "config.kubernetes.enabled: nobody is asked with false; set kubernetes.api: false and runtime.enabled: false as well, which give the means to ask" -}}
{{- end -}}
{{- if dig "host" "root" "" .Values.config -}}
{{- fail "config.host.root: leave it out, the chart mounts the host's files and says where" -}}
{{- end -}}
{{- if dig "kubernetes" "services" false .Values.config -}}
{{- fail "config.kubernetes.services: leave it out and set kubernetes.services, which gives the role for it as well" -}}
{{- end -}}
{{- if and .Values.kubernetes.services (not .Values.kubernetes.api) -}}
{{- fail "kubernetes.services: the API server is not asked with kubernetes.api: false" -}}
{{- end -}}
{{- if dig "prometheus" "listen" "" .Values.config -}}
{{- fail "config.prometheus.listen: leave it out and set prometheus.port; the address is the pod's, or 127.0.0.1 with hostNetwork" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled .Values.hostNetwork -}}
{{- fail "podMonitor.enabled: with hostNetwork the agent listens on 127.0.0.1 alone, where Prometheus does not reach it; push with otlp.endpoint instead" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (not (include "steth.serves" .)) -}}
{{- fail "podMonitor.enabled: there is nothing to scrape with config.prometheus.enabled: false" -}}
{{- end -}}
{{- end -}}
