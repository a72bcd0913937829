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

{{/* What cannot be had together, or would not be heeded. */}}
{{- define "steth.contradictions" -}}
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
